from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from chassis.contract.run_view import RunView, TaskView
from chassis.contract.spending import RunLimits, Spending, Totals
from chassis.ui.queries import Instance, RunState
from chassis.ui.run_reader import OVERLAP, SETTLED, tasks_of_dag, tasks_of_plan, view_run
from chassis.workflow import load_plan
from tests.unit.ui.two_steps import PLAN

BY_OUTPUT = PLAN.replace("{items: [one, two]}", "{output_of: prepare, path: names}").replace(
    "instruction: Prepare.,",
    "instruction: Prepare., output_schema: {type: object, properties: {names: {type: array, items: {type: string}}}},",
)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(task_id: str, map_index: int, state: str | None, **facts: Any) -> Instance:
    return Instance(
        **{
            "task_id": task_id,
            "map_index": map_index,
            "state": state,
            "try_number": 1,
            "start": None,
            "end": None,
            "label": None,
            "updated": NOW,
            "operator": "PlannedTaskOperator",
            **facts,
        }
    )


def viewed(*instances: Instance, plan: str = PLAN, now: datetime = NOW, **lists: Any) -> RunView:
    spec = load_plan(plan, source="the test")
    run = RunState("two_steps", "r", "running", NOW, None, None, None, instances)
    found: Any = SimpleNamespace(spec=spec, ref=SimpleNamespace(revision=3), pinned=True)
    return view_run(run, found, tasks_of_plan(spec, lists), now)


def task(view: RunView, task_id: str) -> TaskView:
    return next(each for each in view.tasks if each.id == task_id)


def items(view: RunView, task_id: str) -> list[str | None]:
    return [each.item for each in task(view, task_id).instances]


def test_the_tasks_stand_in_the_plans_order_then_what_the_plan_does_not_name() -> None:
    view = viewed(at("zero", -1, "removed"), at("join", -1, None), at("prepare", -1, "success"))
    assert [each.id for each in view.tasks] == ["prepare", "do", "verify", "join", "zero"]
    assert [each.kind for each in view.tasks] == ["planned"] * 4 + ["other"]
    assert (view.title, view.revision) == ("Two steps", 3)


def test_items_that_are_still_to_come_are_in_it_one_by_one() -> None:
    view = viewed(at("do", -1, None))
    assert [(each.map_index, each.item) for each in task(view, "do").instances] == [(-1, "one"), (-1, "two")]
    assert items(view, "verify") == ["one", "two"]
    assert task(view, "verify").instances[0].updated is None
    assert task(view, "do").mapped
    assert not task(view, "join").mapped


def test_what_has_ended_was_done_for_the_item_of_its_label_and_else_goes_by_the_plan() -> None:
    view = viewed(at("do", 0, "success", label="old"), at("do", 1, "running", label="old"))
    assert items(view, "do") == ["old", "two"]


def test_items_that_only_the_run_knows_are_those_of_its_list_or_of_a_label_of_the_same_place() -> None:
    run = [
        at("do", 0, "success", label="claims"),
        at("do", 1, "queued"),
        at("verify", 0, None),
        at("verify", 1, None),
    ]
    assert items(viewed(*run, plan=BY_OUTPUT), "verify") == ["claims", None]
    assert items(viewed(*run, plan=BY_OUTPUT, do=["claims", "pricing"]), "verify") == ["claims", "pricing"]


def test_a_helper_stands_before_the_task_whose_items_it_finds() -> None:
    view = viewed(at("do__items", -1, "success"), at("do", 0, "running"), plan=BY_OUTPUT)
    assert [(each.id, each.kind) for each in view.tasks][1:3] == [("do__items", "items"), ("do", "planned")]
    assert task(view, "do__items").name == "Do it: items"


def test_a_result_that_is_older_than_what_it_rests_on_is_outdated() -> None:
    older, newer = (
        {"start": NOW - timedelta(hours=hours), "end": NOW - timedelta(hours=hours)} for hours in (2, 1)
    )
    view = viewed(
        at("do", 0, "success", **newer), at("do", 1, "success", **older),
        at("verify", 0, "success", **older), at("verify", 1, "success", **newer), at("join", -1, "success", **newer),
    )  # fmt: skip
    assert [each.outdated for each in task(view, "verify").instances] == [True, False]


def test_the_next_look_goes_back_a_little_while_changes_may_be_on_their_way() -> None:
    run = at("prepare", -1, "success", updated=NOW - timedelta(seconds=10))
    assert viewed(run).since == (run.updated - OVERLAP).isoformat()
    assert viewed(run, now=NOW + SETTLED).since == run.updated.isoformat()


def test_a_dag_without_a_plan_has_its_tasks_in_their_order() -> None:
    with DAG("mine", schedule=None) as dag:
        found = EmptyOperator(task_id="z_find", task_display_name="Find")
        asked = BashOperator.partial(task_id="ask").expand(bash_command=["a", "b"])
        found >> asked >> EmptyOperator(task_id="join")
    tasks = tasks_of_dag(DagSerialization.from_dict(DagSerialization.to_dict(dag)))
    assert [(each.id, each.name, each.depends_on, each.group) for each in tasks] == [
        ("z_find", "Find", (), None),
        ("ask", "ask", ("z_find",), "mapped"),
        ("join", "join", ("ask",), None),
    ]


class TestAnotherAnswer:
    def test_takes_the_place_of_what_both_have(self) -> None:
        first = viewed(at("prepare", -1, "running"), at("do", 0, "success"), at("do", 1, None))
        later = viewed(at("prepare", -1, "success"), at("do", 1, "running"))
        joined = first.joined(later)
        assert [each.state for each in task(joined, "do").instances] == ["success", "running"]
        assert [each.state for each in task(joined, "prepare").instances] == ["success"]

    def test_forgets_neither_what_a_task_had_spent_nor_the_newest_word_on_the_run(self) -> None:
        first, later = viewed(at("prepare", -1, "success")), viewed(at("prepare", -1, "running"))
        spending = Spending(task=Totals(calls=1), run=Totals(calls=1), limits=RunLimits())
        [done] = task(first, "prepare").instances
        tasks = [
            task(first, "prepare").model_copy(
                update={"instances": (done.model_copy(update={"spent": spending.task}),)}
            )
        ]
        joined = first.model_copy(update={"spending": spending, "tasks": tuple(tasks)}).joined(later)
        assert (task(joined, "prepare").instances[0].state, joined.spending) == ("running", spending)
        assert task(joined, "prepare").instances[0].spent == spending.task

    def test_drops_items_that_were_to_come_once_they_are_there(self) -> None:
        joined = viewed(at("do", -1, None)).joined(viewed(at("do", 0, None), at("do", 1, None)))
        assert [each.map_index for each in task(joined, "do").instances] == [0, 1]
