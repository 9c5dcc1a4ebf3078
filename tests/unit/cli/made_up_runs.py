"""A workflow of two tasks, the planner's run that publishes it, and runs of it, for the fake Airflow."""

from __future__ import annotations

from typing import Any

from chassis.estimate import estimate_plan
from chassis.settings import Settings
from chassis.workflow import check_plan, dump_plan, plan_digest
from chassis.workflow.plan_changes import plan_changes
from tests.unit.fake_airflow import FakeRun, instance

SPEC: dict[str, Any] = {
    "schema_version": 1,
    "id": "onboard",
    "title": "Onboard [bold]a product",
    "requirement": "Onboard a product",
    "tasks": [
        {
            "id": "update",
            "name": "Update",
            "instruction": "Update {item}",
            "for_each": {"items": ["pricing", "claims"]},
        },
        {"id": "report", "name": "Report", "instruction": "Report", "depends_on": ["update"]},
    ],
}
USAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 0, "cache_write_tokens": 0, "calls": 1}
PLANNED = {
    "workflow_id": "onboard",
    "plan": dump_plan(check_plan(SPEC)),
    "digest": "0" * 64,
    "usage": USAGE,
    "cost_usd": None,
    "model": "simulated",
    "attempts": 1,
    "simulated": True,
    "request_ids": [],
}
APPROVED = {
    "workflow_id": "onboard",
    "plan": PLANNED["plan"],
    "digest": "0" * 64,
    "decision": {"without": "no approval is asked for"},
}
PUBLISHED = {
    "workflow_id": "onboard",
    "revision": 3,
    "digest": "0" * 64,
    "changed": True,
    "changes": ["schedule kept: 0 6 * * 1 UTC"],
    "warnings": ["task 'update': 'pricin' is not a service of the catalogue, 'pricing' is."],
}
RUN = "planned__p1"


def done(task_id: str, item: str | None = None) -> dict[str, Any]:
    return {
        "task": task_id,
        "item": item,
        "summary": f"{task_id} {item} is done",
        "output": "the **output**",
        "usage": USAGE,
        "cost_usd": None,
        "model": "simulated",
        "request_ids": [],
        "simulated": True,
    }


def spending(task_usd: float, run_usd: float, **facts: Any) -> dict[str, Any]:
    """What a task leaves as XCom ``spending``, with 15 tokens for each cent.

    :param facts: ``limits`` of the run, ``task_limits``, ``ceilings``; and what else is to stand in the run's totals
    """
    limits = {
        "run": facts.pop("limits", {}),
        "task": facts.pop("task_limits", {}),
        "deployment": facts.pop("ceilings", {}),
        "max_parallel": 16,
    }
    return {
        "task": _totals(task_usd),
        "run": {**_totals(run_usd), **facts},
        "limits": limits,
        "prices": "genai-prices 0.0.1, newest price in force since 2026-10-01",
    }


def _totals(usd: float) -> dict[str, Any]:
    cents = round(usd * 100)
    usage = {**USAGE, "input_tokens": 10 * cents, "output_tokens": 5 * cents, "calls": cents}
    return {"calls": cents, "usage": usage, "cost_usd": usd}


def planner_run(**states: str | None) -> FakeRun:
    """A planner's run that goes from nothing to these states of its tasks."""
    tasks = ("plan", "approve", "publish", "await_dag", "trigger")
    before = [instance(name, None) for name in tasks]
    after = [instance(name, states.get(name, "success")) for name in tasks]
    state = "failed" if "failed" in states.values() else "success"
    run = FakeRun(state, [before, after])
    run.xcoms = {
        ("plan", -1, "return_value"): PLANNED,
        ("approve", -1, "return_value"): APPROVED,
        ("publish", -1, "return_value"): PUBLISHED,
    }
    return run


def workflow_run(*, broken: str | None = None) -> FakeRun:
    """A run of the workflow to its end; one item may fail."""
    states = {item: "failed" if item == broken else "success" for item in ("pricing", "claims")}
    last = "upstream_failed" if broken else "success"
    end = [instance("update", states[item], index) for index, item in enumerate(states)]
    start = [instance("update", "running", index) for index in (0, 1)]
    run = FakeRun(
        "failed" if broken else "success",
        [[*start, instance("report", None)], [*end, instance("report", last)]],
    )
    for index, (item, state) in enumerate(states.items()):
        key = ("update", index, "return_value" if state == "success" else "error")
        error = {"class": "TaskBlockedError", "message": "No access to the repository.", "hint": "Give it."}
        run.xcoms[key] = done("update", item) if state == "success" else error
    if not broken:
        run.xcoms[("report", -1, "return_value")] = done("report")
    return run


def proposal(instruction: str = "Report", **facts: Any) -> dict[str, Any]:
    """What the planner's task ``approve`` shows of a plan: :data:`SPEC`, with this instruction of its last task."""
    spec = check_plan({**SPEC, "tasks": [SPEC["tasks"][0], {**SPEC["tasks"][1], "instruction": instruction}]})
    estimate = estimate_plan(spec, agents={}, settings=Settings())
    return {
        "number": 1,
        "asked": 1,
        "workflow_id": "onboard",
        "plan": dump_plan(spec),
        "digest": plan_digest(spec),
        "title": spec.title,
        "by": "claude",
        "comment": "",
        "before": None,
        "changes": plan_changes(check_plan(SPEC), spec).model_dump(mode="json"),
        "estimate": estimate.model_dump(mode="json"),
        "base_revision": 3,
        "deadline": "2026-03-04T06:00:00+00:00",
        "refused": "",
        **facts,
    }


def asking_run(document: dict[str, Any], *then: FakeRun) -> FakeRun:
    """A planner's run that waits for a decision.

    :param then: how it goes on after an answer
    """
    run = planner_run()
    waits = [
        instance("plan", "success"),
        instance("approve", "awaiting_input", try_number=1),
        instance("publish", None),
    ]
    run.snapshots = [waits]
    run.state = "running"
    run.xcoms = {("plan", -1, "return_value"): PLANNED, ("approve", -1, "proposal"): document}
    run.after_answers = list(then)
    return run


def rejected_run() -> FakeRun:
    """A planner's run whose plan was rejected."""
    run = planner_run(approve="failed", publish="upstream_failed")
    run.xcoms[("approve", -1, "error")] = {
        "class": "PlanRejectedError",
        "message": "ann rejected the plan of 'onboard': too dear",
        "hint": "",
    }
    return run
