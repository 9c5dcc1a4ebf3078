"""What is said at a field is what all that lists fields goes by."""

from __future__ import annotations

from chassis.workflow import InputSpec, Limits, SpendLimits, TaskSpec, WorkflowSpec
from chassis.workflow.field_meaning import facts, fields_set_by, leaves, meanings
from chassis.workflow.planner_schemas import delta_schema, proposal_schema

TASK = TaskSpec(id="a", name="A", instruction="Do it.")


def test_the_planner_is_asked_for_the_fields_that_it_sets_and_for_no_other() -> None:
    plan, changes = (schema(["writer"])["properties"] for schema in (proposal_schema, delta_schema))
    assert plan.keys() == fields_set_by(WorkflowSpec, "planner")
    for answer in (plan, changes):
        assert answer["tasks"]["items"]["properties"].keys() - {"change"} == fields_set_by(
            TaskSpec, "planner"
        )
        assert answer["inputs"]["items"]["properties"].keys() == fields_set_by(InputSpec, "planner") | {
            "name"
        }


def test_every_field_of_a_task_is_set_by_the_planner_or_by_people() -> None:
    assert fields_set_by(TaskSpec, "planner") | fields_set_by(TaskSpec, "person") == meanings(TaskSpec).keys()


def test_a_fingerprint_has_what_counts_and_of_that_only_what_is_set() -> None:
    assert TASK.fingerprinted() == {"task": "a", "output_schema": None}
    schema = {"type": "object", "default": None}
    task = TASK.model_copy(update={"effort": "high", "retries": 3, "output_schema": schema})
    assert task.fingerprinted() == {"task": "a", "output_schema": schema, "effort": "high"}


def test_facts_are_named_for_people_and_only_those_that_are_set() -> None:
    assert facts(TASK) == {}
    task = TASK.model_copy(update={"timeout_minutes": 1200, "output_schema": {"type": "object"}})
    assert facts(task) == {"timeout in minutes": "1,200", "output schema": '{\n  "type": "object"\n}'}
    limits = Limits(budget_usd=2.5, per_task=SpendLimits(budget_usd=0.5, max_calls=3))
    assert facts(limits) == {
        "budget in US dollars": "$2.50",
        "maximum parallel calls": "16",
        "budget per task in US dollars": "$0.50",
        "maximum calls per task": "3",
    }


def test_a_part_is_told_by_its_fields_and_has_a_default_only_where_a_plan_always_has_it() -> None:
    found = {leaf.name: leaf for leaf in leaves(WorkflowSpec)}
    assert {"schedule.cron", "limits.per_task.max_calls"} <= found.keys()
    assert not {"schedule", "limits", "limits.per_task"} & found.keys()
    assert (found["limits.max_parallel"].default, found["schedule.timezone"].default) == (16, None)
    assert found["schedule.cron"].label == "schedule cron"
