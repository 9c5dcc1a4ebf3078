"""The fingerprint of a task: whatever the task is told changes it, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from chassis.agents import AgentDefinition
from chassis.catalogue import Service
from chassis.claude.connection_options import ClaudeOptions
from chassis.work.brief import GivenValue, Sharing, TaskBrief, UpstreamResult
from chassis.workflow import TaskSpec
from tests.with_each import with_each

AGENT = {"name": "task-executor", "description": "Does a task.", "prompt": "You do one task."}
TASK = {"id": "update", "name": "Update", "instruction": "Add {product} to {item}."}
SERVICE = {"name": "claims", "description": "Claims of customers."}
UPSTREAM = {"task": "discover", "item": None, "summary": "Two.", "output": {"n": 1}}
INPUTS: dict[str, Any] = {"product": "pets", "priority": 1, "services": ["pricing", "claims"]}


def of(
    agent: dict[str, Any] = {},  # noqa: B006  only read
    task: dict[str, Any] = {},  # noqa: B006
    service: dict[str, Any] | None = {},  # noqa: B006
    inputs: dict[str, Any] = {},  # noqa: B006
    upstream: list[dict[str, Any]] | None = None,
    **other: Any,
) -> str:
    """The fingerprint of a made-up task with some things changed."""
    results = [{}] if upstream is None else upstream
    told: dict[str, Any] = {
        "agent": AgentDefinition(**AGENT | agent),
        "inputs": INPUTS | inputs,
        "item_inputs": ("services",),
        "task": TaskSpec(**TASK | task),
        "item": "claims",
        "service": None if service is None else Service(**SERVICE | service),
        "results": [UpstreamResult.of(UPSTREAM | each) for each in results],
        "model": "us.anthropic.claude-opus-4-6-v1",
        "context_chars": 60_000,
    }
    return TaskBrief(**told | other).fingerprint()


@with_each(
    "changed",
    [
        {"agent": {"prompt": "You do one task well."}},
        {"agent": {"max_tokens": 900}},
        {"agent": {"name": "reviewer"}},
        {"agent": {"effort": "low"}},
        {"task": {"effort": "low"}},
        {"task": {"thinking": "disabled"}},
        {"task": {"id": "update_service"}},
        {"task": {"instruction": "Add {product} to the service {item}."}},
        {"task": {"output_schema": {"type": "object"}}},
        {"item": "pricing"},
        {"item": None},
        {"service": None},
        {"service": {"description": "Claims."}},
        {"service": {"repository": "git@host:claims"}},
        {"inputs": {"product": "cars"}},
        {"inputs": {"priority": 2}},
        {"inputs": {"priority": True}},
        {"inputs": {"priority": 1.0}},
        {"inputs": {"priority": "1"}},
        {"inputs": {"more": None}},
        {"item_inputs": ()},
        {"model": "us.anthropic.claude-other"},
        {"upstream": []},
        {"upstream": [{}, {}]},
        {"upstream": [{"task": "other"}]},
        {"upstream": [{"item": "x"}]},
        {"upstream": [{"status": "blocked"}]},
        {"upstream": [{"summary": "Three."}]},
        {"upstream": [{"output": {"n": 1.0}}]},
        {"upstream": [{"output": "{'n': 1}"}]},
        {"inputs": {"services": ["documents"]}, "task": {"instruction": "Add to {item}, one of {services}."}},
    ],
)
def test_whatever_a_task_is_told_changes_its_fingerprint(changed: dict[str, Any]) -> None:
    base = {"task": changed["task"]} if "inputs" in changed and "task" in changed else {}
    assert of(**changed) != of(**base)


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": {"services": ["documents"]}},  # no other work for this item
        {"task": {"name": "Update the service"}},  # what people read
        {"task": {"retries": 9, "timeout_minutes": 3}},  # how often, not what
        {"task": {"depends_on": ("discover",)}},  # the results themselves are in it
        {"task": {"model": "named-by-the-task"}},  # the model that is asked is in it
        {"upstream": [{"usage": {"calls": 3}, "cost_usd": 9.0, "request_ids": ["r"], "carried_from": "r1"}]},
    ],
    ids=str,
)
def test_what_a_task_is_not_told_leaves_it_as_it_is(changed: dict[str, Any]) -> None:
    assert of(**changed) == of()


def test_the_order_of_results_counts_and_that_of_inputs_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = {"item": "a"}, {"item": "b"}
    assert of(upstream=[one, other]) != of(upstream=[other, one])
    before = of()
    monkeypatch.setattr(sys.modules[__name__], "INPUTS", dict(reversed(INPUTS.items())))
    assert of() == before


def test_it_is_the_same_in_another_process() -> None:
    script = "from tests.unit.test_fingerprint import of; print(of())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == of()


def test_every_part_of_a_brief_but_these_is_in_it() -> None:
    not_in_it: dict[str, Any] = {
        "requirement": "Know both.",  # see fingerprint's docstring
        "context_chars": 1,  # how much of a prompt is cut
        "max_tokens": 9,  # how long an answer may be
        "options": ClaudeOptions(
            effort="low"
        ),  # how hard the connection has everybody try; the model is in it
        "sharing": Sharing(
            wave=True
        ),  # where the prompt cache is to keep what: changes no word but the order
        "given": [GivenValue(value="x")],  # only of hand-written DAGs, and no run takes over their results
    }
    for name, other in not_in_it.items():
        assert of(**{name: other}) == of(), f"{name} must not make another task of it"
    in_it = {"agent", "inputs", "item", "item_inputs", "model", "results", "service", "task"}
    assert in_it | not_in_it.keys() == {each.name for each in fields(TaskBrief)}, "the tests here miss one"
