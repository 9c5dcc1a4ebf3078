from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.dag.factory import build_dag, build_error_dag
from chassis.dag.fan_out import Dependency
from chassis.settings import Settings
from chassis.workflow import Provenance, Schedule, TaskSpec, WorkflowSpec, load_plan

SETTINGS = Settings()

PLAN = """
schema_version: 1
id: add_pet_insurance
title: Add the pet insurance product
requirement: |
  Add pet insurance product to all services. See notes.md
owner: platform
tags: [insurance]
inputs:
  product: {type: string, default: pet insurance, description: The product's name}
  services: {type: array, default: [pricing, claims]}
  count: {type: integer}
limits: {max_parallel: 8}
tasks:
  - id: discover
    name: Discover
    instruction: List what {product} touches.
    output_schema:
      {type: object, properties: {files: {type: array, items: {type: string}}}, required: [files]}
  - id: update_service
    name: Update one service
    instruction: Add {product} to {item}.
    for_each: {items: [pricing, claims, contracts]}
    retries: 5
    timeout_minutes: 7
  - id: verify_service
    name: Verify one service
    instruction: Verify {item}.
    for_each: {same_as: update_service}
    depends_on: [update_service, discover]
  - id: check_file
    name: Check one file
    instruction: Check {item}.
    for_each: {output_of: discover, path: files}
    depends_on: [discover]
  - {id: note, name: Note, instruction: "Note {item}.", for_each: {input: services}}
  - {id: report, name: Report, instruction: Report, depends_on: [verify_service, check_file, note]}
"""


@pytest.fixture(scope="module")
def dag() -> Any:
    return build_dag(load_plan(PLAN), revision=3, settings=SETTINGS)


def test_the_plans_task_ids_are_the_airflow_task_ids_also_inside_groups(dag: Any) -> None:
    plan_ids = {"discover", "update_service", "verify_service", "check_file", "note", "report"}
    assert set(dag.task_ids) == plan_ids | {"check_file__items", "note__items"}


def test_edges_are_the_declared_dependencies_and_what_the_items_need(dag: Any) -> None:
    upstream = {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}
    assert upstream == {
        "discover": set(),
        "update_service": set(),
        "verify_service": {"update_service", "discover"},
        "check_file__items": {"discover"},
        "check_file": {"discover", "check_file__items"},
        "note__items": set(),
        "note": {"note__items"},
        "report": {"verify_service", "check_file", "note"},
    }


def test_steps_that_share_their_items_form_one_mapped_group(dag: Any) -> None:
    groups = {
        group_id: set(group.children)
        for group_id, group in dag.task_group.get_task_group_dict().items()
        if group_id
    }
    assert groups == {
        "update_service__each": {"update_service", "verify_service"},
        "check_file__each": {"check_file"},
        "note__each": {"note"},
    }
    assert dag.get_task("update_service").get_closest_mapped_task_group()._expand_input.value == {
        "item": ["pricing", "claims", "contracts"]
    }


def test_a_task_reads_its_own_items_results_in_its_group_and_all_of_them_outside(dag: Any) -> None:
    verify = dag.get_task("verify_service")
    assert verify.dependencies == (
        Dependency("update_service", "same", verify.items),
        Dependency("discover", "one"),
    )
    assert {d.instances for d in dag.get_task("report").dependencies} == {"all"}
    assert {d.items for d in dag.get_task("report").dependencies} >= {verify.items}


def test_a_task_knows_whether_another_one_begins_its_prompt_alike(dag: Any) -> None:
    """Only then does what is kept of it in the prompt cache find a reader; an answer's schema is part of the prompt."""
    assert dag.get_task("report").others
    assert not dag.get_task("discover").others, "no other has its output_schema"


def test_retries_timeout_pool_labels_and_names_come_from_the_plan_and_the_settings(dag: Any) -> None:
    update, verify = dag.get_task("update_service"), dag.get_task("verify_service")
    assert (update.retries, verify.retries) == (5, SETTINGS.task_retries)
    assert update.execution_timeout == timedelta(minutes=7)
    assert verify.execution_timeout == timedelta(minutes=SETTINGS.task_timeout_minutes)
    assert update.retry_exponential_backoff == 2
    assert {task.pool for task in (update, verify)} == {"bedrock"}
    assert update.map_index_template == "{{ task.item }}"
    assert update.task_display_name == "Update one service"


