from __future__ import annotations

from chassis.cli.task_shapes import TaskShape, revision_of_tags, shape_of_dag, shape_of_plan
from chassis.workflow import check_plan
from tests.unit.fake_airflow import task

PLAN = {
    "schema_version": 1,
    "id": "onboard",
    "title": "Onboard",
    "requirement": "Onboard",
    "inputs": {"regions": {"type": "array", "default": ["eu", "us"]}},
    "tasks": [
        {"id": "report", "name": "Report", "instruction": "Report", "depends_on": ["verify", "roll_out"]},
        {
            "id": "update",
            "name": "Update",
            "instruction": "{item}",
            "for_each": {"items": ["pricing", "claims"]},
        },
        {
            "id": "verify",
            "name": "Verify",
            "instruction": "{item}",
            "for_each": {"same_as": "update"},
            "depends_on": ["update"],
        },
        {"id": "roll_out", "name": "Roll out", "instruction": "{item}", "for_each": {"input": "regions"}},
    ],
}


def test_a_plans_tasks_stand_in_the_order_in_which_they_can_run() -> None:
    shape = shape_of_plan(check_plan(PLAN), 3, {})
    assert [task.id for task in shape.tasks][-1] == "report"
    assert shape.revision == 3


def test_each_step_of_a_group_has_the_groups_items_and_says_where_they_come_from() -> None:
    tasks = {task.id: task for task in shape_of_plan(check_plan(PLAN), 1, {}).tasks}
    assert tasks["update"].items == tasks["verify"].items == ("pricing", "claims")
    assert tasks["update"].for_each == "pricing, claims"
    assert tasks["verify"].for_each == "same as update"
    assert tasks["report"].items is None
    assert tasks["report"].for_each == ""


def test_items_of_an_input_are_the_runs_or_else_the_plans_default() -> None:
    spec = check_plan(PLAN)
    assert _items_of("roll_out", shape_of_plan(spec, 1, {})) == ("eu", "us")
    assert _items_of("roll_out", shape_of_plan(spec, 1, {"regions": ["jp"]})) == ("jp",)


def test_a_dag_gives_names_dependencies_and_order_and_hides_helpers() -> None:
    tasks = [
        task("aa_last"),
        task("discover", "update__items", "update"),
        task("update__items", "update"),
        task("update", "aa_last", mapped=True),
    ]
    shape = shape_of_dag(tasks, 2)
    assert shape.tasks == (
        TaskShape("discover", "discover", ()),
        TaskShape("update", "update", ("discover",), "each item", group="mapped"),
        TaskShape("aa_last", "aa last", ("update",)),
    )


def test_a_hand_written_dag_may_have_ids_with_two_underscores() -> None:
    """Airflow itself gives them to a function that is used twice."""
    shape = shape_of_dag([task("ask", "ask__1"), task("ask__1"), task("find__items")], None)
    assert [each.id for each in shape.tasks] == ["ask", "find__items", "ask__1"]


def test_the_revision_is_read_from_the_tags() -> None:
    tags = [{"name": "chassis"}, {"name": "revision:12"}, {"name": "plan:5f0c8a1b2c3d"}]
    assert revision_of_tags({"tags": tags}) == 12
    assert revision_of_tags({"tags": [{"name": "revision:x"}]}) is None


def _items_of(task_id: str, shape: object) -> object:
    return next(task.items for task in shape.tasks if task.id == task_id)  # type: ignore[attr-defined]
