"""The same plan is the same plan, the same DAG, the same question to the planner and the same change."""

from __future__ import annotations

import json

from chassis.dag.factory import build_dag, build_error_dag
from chassis.settings import Settings
from chassis.workflow import dump_plan, plan_digest
from chassis.workflow.plan_changes import plan_changes, told_changes
from chassis.workflow.planner_schemas import delta_schema, proposal_schema
from tests.unit.recorded.replay import RECORDED, names, plan, recorded, serialised


def test_a_plan_keeps_its_text_and_its_digest() -> None:
    for name in names("plans", ".yaml"):
        spec, text = plan(name), (RECORDED / "plans" / f"{name}.yaml").read_text()
        assert plan_digest(spec) == recorded(f"plans/{name}.json")["digest"], f"{name} would be another plan"
        assert dump_plan(spec) == text, f"{name} is written in other words than before"


def test_a_plan_keeps_its_serialised_dag() -> None:
    """Anything else makes Airflow store a new version of every workflow's DAG."""
    for name in names("plans", ".yaml"):
        built = build_dag(plan(name), revision=3, settings=Settings())
        assert serialised(built) == recorded(f"plans/{name}.json")["dag"], (
            f"{name} is another DAG than before"
        )
    retired = build_dag(plan("by_preset"), revision=4, settings=Settings(), retired=True)
    assert serialised(retired) == recorded("retired_dag.json"), "the DAG of a retired workflow"
    error = recorded("error_dag.json")
    built = build_error_dag(error["workflow_id"], error["reason"])
    assert serialised(built) == error["dag"], "the DAG that stands in for a plan that can't be built"


def test_the_planner_is_asked_for_the_same_answer() -> None:
    """Word for word and in the same order: the schema is a part of the prompt."""
    asked = recorded("schemas.json")
    for made, kind in ((proposal_schema, "proposal"), (delta_schema, "delta")):
        assert json.dumps(made(asked["agents"])) == json.dumps(asked[kind]), f"the schema of a {kind}"


def test_two_plans_differ_in_the_same_words() -> None:
    for pair in recorded("changes.json"):
        old, new = pair["from"] and plan(pair["from"]), plan(pair["to"])
        changes, what = plan_changes(old, new), f"from {pair['from']} to {pair['to']}"
        assert changes.model_dump(mode="json") == pair["changes"], f"the XCom of a proposal says them: {what}"
        assert changes.lines() == pair["lines"], f"what a reviewer reads: {what}"
        assert told_changes(old, new) == pair["told"], f"what the XComs of plan and publish say: {what}"