def test_the_dag_carries_title_owner_tags_params_and_parallelism(dag: Any) -> None:
    assert dag.dag_display_name == "Add the pet insurance product"
    assert dag.max_active_tasks == 8
    assert {"chassis", "insurance", "revision:3"} <= dag.tags
    assert [tag for tag in dag.tags if tag.startswith("plan:") and len(tag) == 17]
    assert {task.owner for task in dag.tasks} == {"platform"}
    assert dag.params["product"] == "pet insurance"
    assert dag.params["services"] == ["pricing", "claims"]
    assert dag.params.get_param("count").schema["type"] == "integer"
    assert not dag.params.get_param("count").has_value
    assert dag.params["carry_over_from"] is None
    assert dag.schedule is None


def test_nothing_that_a_person_or_a_model_wrote_is_a_template_field(dag: Any) -> None:
    fields = {task.task_id: tuple(task.template_fields) for task in dag.tasks}
    assert set(fields.values()) == {(), ("item",)}


def test_a_requirement_that_ends_like_a_file_name_is_not_opened_as_one(tmp_path: Any) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("the secret")
    for text in (str(secret), f"Look at {secret}"):
        spec = load_plan(PLAN).model_copy(update={"requirement": text})
        built = build_dag(spec, revision=1, settings=SETTINGS)
        assert "the secret" not in built.doc_md
        assert str(secret) in built.doc_md


@pytest.mark.parametrize(
    ("schedule", "expression", "timezone"),
    [
        ("{cron: 0 6 * * 1, timezone: Europe/Berlin}", "0 6 * * 1", "Europe/Berlin"),
        ("{preset: '@daily'}", "0 0 * * *", "UTC"),
    ],
)
def test_a_schedule_becomes_a_timetable_in_its_timezone_without_catch_up(
    schedule: str, expression: str, timezone: str
) -> None:
    text = PLAN.replace("count: {type: integer}", "count: {type: integer, default: 1}")
    built = build_dag(load_plan(f"{text}schedule: {schedule}\n"), revision=1, settings=SETTINGS)
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.to_dict(built)["dag"]["timetable"]["__var"]
    assert timetable["timezone"] == timezone
    assert timetable["expression"] == expression
    assert built.catchup is False


def test_an_error_dag_has_one_task_that_fails_with_the_reason() -> None:
    built = build_error_dag("broken", "The plan has no tasks.md")
    assert built.task_ids == ["plan_error"]
    assert "plan-error" in built.tags
    assert built.get_task("plan_error").retries == 0
    with pytest.raises(Exception, match="The plan has no tasks"):
        built.get_task("plan_error").execute({})


SERIALISE = """
import json, sys
from airflow.serialization.serialized_objects import DagSerialization
from airflow.models.serialized_dag import SerializedDagModel
from chassis.dag.factory import build_dag
from chassis.settings import Settings
from chassis.workflow import Provenance, Schedule, TaskSpec, WorkflowSpec, load_plan
dag = build_dag(load_plan(sys.stdin.read()), revision=3, settings=Settings())
print(SerializedDagModel.hash(DagSerialization.to_dict(dag)))
"""


def test_the_same_plan_has_the_same_serialised_hash_in_processes_with_other_hash_seeds() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SERIALISE],
            input=PLAN,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def scheduled(catchup: bool, planned_at: str | None) -> WorkflowSpec:
    provenance = planned_at and Provenance(
        planner_model="m", agents={}, planned_at=planned_at, planner_run="r", simulated=True
    )
    return WorkflowSpec(
        schema_version=1,
        id="weekly",
        title="Weekly",
        requirement="Do it.",
        tasks=(TaskSpec(id="step", name="Step", instruction="Do it."),),
        schedule=Schedule(cron="0 6 * * 1", timezone="Europe/Berlin", catchup=catchup),
        provenance=provenance or None,
    )


@pytest.mark.parametrize(
    ("catchup", "planned_at", "first"),
    [
        (False, None, "next"),
        (False, "2026-03-04T12:00:00+00:00", "latest"),
        (True, "2026-03-04T12:00:00+00:00", "2026-03-09T05:00:00+00:00"),
        (True, None, "next"),
    ],
)
def test_a_schedule_reaches_back_to_the_time_of_planning_at_most(
    catchup: bool, planned_at: str | None, first: str
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    built = build_dag(scheduled(catchup, planned_at), revision=1, settings=SETTINGS)
    dag = DagSerialization.from_dict(DagSerialization.to_dict(built))
    run = dag.next_dagrun_info(last_automated_run_info=None)
    now, week = datetime.now(UTC), timedelta(days=7, hours=1)
    if first == "next":
        assert now < run.run_after < now + week, "publishing is no reason to run"
    elif first == "latest":
        assert now - week < run.run_after <= now, "what was missed since then counts once"
    else:
        assert run.run_after == datetime.fromisoformat(first)
