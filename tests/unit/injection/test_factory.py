"""A text anywhere in a plan: the DAG that is built of it holds it as data, or the plan is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from chassis.dag.factory import build_dag, build_error_dag
from chassis.dag.loader import load_shard
from chassis.errors import PlanError
from chassis.plans.refs import PlanRef
from chassis.plans.shards import loader_files
from chassis.settings import Settings
from chassis.text import DECEIVING, one_line, signs
from chassis.workflow import WorkflowSpec, check_plan, plan_digest
from chassis.workflow.placeholders import placeholders
from tests.injection.corpus import Attack, each_text

SETTINGS = Settings()


def plan(attack: Attack) -> WorkflowSpec:
    """A plan with the text wherever text may be, and as much of it as may be there."""
    text = attack.text.encode("utf-8", "replace").decode() or "?"
    line = one_line(text, 200) or "?"
    instruction = text[:20_000] if text[:20_000].strip() else "?"
    if set(placeholders(instruction)) - {"item"}:
        instruction = "Do {item}."
    data = {
        "schema_version": 1,
        "id": "w",
        "title": line,
        "requirement": text[:100_000] if text[:100_000].strip() else "?",
        "owner": line,
        "tags": [f"tag {line}"[:100]],
        "schedule": {"asset": line},
        "inputs": {
            "one": {"type": "string", "default": text[:100_000], "description": line},
            "many": {"type": "array", "default": [line]},
        },
        "tasks": [
            {"id": "first", "name": line, "instruction": instruction.replace("{item}", "{ item}")},
            {
                "id": "each",
                "name": line,
                "instruction": instruction,
                "for_each": {"items": [line, "{{ 6 * 8 }}"]},
                "depends_on": ["first"],
                "output_schema": {"description": text[:1_000], "enum": [text[:500]]},
            },
            {"id": "other", "name": line, "instruction": "Do {item}.", "for_each": {"input": "many"}},
        ],
    }
    return check_plan(data)


def serialised(dag: Any) -> None:
    """As the dag-processor stores it, and the scheduler reads it."""
    DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


@each_text
def test_a_dag_holds_a_text_as_data(attack: Attack) -> None:
    spec = plan(attack)
    dag = build_dag(spec, revision=1, settings=SETTINGS)
    assert set(dag.task_ids) == {"first", "each", "other", "other__items"}
    assert {tuple(task.template_fields) for task in dag.tasks} == {(), ("item",)}
    assert {task.map_index_template for task in dag.tasks} == {None, "{{ task.item }}"}
    group = dag.get_task("each").get_closest_mapped_task_group()
    assert group._expand_input.value == {"item": [spec.title, "{{ 6 * 8 }}"]}, "literally, and unrendered"
    assert dag.params["one"] == spec.inputs["one"].default
    page_shows(str(dag.doc_md), spec.requirement)
    page_shows(str(dag.get_task("first").doc_md), spec.tasks[0].instruction)
    serialised(dag)


def page_shows(page: str, text: str) -> None:
    """A page of Markdown has the text, and nothing of it is more than text: each of its lines is indented."""
    assert not DECEIVING.search(page)
    assert page.endswith("\n"), "what ends in .md is taken for a file"
    lines = page.splitlines()
    assert all(line.startswith("    ") or not line or line in HEADINGS for line in lines)
    shown = "\n".join(line.removeprefix("    ") for line in lines)
    assert "\n".join(signs(text).splitlines()) in shown


HEADINGS = ("**Requirement**", "**Tasks**", "**Instruction**", "**This workflow's plan can't be used**")


@each_text
def test_the_reason_of_a_broken_plan_is_text_too(attack: Attack) -> None:
    dag = build_error_dag("w", attack.text.encode("utf-8", "replace").decode())
    page_shows(str(dag.doc_md), attack.text.encode("utf-8", "replace").decode())
    serialised(dag)


@each_text
def test_no_text_gets_into_the_code_of_a_loader_file(attack: Attack, tmp_path: Any) -> None:
    """What stands in a loader file is made of ids and digests, and nothing else can become a reference."""
    assert PlanRef.parse(attack.text, "000001-0123456789ab.yaml") is None or attack.text.isidentifier()
    assert PlanRef.parse("w", attack.text) is None
    assert load_shard({"w": attack.text, attack.text: "x.yaml"}, cache=str(tmp_path)) == {}
    with pytest.raises(PlanError):
        PlanRef("w", 1, attack.text)
    ref = PlanRef("w", 1, plan_digest(plan(attack))[:12])
    (text,) = loader_files({"w": ref}, 1, tmp_path).values()
    assert ref.name in text
    assert text.count("\n") == 12
    compile(text, "loader", "exec")
