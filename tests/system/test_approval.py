"""A plan waits for a person, and what is published is exactly what that person approved.

Each test ends with a look into the plan store: an answer that could not be carried out, a plan made anew, a cleared
approval and two people at once must never publish anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import yaml

from chassis.files import open_files
from chassis.ledger.journal import RunLedger
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from chassis.workflow import load_plan, plan_digest
from tests.system.approving import PLANNER, Approval
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver, wait_for

REQUIREMENT = "Add 1 and 2"
STARTED_AT_ONCE = (
    *("sum_by_rest", "sum_edited", "sum_revised", "sum_rejected", "sum_cleared", "sum_by_two"),
    *("sum_in_terminal", "sum_changed"),
)


Start = Callable[..., Approval]


@pytest.fixture(scope="module")
def start(stack: LocalStack, airflow: AirflowDriver) -> Start:
    """Starts a planner's run that publishes only, and asks."""

    def start(workflow_id: str, requirement: str = REQUIREMENT, **params: Any) -> Approval:
        conf = {
            "requirement": requirement,
            "workflow_id": workflow_id,
            "action": "publish",
            "approve": "always",
        }
        return Approval(airflow, airflow.trigger(PLANNER, conf | params), str(stack.home / "records"))

    return start


@pytest.fixture(scope="module")
def hasty(stack: LocalStack, airflow: AirflowDriver) -> Approval:
    """A planner that waits for a second, started long before its test: Airflow looks every 15 s."""
    return Approval(airflow, airflow.trigger("hasty_planner"), str(stack.home / "records"), "hasty_planner")


@pytest.fixture(scope="module")
def approvals(start: Start, hasty: Approval) -> dict[str, Approval]:
    """Runs that are started at once, by the workflow that they plan."""
    return {workflow_id: start(workflow_id) for workflow_id in STARTED_AT_ONCE}


def published(store: PlanStore, workflow_id: str) -> list[str]:
    """Digests of the workflow's revisions."""
    return [plan_digest(store.read(ref)) for ref in store.revisions(workflow_id)]


def edited(proposal: dict[str, Any], **changes: Any) -> str:
    """The proposed plan as YAML with another instruction, or whatever is given, in its last task."""
    plan = yaml.safe_load(proposal["plan"])
    plan["tasks"][-1] |= changes or {"instruction": "Report the sum in two sentences."}
    return yaml.safe_dump(plan)


def test_what_is_approved_over_rest_is_published_with_who_and_when(
    approvals: dict[str, Approval], store: PlanStore
) -> None:
    approval = approvals["sum_by_rest"]
    proposal = approval.asks()
    assert proposal["changes"]["new"] is True
    assert proposal["estimate"]["calls"] == 3
    assert published(store, "sum_by_rest") == []

    proposal = approval.refused(proposal, "Approve", plan=proposal["digest"][:11])  # Airflow takes any text
    assert published(store, "sum_by_rest") == []

    assert (
        approval.answer("Approve", plan=f"plan:{proposal['digest'][:12]}", comment="Fine.") == httpx.codes.OK
    )
    assert approval.answer("Reject") == httpx.codes.CONFLICT, "a second answer"
    decision = approval.approved()["decision"]
    assert (decision["by"], decision["by_id"], decision["comment"]) == ("admin", "admin", "Fine.")
    assert published(store, "sum_by_rest") == [proposal["digest"]]
    provenance = store.read(store.get("sum_by_rest")).provenance
    assert provenance is not None
    assert (provenance.approved_by, provenance.approved_at) == ("admin", decision["at"])
    kinds = [kind for kind, _ in approval.decisions()]
    assert kinds == ["proposed", "refused", "approved"]


def test_an_edited_plan_is_held_to_every_rule_and_then_published_as_edited(
    approvals: dict[str, Approval], store: PlanStore
) -> None:
    approval = approvals["sum_edited"]
    proposal = approval.asks()
    wrong = edited(proposal, agent="nobody", depends_on=["not_there"])
    proposal = approval.refused(proposal, "Approve", plan=proposal["digest"], edited_plan=wrong)
    assert "nobody" in proposal["refused"]
    assert "not_there" in proposal["refused"], "all faults at once"
    text = edited(proposal)
    approval.answer("Approve", plan=proposal["digest"], edited_plan=text)
    assert approval.approved()["decision"]["edited"] is True
    digest = plan_digest(load_plan(text))
    assert digest != proposal["digest"]
    assert published(store, "sum_edited") == [digest]
    assert approval.decisions()[-1] == ("edited", digest)


