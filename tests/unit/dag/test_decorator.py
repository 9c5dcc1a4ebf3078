from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from chassis.claude.connection_options import NO_OPTIONS
from chassis.dag.decorator import DecoratedClaudeOperator
from chassis.errors import PlanError
from chassis.provider import get_provider_info
from chassis.workflow import Limits
from tests.unit.dag.own_dags import OwnRun, told

TEMPLATE = "{{ 1 + 1 }}"


@pytest.fixture(autouse=True)
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.claude.connection_options.connection_options", lambda conn_id: NO_OPTIONS)


@task
def facts() -> dict[str, int]:
    return {"customers": 3}


def test_airflow_finds_it_by_the_provider() -> None:
    [decorator] = get_provider_info()["task-decorators"]
    assert decorator == {"name": "claude", "class-name": "chassis.dag.decorator.claude_task"}
    assert task.claude.__name__ == "claude_task"  # type: ignore[attr-defined]


def test_what_the_function_returns_is_the_instruction_and_its_arguments_are_data() -> None:
    @task.claude(agent="task-executor", limits=Limits(max_calls=2))
    def report(numbers: dict[str, int], tone: str = "dry", *, where: str) -> str:
        """Reports."""
        return f"Report on {numbers['customers']} customers."

    with DAG("own") as dag:
        report(facts(), where="EU")
    operator = dag.get_task("report")
    assert isinstance(operator, DecoratedClaudeOperator)
    assert (operator.upstream_task_ids, operator.doc_md) == ({"facts"}, "Reports.")
    call = OwnRun(dag, {"facts": {"customers": 3}}).call("report")
    assert told(call) == {
        "task report": "Report on 3 customers.",
        "result facts numbers": '{\n  "customers": 3\n}',
        "context where": "EU",
    }
    assert call.accounts.limits.run.max_calls == 2


def test_tasks_upstream_that_give_no_argument_give_data_too_unless_a_context_does() -> None:
    def report() -> str:
        return "Report."

    with DAG("own") as dag:
        facts() >> task.claude(report)()
        facts() >> task.claude(context="only this", task_id="own")(report)()
    run = OwnRun(dag, {"facts": 3, "facts__1": 4})
    assert told(run.call("report"))["result facts"] == "3"
    assert told(run.call("own")) == {"task own": "Report.", "context": "only this"}


def test_its_instances_are_named_by_the_arguments_in_which_they_differ() -> None:
    @task.claude
    def greet(language: str, tone: str, **more: Any) -> str:
        return f"Greet in {language}, {tone}."

    with DAG("own") as dag:
        greet.partial(tone="warm").expand(language=["French", "Danish"])
        greet.override(task_id="sets", retries=3).expand_kwargs([{"language": "Thai", "tone": "cool"}])
        greet.override(task_id="found").partial(tone="{{ ds }}").expand(language=facts())
    run = OwnRun(dag, {"facts": ["Welsh"]})
    assert run.label("greet", 1) == "Danish"
    assert run.label("sets", 0) == "Thai, cool"
    assert dag.get_task("sets").retries == 3
    call = run.call("greet", 1)
    assert call.accounts.identity.item == "Danish"
    assert told(call)["task greet"] == "Greet in Danish, warm."
    found = told(run.call("found", 0))
    assert found["task found"] == "Greet in Welsh, 2026-11-28."
    assert found["result facts language"] == "Welsh"


def test_in_a_mapped_group_an_instance_is_named_by_the_groups_argument() -> None:
    @task.claude
    def greet(language: str) -> str:
        return f"Greet in {language}."

    @task_group
    def each(language: Any) -> None:
        greet(language)

    with DAG("own") as dag:
        each.expand(language=["French", "Danish"])
    assert OwnRun(dag).label("each.greet", 1) == "Danish"


def test_instances_share_the_arguments_in_which_they_do_not_differ_by_the_prompt_cache() -> None:
    @task.claude
    def read(report: str, part: str) -> str:
        return f"Read {len(report)}."

    with DAG("own") as dag:
        read.partial(report=facts()).expand(part=["first", "second"])
    run = OwnRun(dag, {"facts": "word " * 5_000})
    first, second = (run.call("read", index).request.messages[0].content for index in (0, 1))
    assert first[0] == second[0]
    assert ["cache_control" in block for block in first] == [True, False]
    assert "first" in first[1]["text"]


def test_nothing_that_comes_from_an_xcom_is_rendered() -> None:
    @task.claude
    def say(text: Any) -> str:
        return f"Say {text}."

    with DAG("own") as dag:
        say(facts())
        say.override(task_id="each").expand(text=facts())
        say.override(task_id="sets").expand_kwargs(facts.override(task_id="found")())
    returned = {"facts": TEMPLATE, "facts__1": [TEMPLATE], "found": [{"text": [TEMPLATE]}]}
    run = OwnRun(dag, returned)
    assert told(run.call("say"))["task say"] == f"Say {TEMPLATE}."
    assert told(run.call("each", 0))["task each"] == f"Say {TEMPLATE}."
    assert told(run.call("sets", 0))["task sets"] == f"Say ['{TEMPLATE}']."


@pytest.mark.parametrize(
    ("returned", "words"), [(None, "nothing"), ("  ", "blank"), ("x" * 20_001, "20,000")]
)
def test_a_function_that_returns_no_instruction_fails_with_a_sentence(returned: Any, words: str) -> None:
    with DAG("own") as dag:
        task.claude(task_id="ask")(lambda: returned)()
    context = OwnRun(dag).rendered("ask")
    with pytest.raises(PlanError, match=f"Task 'ask' has 1 fault:\n.*{words}"):
        context["task"].execute(context)


def test_wrong_arguments_are_refused_where_the_function_is_decorated() -> None:
    with pytest.raises(PlanError, match="budget_usd must be more than 0"):
        task.claude(limits={"budget_usd": 0})(facts.function)
