"""A plan as text and back, and its digest."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import PlanError
from chassis.workflow import Provenance, WorkflowSpec, check_plan, dump_plan, load_plan, plan_digest
from chassis.workflow.plan_check import _GROWTH
from chassis.workflow.yaml_text import write_yaml
from tests.unit.workflow.strategies import json_values, plan_data, plans

if TYPE_CHECKING:
    import random

GOLDEN = Path(__file__).parent / "golden" / "add_pet_insurance.yaml"
DIGEST = "0e24a65c29968801427d834bd4f1eae9be4371e65074beface2ae4663b21490d"


@given(plans())
def test_a_plan_comes_back_from_its_text_as_it_was(plan: WorkflowSpec) -> None:
    text = dump_plan(plan)
    assert load_plan(text) == plan
    assert plan_digest(load_plan(text)) == plan_digest(plan)
    assert dump_plan(load_plan(text)) == text, (
        "the text of a plan is canonical: writing it again changes nothing"
    )


@given(plans())
def test_another_yaml_reader_reads_the_same_plan(plan: WorkflowSpec) -> None:
    assert check_plan(yaml.safe_load(dump_plan(plan))) == plan


@given(plan_data(), st.randoms(use_true_random=False))
def test_the_digest_is_independent_of_the_order_of_keys(data: dict[str, Any], order: random.Random) -> None:
    try:
        digest = plan_digest(check_plan(data))
    except PlanError:
        return
    assert plan_digest(check_plan(_shuffled(data, order))) == digest


def _shuffled(data: Any, order: random.Random) -> Any:
    if isinstance(data, list):
        return [_shuffled(value, order) for value in data]
    if not isinstance(data, dict):
        return data
    keys = list(data)
    order.shuffle(keys)
    return {key: _shuffled(data[key], order) for key in keys}


@given(plans(), st.text(st.characters(exclude_categories=["Cs"])))
def test_the_digest_is_independent_of_the_provenance(plan: WorkflowSpec, model: str) -> None:
    where = Provenance(
        planner_model=model, agents={}, planned_at="2026-03-01T06:00:00+00:00", planner_run="r"
    )
    assert plan_digest(plan.model_copy(update={"provenance": where})) == plan_digest(plan)


EDITS: dict[str, Any] = {
    "id": "other",
    "title": "Other",
    "requirement": "Other",
    "inputs": {name: {"type": "string", "default": "other"} for name in ("product", "rate", "regions")},
    "schedule": {"preset": "@daily"},
    "owner": "team",
    "tags": ["other"],
    "tasks": [{"id": "only", "name": "Only", "instruction": "Do it for {product}."}],
    "limits": {"max_parallel": 3},
    "approve": "always",
}


@pytest.mark.parametrize(
    "field", [name for name in WorkflowSpec.model_fields if name not in ("schema_version", "provenance")]
)
def test_the_digest_changes_with_every_part_of_a_plan(field: str) -> None:
    plan = load_plan(GOLDEN.read_text())
    data = plan.model_dump(mode="json", exclude_defaults=True)
    assert plan_digest(check_plan(data | {field: EDITS[field]})) != plan_digest(plan)


def test_the_order_of_tasks_items_and_dependencies_counts() -> None:
    plan = load_plan(GOLDEN.read_text())
    turned = plan.model_copy(update={"tasks": plan.tasks[::-1]})
    assert plan_digest(turned) != plan_digest(plan)


def test_text_and_digest_of_the_golden_plan_stay_what_they_were() -> None:
    """Plans in a store are known by their digest: a change here is a new schema version, or a mistake."""
    text = GOLDEN.read_text(encoding="utf-8")
    plan = load_plan(text)
    assert dump_plan(plan) == text
    assert plan_digest(plan) == DIGEST


@given(
    st.one_of(
        st.text(),
        st.binary(),
        st.lists(st.sampled_from(list("ab:-[]{}#&*!|>'\"%@`,? \n\t\x00é\ud800"))).map("".join),
    )
)
def test_any_text_is_a_plan_or_a_plan_error(text: str | bytes) -> None:
    with pytest.raises(PlanError):
        load_plan(text)


@given(st.data())
def test_a_plan_broken_anywhere_is_a_plan_or_a_plan_error(data: st.DataObject) -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    put = data.draw(
        st.one_of(
            st.just(""), st.text(max_size=5), st.sampled_from(["[", "{", ": ", "- ", "\n", "null", "1"])
        )
    )
    with contextlib.suppress(PlanError):
        load_plan(text[:start] + put + text[end:])


def test_an_error_names_the_source_of_the_text() -> None:
    with pytest.raises(PlanError, match=r"^The plan plans/x\.yaml has 1 fault:"):
        load_plan("tasks: [", source="plans/x.yaml")


def test_a_plan_that_could_not_be_read_again_is_refused_before_it_is_written() -> None:
    tasks = [{"id": f"t{n}", "name": "N", "instruction": "word\n" * 1_200} for n in range(200)]
    plan = {"schema_version": 1, "id": "w", "title": "W", "requirement": "R"}
    with pytest.raises(PlanError, match=r"has [0-9,]+ bytes as YAML, and at most 1,000,000 are allowed"):
        check_plan(plan | {"tasks": tasks})
    load_plan(dump_plan(check_plan(plan | {"tasks": tasks[:60]})))


def test_a_plan_that_grows_by_its_indentation_is_refused_when_it_is_written() -> None:
    """The check of a plan guesses its size; what it underrates can't get into a store all the same."""
    deep: Any = {f"k{n}": 1 for n in range(1_000)}
    for _ in range(50):
        deep = {"default": deep}
    tasks = [{"id": f"t{n}", "name": "N", "instruction": "I", "output_schema": deep} for n in range(9)]
    plan = check_plan({"schema_version": 1, "id": "w", "title": "W", "requirement": "R", "tasks": tasks})
    with pytest.raises(PlanError, match="bytes as YAML"):
        dump_plan(plan)


@given(json_values)
def test_the_guess_of_a_plans_size_is_on_the_safe_side(value: Any) -> None:
    plan = {"x": {"y": {"z": value}}}
    assert len(write_yaml(plan).encode()) <= _GROWTH * len(json.dumps(plan))