def test_a_comment_goes_to_claude_and_the_form_of_the_first_proposal_approves_nothing_more(
    approvals: dict[str, Approval], store: PlanStore
) -> None:
    approval = approvals["sum_revised"]
    first = approval.asks()
    comment = "instruction of add_numbers: Add them twice, and compare."
    assert approval.answer("Revise", plan=first["digest"], comment=comment) == httpx.codes.OK
    second = approval.asks(after=first)
    assert second["refused"] == ""
    assert (second["number"], second["comment"]) == (2, comment)
    assert "Add them twice" in second["plan"]
    assert second["digest"] != first["digest"]

    second = approval.refused(second, "Approve", plan=first["digest"])
    assert "revised or made anew" in second["refused"]
    assert second["number"] == 2, "what was paid for is not lost to a stale form"
    approval.answer("Approve", plan=second["digest"])
    assert approval.approved()["digest"] == second["digest"]
    assert published(store, "sum_revised") == [second["digest"]]
    ledger = RunLedger(open_files(approval.records), PLANNER, approval.run_id)
    assert ledger.totals().calls == 2, "the revision counts for the limits of the planner's run"


def test_a_rejection_ends_the_planner_at_once_with_who_and_why(
    approvals: dict[str, Approval], store: PlanStore, airflow: AirflowDriver
) -> None:
    approval = approvals["sum_rejected"]
    approval.asks()
    assert approval.answer("Reject", comment="Too dear.") == httpx.codes.OK
    assert airflow.wait_run(PLANNER, approval.run_id) == "failed"
    error = airflow.get(f"{approval.path}/xcomEntries/error")["value"]
    assert error["class"] == "PlanRejectedError"
    assert "admin rejected the plan of 'sum_rejected': Too dear." in error["message"]
    assert airflow.get(approval.path)["try_number"] == 1, "a retry would ask again"
    assert airflow.states(PLANNER, approval.run_id)["publish", -1] == "upstream_failed"
    assert published(store, "sum_rejected") == []


def test_of_two_people_at_once_the_one_whose_answer_counts_is_the_one_whose_plan_is_published(
    approvals: dict[str, Approval], store: PlanStore
) -> None:
    approval = approvals["sum_by_two"]
    proposal = approval.asks()
    text = edited(proposal)
    statuses: list[int] = []
    both_are_there = threading.Barrier(2)

    def say(**fields: Any) -> None:
        both_are_there.wait()
        statuses.append(approval.answer("Approve", plan=proposal["digest"], **fields))

    people = [threading.Thread(target=say), threading.Thread(target=say, kwargs={"edited_plan": text})]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert httpx.codes.OK in statuses
    # Where two write at once, SQLite locks its database, which Airflow's API server says with status 500.
    assert set(statuses) <= {httpx.codes.OK, httpx.codes.CONFLICT, httpx.codes.INTERNAL_SERVER_ERROR}, (
        statuses
    )
    approved = approval.approved()
    assert approved["digest"] in (proposal["digest"], plan_digest(load_plan(text)))
    assert approved["decision"]["edited"] is (approved["digest"] != proposal["digest"])
    assert published(store, "sum_by_two") == [approved["digest"]]
    assert approval.decisions()[-1][1] == approved["digest"]


def test_a_cleared_approval_is_asked_anew_and_can_be_refused_then(
    approvals: dict[str, Approval], store: PlanStore, airflow: AirflowDriver
) -> None:
    approval = approvals["sum_cleared"]
    proposal = approval.asks()
    approval.clear("approve")
    proposal = approval.asks(after=proposal)
    approval.answer("Approve", plan=proposal["digest"])
    approval.approved()
    assert published(store, "sum_cleared") == [proposal["digest"]]

    approval.clear("approve", "publish")
    again = approval.asks()
    assert again["number"] == 3, "the answer of before is not taken once more"
    assert again["changes"]["tasks"] == []
    text = edited(again)
    approval.answer("Approve", plan=again["digest"], edited_plan=text)
    assert approval.approved()["digest"] == plan_digest(load_plan(text))
    assert published(store, "sum_cleared") == [proposal["digest"], plan_digest(load_plan(text))]


