"""Airflow dags of a user's own, for what only a real run decides: what other tasks return, in each place for it."""

from typing import Any

from airflow.sdk import DAG, Asset, dag, task

from chassis import ClaudeTaskOperator, Limits

TEMPLATE = "{{ 1 + 1 }}"


@dag(schedule=None, is_paused_upon_creation=False)
def odd_data() -> None:
    @task
    def text() -> str:
        return TEMPLATE

    @task
    def arguments() -> list[dict[str, Any]]:
        return [{"instruction": f"Say {TEMPLATE} to {{item}}.", "item": f"a {TEMPLATE}"}]

    @task
    def double(number: int) -> int:
        return 2 * number

    @task.claude
    def say(words: str) -> str:
        return f"Say {words}."

    @task
    def use(summary: str, count: int, result: dict[str, Any]) -> list[Any]:
        return [summary == result["summary"], count]

    say(text())
    ClaudeTaskOperator.partial(task_id="each").expand_kwargs(arguments())
    numbers = double.expand(number=[1, 2])
    numbers >> ClaudeTaskOperator(task_id="joins", instruction="Join.")
    ends_in_worker = ClaudeTaskOperator(
        task_id="ends_in_worker",
        instruction="Count.",
        output_schema={
            "type": "object",
            "properties": {"count": {"type": "integer"}},
            "required": ["count"],
        },
        outlets=[Asset("odd_data_counted")],
    )
    in_worker = ClaudeTaskOperator(task_id="in_worker", instruction="Greet.", deferrable=False)
    use(in_worker.output["summary"], ends_in_worker.output["count"], in_worker.output)  # type: ignore[index]


odd_data()


@dag(schedule=None, is_paused_upon_creation=False)
def shrinking() -> None:
    @task
    def find(ti: Any = None) -> list[str]:
        return ["a", "b", "c"] if ti.try_number == 1 else ["z", "a"]

    @task.claude
    def counts(results: Any) -> str:
        return f"There are {len(results)}."

    each = ClaudeTaskOperator.partial(task_id="each", instruction="Do {item}.").expand(item=find())
    each >> ClaudeTaskOperator(task_id="joins_all", instruction="Join.")
    counts(each.output)


shrinking()

with DAG(
    "spent_limit",
    schedule=None,
    is_paused_upon_creation=False,
    default_args={"limits": Limits(max_calls=1)},
):
    ClaudeTaskOperator(task_id="first", instruction="Greet.") >> ClaudeTaskOperator(
        task_id="second", instruction="Greet again."
    )