def test_a_plan_that_was_made_anew_is_not_approved_by_the_form_of_the_old_one(
    start: Start, store: PlanStore, simulator: SimulatorControl, airflow: AirflowDriver
) -> None:
    other = {
        "title": "Another sum",
        "id": "sum_anew",
        "tasks": [{"id": "add", "name": "Add", "instruction": "Add them in another way."}],
    }
    simulator.add_answer(other, form="plan", kind="plan", requirement="Add 3 and 4", after=1)
    approval = start("sum_anew", "Add 3 and 4")
    first = approval.asks()
    approval.clear("plan")
    plan = f"/dags/{PLANNER}/dagRuns/{approval.run_id}/taskInstances/plan"
    wait_for("the plan to be made anew", lambda: airflow.get(plan)["try_number"] == 2)
    wait_for("the new plan", lambda: airflow.get(plan)["state"] == "success")

    second = approval.refused(first, "Approve", plan=first["digest"])
    assert "made anew" in second["refused"]
    assert second["title"] == "Another sum"
    assert published(store, "sum_anew") == []
    approval.answer("Approve", plan=second["digest"])
    assert approval.approved()["digest"] == second["digest"]
    assert published(store, "sum_anew") == [second["digest"]]

    # Made anew once more after the approval: that stays what is published.
    simulator.clear_answers()
    approval.clear("plan", "publish")
    wait_for("the plan to be made a third time", lambda: airflow.get(plan)["try_number"] == 3)
    assert approval.approved()["digest"] == second["digest"]
    assert airflow.result(PLANNER, approval.run_id, "plan")["digest"] == first["digest"]
    assert published(store, "sum_anew") == [second["digest"]]


def test_an_edited_result_of_the_approval_is_not_published(
    approvals: dict[str, Approval], store: PlanStore, airflow: AirflowDriver
) -> None:
    approval = approvals["sum_changed"]
    proposal = approval.asks()
    approval.answer("Approve", plan=proposal["digest"])
    approved = approval.approved()
    forged = edited(proposal)
    value = approved | {"plan": forged, "digest": plan_digest(load_plan(forged))}
    patched = airflow.http.patch(
        f"{approval.path}/xcomEntries/return_value", json={"value": value, "map_index": -1}
    )
    assert patched.is_success, patched.text
    approval.clear("publish")
    publish = f"/dags/{PLANNER}/dagRuns/{approval.run_id}/taskInstances/publish"
    wait_for("publish to fail", lambda: airflow.get(publish)["state"] == "failed")
    assert airflow.get(f"{publish}/xcomEntries/error")["value"]["class"] == "NotApprovedError"
    assert published(store, "sum_changed") == [proposal["digest"]]


def test_a_plan_that_is_there_already_needs_nobody_where_only_a_change_does(
    start: Start, approvals: dict[str, Approval], store: PlanStore
) -> None:
    before = published(store, "sum_by_rest")
    approval = start("sum_by_rest", approve="changed")
    assert "without" in approval.approved()["decision"]
    assert [kind for kind, _ in approval.decisions()] == ["without"]
    *earlier, last = published(store, "sum_by_rest")
    assert earlier == before, "the demand stays with the workflow, as a revision that differs by it alone"
    plan = load_plan(approval.approved()["plan"])
    assert (plan.approve, plan_digest(plan)) == ("changed", last)
    assert plan_digest(plan.model_copy(update={"approve": "always"})) == before[-1]


def test_a_plan_is_found_revised_and_approved_in_the_terminal(
    approvals: dict[str, Approval], chassis: Chassis, store: PlanStore
) -> None:
    approval = approvals["sum_in_terminal"]
    first = approval.asks()
    listed = chassis("approve", "--list")
    assert "sum_in_terminal" in listed.stdout, listed.stderr
    comment = "instruction of add_numbers: Add them twice, and compare."
    revised = chassis("approve", "sum_in_terminal", "--revise", comment)
    assert revised.returncode == 0, revised.stderr
    assert "Add them twice" in revised.stdout
    second = approval.asks(after=first)
    done = chassis("approve", approval.run_id, "--approve")
    assert done.returncode == 0, done.stderr
    assert approval.approved()["digest"] == second["digest"]
    assert published(store, "sum_in_terminal") == [second["digest"]]


def test_a_plan_that_nobody_decides_on_in_time_fails_once_and_whoever_was_named_was_told(
    hasty: Approval, stack: LocalStack, store: PlanStore
) -> None:
    """The named approver isn't this suite's user, whom Airflow refuses."""
    airflow = hasty.airflow
    assert airflow.wait_run(hasty.dag_id, hasty.run_id) == "failed"
    assert airflow.get(f"{hasty.path}/xcomEntries/error")["value"]["class"] == "ApprovalTimeoutError"
    assert airflow.get(hasty.path)["try_number"] == 1
    assert [kind for kind, _ in hasty.decisions()] == ["proposed", "timeout"]
    assert (stack.home / f"notified-{hasty.run_id}").exists()
    detail = airflow.get(f"{hasty.path}/-1/hitlDetails")
    assert [user["id"] for user in detail["assigned_users"]] == ["nobody"]
    assert hasty.answer("Approve", plan=hasty.proposal()["digest"]) == httpx.codes.FORBIDDEN
    assert published(store, "hasty_sum") == []
