"""The planner's task ``approve`` without an Airflow: each visit to a worker is a new operator over the same records."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput, TaskDeferred
from airflow.sdk.execution_time import hitl

from chassis.claude.connection_options import NO_OPTIONS
from chassis.contract.names import PLAN_OPTIONS
from chassis.contract.spending import RunLimits, Spending, Totals
from chassis.dag.approval import ApprovePlanOperator
from chassis.dag.deferred_call import PlanCall, TaskEnd, restore_call
from chassis.dag.hitl_form import MAX_COMMENT, plan_page
from chassis.dag.planner import PublishOperator
from chassis.dag.triggers import RESULT, HeldAnswerTrigger, ResumingClaudeTrigger
from chassis.errors import (
    ApprovalTimeoutError,
    ChassisError,
    NotApprovedError,
    PlanError,
    PlanRejectedError,
    StoppedError,
    ThrottledError,
)
from chassis.files import open_files
from chassis.plans.store import PlanStore
from chassis.records.decisions import Decision, Decisions
from chassis.settings import Settings
from chassis.workflow import (
    InputSpec,
    Limits,
    Provenance,
    Schedule,
    TaskSpec,
    WorkflowSpec,
    dump_plan,
    load_plan,
    plan_digest,
)
from chassis.workflow.planner_answer import plan_from_delta

PARAMS: dict[str, Any] = {
    "requirement": "Add 1 and 2",
    "workflow_id": "sum",
    "inputs": {},
    "schedule": None,
    "timezone": None,
    "model": "",
    "budget_usd": None,
    "max_parallel": None,
    "action": "run",
    "approve": "always",
}


def plan(instruction: str = "Add 1 and 2.", **more: Any) -> WorkflowSpec:
    return WorkflowSpec(
        schema_version=1,
        id="sum",
        title="Sum",
        requirement="Add 1 and 2",
        tasks=(TaskSpec(id="add", name="Add", instruction=instruction, **more),),
        provenance=Provenance(
            planner_model="m", agents={}, planned_at="2026-03-01T06:00:00+00:00", planner_run="r1"
        ),
    )


def made(spec: WorkflowSpec) -> dict[str, Any]:
    return {"workflow_id": spec.id, "plan": dump_plan(spec), "digest": plan_digest(spec)}


class Airflow:
    """What the operator sees of Airflow: XComs, the request to people, and what the task parked with."""

    dag_id, run_id, task_id, map_index, try_number = "plan_workflow", "r1", "approve", -1, 1

    def __init__(self, **operator: Any) -> None:
        self.id = uuid4()
        self.max_tries = 3
        self.clear_number = 0
        self.xcoms: dict[str, Any] = {"plan": made(plan())}
        self.pushed: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.params = dict(PARAMS)
        self.arguments = {"task_id": "approve", **operator}
        self.parked: TaskAwaitingInput | None = None
        self.deferred: TaskDeferred | None = None

    def xcom_pull(self, task_ids: str, map_indexes: int) -> Any:
        return json.loads(json.dumps(self.xcoms.get(task_ids)))

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))

    @property
    def context(self) -> Any:
        dag_run = SimpleNamespace(clear_number=self.clear_number, run_after=datetime(2026, 3, 1, tzinfo=UTC))
        return {"ti": self, "dag_run": dag_run, "params": self.params, "run_id": self.run_id}

    def visit(self, method: str = "execute", **kwargs: Any) -> dict[str, Any] | None:
        """One visit of the task to a worker; None when it parked or deferred."""
        self.parked = self.deferred = None
        operator = ApprovePlanOperator(**self.arguments)
        try:
            return dict(getattr(operator, method)(self.context, **kwargs))
        except TaskAwaitingInput as parked:
            self.parked = parked
        except TaskDeferred as deferred:
            self.deferred = deferred
        return None

    def answered(self, option: str, **fields: Any) -> dict[str, Any] | None:
        assert self.parked is not None
        assert self.parked.method_name == "answered"
        return self.visit(
            "answered", **json.loads(json.dumps(self.parked.kwargs)), event=answer(option, **fields)
        )

    @property
    def proposal(self) -> dict[str, Any]:
        return dict(self.pushed["proposal"])


def answer(option: str, **fields: Any) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": fields,
        "responded_at": datetime(2026, 3, 2, tzinfo=UTC),
        "responded_by_user": {"id": "7", "name": "Ann"},
        "timedout": False,
    }


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("plans", "records"):
        monkeypatch.setenv(f"AIRFLOW__CHASSIS__{name.upper()}_ROOT", str(tmp_path / name))
    monkeypatch.setattr("chassis.claude.connection_options.connection_options", lambda conn_id: NO_OPTIONS)
    return Settings.load()


@pytest.fixture
def decisions(settings: Settings) -> Callable[[], list[str]]:
    log = Decisions(open_files(settings.records_root), Airflow.dag_id, Airflow.run_id)
    return lambda: [each.kind for each in log.all().values()]


@pytest.fixture
def store(settings: Settings) -> PlanStore:
    return PlanStore(settings.plans_root)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return connected(Airflow(), monkeypatch)


def connected(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    def upsert(**request: Any) -> None:
        airflow.requests.append(request)

    monkeypatch.setattr(hitl, "upsert_hitl_detail", upsert)
    return airflow


def test_a_plan_is_put_to_a_person_with_what_is_known_of_it(
    airflow: Airflow, store: PlanStore, decisions: Callable[[], list[str]]
) -> None:
    store.publish(plan("Add them."))
    assert airflow.visit() is None
    assert airflow.parked is not None
    hours = airflow.parked.timeout / timedelta(hours=1)
    assert 71.9 < hours <= 72
    shown = airflow.proposal
    assert (shown["number"], shown["asked"], shown["refused"], shown["base_revision"]) == (1, 1, "", 1)
    assert shown["digest"] == plan_digest(plan())
    assert [part["name"] for part in shown["changes"]["tasks"]] == ["add"]
    assert shown["estimate"]["calls"] == 1
    (request,) = airflow.requests
    assert tuple(request["options"]) == PLAN_OPTIONS
    assert "Add 1 and 2" not in request["subject"] + request["body"], "Airflow would show an old plan's words"
    assert plan_page("plan_workflow", "r1") in request["body"]
    assert request["assigned_users"] == []
    assert decisions() == ["proposed"]


def test_the_page_is_below_airflows_own_path_and_takes_any_run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/team/")
    page = plan_page("plan_workflow", "manual__2026-03-01T06:00:00+00:00/1")
    assert page == "/team/chassis/dags/plan_workflow/runs/manual__2026-03-01T06%3A00%3A00%2B00%3A00%2F1/plan"


def test_an_approval_returns_the_plan_with_who_and_when(
    airflow: Airflow, decisions: Callable[[], list[str]]
) -> None:
    airflow.visit()
    digest = plan_digest(plan())
    result = airflow.answered("Approve", plan=digest[:12], comment="Fine.")
    assert result is not None
    assert result["digest"] == digest
    at = "2026-03-02T00:00:00+00:00"
    assert result["decision"] == {"by": "Ann", "by_id": "7", "at": at, "comment": "Fine.", "edited": False}
    provenance = load_plan(result["plan"]).provenance
    assert provenance is not None
    assert (provenance.approved_by, provenance.approved_at, provenance.edited) == ("Ann", at, False)
    assert decisions() == ["proposed", "approved"]


@pytest.mark.parametrize(
    ("option", "fields", "words"),
    [
        ("Approve", {}, "doesn't say which plan"),
        ("Approve", {"plan": "0" * 64}, "the one that waits is plan:"),
        ("Approve", {"plan": 1e11}, "the one that waits is plan:"),
        ("Reject", {"plan": "0" * 64}, "the one that waits is plan:"),
        ("Revise", {"plan": plan_digest(plan())}, "needs a comment"),
        ("Revise", {"plan": plan_digest(plan()), "comment": "x" * (MAX_COMMENT + 1)}, "at most 10,000"),
        ("Approve", {"plan": plan_digest(plan()), "edited_plan": "id: [\x1b"}, "fault"),
        ("Approve", {"plan": plan_digest(plan()), "edited_plan": dump_plan(plan(agent="nobody"))}, "nobody"),
    ],
)
def test_an_answer_that_can_not_be_carried_out_is_written_down_and_asked_for_again_in_the_time_that_is_left(
    airflow: Airflow,
    decisions: Callable[[], list[str]],
    option: str,
    fields: dict[str, Any],
    words: str,
) -> None:
    airflow.visit()
    deadline = airflow.proposal["deadline"]
    assert airflow.answered(option, **fields) is None
    assert airflow.parked is not None
    assert words in airflow.proposal["refused"]
    assert (airflow.proposal["asked"], airflow.proposal["deadline"]) == (2, deadline)
    assert decisions() == ["proposed", "refused"]
    assert len(airflow.requests) == 2, "Airflow must forget the answer, or it takes no other"


@pytest.mark.parametrize(
    ("by_run", "by_plan", "asks"),
    [(None, None, False), (None, "always", True), ("always", None, True), ("none", "always", False)],
)
def test_a_demand_for_approval_stays_with_the_workflow_until_it_is_taken_away(
    monkeypatch: pytest.MonkeyPatch, by_run: str | None, by_plan: Any, asks: bool
) -> None:
    airflow = connected(Airflow(approve="never"), monkeypatch)
    airflow.xcoms["plan"] = made(plan().model_copy(update={"approve": by_plan}))
    airflow.params["approve"] = by_run
    assert (airflow.visit() is None) is asks


def test_a_plan_that_differs_by_the_demand_for_approval_alone_is_no_change(
    monkeypatch: pytest.MonkeyPatch, store: PlanStore
) -> None:
    store.publish(plan().model_copy(update={"approve": "always"}))
    airflow = connected(Airflow(approve="changed"), monkeypatch)
    airflow.params["approve"] = "changed"
    airflow.xcoms["plan"] = made(plan().model_copy(update={"approve": "changed"}))
    assert airflow.visit() is not None
    airflow.xcoms["plan"] = made(plan("Another.").model_copy(update={"approve": "changed"}))
    assert airflow.visit() is None


def test_an_input_that_a_person_edits_is_marked_as_given(airflow: Airflow) -> None:
    spec = plan("Add {n}.").model_copy(update={"inputs": {"n": InputSpec(type="integer", default=1)}})
    airflow.xcoms["plan"] = made(spec)
    airflow.visit()
    edited = spec.model_copy(update={"inputs": {"n": InputSpec(type="integer", default=2)}})
    result = airflow.answered("Approve", plan=plan_digest(spec), edited_plan=dump_plan(edited))
    assert result is not None
    assert load_plan(result["plan"]).inputs["n"] == InputSpec(type="integer", default=2, given=True)


def test_a_plan_made_anew_takes_the_place_of_the_one_that_waited(
    airflow: Airflow, decisions: Callable[[], list[str]]
) -> None:
    airflow.visit()
    old = airflow.proposal["digest"]
    airflow.xcoms["plan"] = None
    airflow.answered("Approve", plan=old)
    assert "being made anew" in airflow.proposal["refused"]
    airflow.xcoms["plan"] = made(plan("Add them in another way."))
    airflow.answered("Approve", plan=old)
    new = airflow.proposal
    assert (new["number"], new["digest"]) == (2, plan_digest(plan("Add them in another way.")))
    assert "made anew" in new["refused"]
    airflow.answered("Approve", plan=old)
    result = airflow.answered("Approve", plan=new["digest"])
    assert result is not None
    assert result["digest"] == new["digest"]
    assert decisions() == ["proposed", "refused", "refused", "proposed", "refused", "approved"]


def test_a_try_that_was_lost_says_of_the_old_plan_too_that_it_was_made_anew(airflow: Airflow) -> None:
    airflow.visit()
    old = airflow.proposal["digest"]
    airflow.xcoms["plan"] = made(plan("Add them in another way."))
    airflow.visit()
    assert airflow.proposal["digest"] != old
    airflow.answered("Approve", plan=old)
    assert "made anew" in airflow.proposal["refused"]


def test_a_revision_that_came_meanwhile_is_looked_at_first(airflow: Airflow, store: PlanStore) -> None:
    airflow.visit()
    assert airflow.proposal["changes"]["new"]
    store.publish(plan("Add them with a calculator."))
    airflow.answered("Approve", plan=airflow.proposal["digest"])
    assert "revision 1 meanwhile" in airflow.proposal["refused"]
    assert not airflow.proposal["changes"]["new"]
    assert airflow.answered("Approve", plan=airflow.proposal["digest"]) is not None


def test_a_rejection_and_the_end_of_the_time_are_final(
    airflow: Airflow, decisions: Callable[[], list[str]]
) -> None:
    airflow.visit()
    parked = airflow.parked
    with pytest.raises(PlanRejectedError, match=r"Ann rejected the plan of 'sum': Too dear\."):
        airflow.answered("Reject", comment="Too dear.")
    airflow.parked = parked
    assert parked is not None
    with pytest.raises(ApprovalTimeoutError):
        airflow.visit("answered", **parked.kwargs, event={"error": "too late", "error_type": "timeout"})  # type: ignore[arg-type]
    assert decisions() == ["proposed", "rejected", "timeout"]
    assert not PlanRejectedError.retryable
    assert not ApprovalTimeoutError.retryable


def test_a_revision_is_asked_for_in_the_triggerer_and_put_to_the_person_again(
    airflow: Airflow, decisions: Callable[[], list[str]]
) -> None:
    airflow.visit()
    first = airflow.proposal
    airflow.answered("Revise", plan=first["digest"], comment="Say it in words.")
    assert airflow.deferred is not None
    trigger = airflow.deferred.trigger
    assert isinstance(trigger, ResumingClaudeTrigger)
    call = trigger.serialize()[1]["call"]
    assert "Say it in words." in json.dumps(call["request"])
    assert call["accounts"]["identity"]["task_id"] == "approve"
    kwargs = json.loads(json.dumps(airflow.deferred.kwargs))

    airflow.visit("revised", **kwargs, event={RESULT: made(plan("Say one plus two."))})
    second = airflow.proposal
    assert (second["number"], second["comment"], second["refused"]) == (2, "Say it in words.", "")
    assert (first["before"], second["before"]) == (None, first["plan"]), (
        "so it is told what the revision changed"
    )
    airflow.answered("Approve", plan=first["digest"])
    assert airflow.proposal["number"] == 2
    result = airflow.answered("Approve", plan=second["digest"])
    assert result is not None
    assert result["digest"] == plan_digest(plan("Say one plus two."))
    assert decisions() == ["proposed", "revise", "proposed", "refused", "approved"]


def test_a_revision_keeps_what_a_person_edited_against_what_the_planner_was_given(airflow: Airflow) -> None:
    airflow.params |= {"schedule": "0 6 * * 1", "budget_usd": 5}
    airflow.visit()
    spec = plan().model_copy(
        update={"schedule": Schedule(cron="0 7 * * 2"), "limits": Limits(budget_usd=9.0)}
    )
    digest = airflow.proposal["digest"]
    airflow.answered("Revise", plan=digest, comment="Say it in words.", edited_plan=dump_plan(spec))
    assert airflow.deferred is not None
    call = restore_call(airflow.deferred.trigger.serialize()[1]["call"])
    assert isinstance(call, PlanCall)
    assert call.base is not None
    revised = plan_from_delta({"title": "Sum"}, load_plan(call.base), call.given)
    assert revised["schedule"]["cron"] == "0 7 * * 2", "the edit came after what the run was started with"
    assert revised["limits"] == {"budget_usd": 9.0}


def test_a_failed_revision_leaves_the_proposal_as_it_was(airflow: Airflow) -> None:
    airflow.visit()
    before = airflow.proposal
    airflow.answered("Revise", plan=before["digest"], comment="Better.")
    assert airflow.deferred is not None
    kwargs = dict(airflow.deferred.kwargs or {})
    airflow.visit("revised", **kwargs, event=ThrottledError("slow down").describe())
    assert "slow down" in airflow.proposal["refused"]
    assert {**airflow.proposal, "refused": "", "asked": 1} == before
    assert airflow.answered("Approve", plan=before["digest"]) is not None


def test_without_a_triggerer_the_worker_asks_claude(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = connected(Airflow(deferrable=False), monkeypatch)
    outcomes: list[Any] = [made(plan("Say one plus two.")), StoppedError("stopped")]

    async def perform(operator: Any, call: Any) -> Any:
        told = outcomes.pop(0)
        error = told if isinstance(told, ChassisError) else None
        spending = Spending(task=Totals(), run=Totals(calls=1), limits=RunLimits())
        return TaskEnd(None if error else told, error, spending)

    monkeypatch.setattr(ApprovePlanOperator, "_perform", perform)
    airflow.visit()
    airflow.answered("Revise", plan=airflow.proposal["digest"], comment="In words.")
    assert airflow.proposal["digest"] == plan_digest(plan("Say one plus two."))
    assert airflow.pushed["spending"]["run"]["calls"] == 1
    with pytest.raises(StoppedError):
        airflow.answered("Revise", plan=airflow.proposal["digest"], comment="Better.")


def test_a_try_that_airflow_lost_goes_on_with_the_answer_that_was_given(
    airflow: Airflow, decisions: Callable[[], list[str]]
) -> None:
    airflow.visit()
    airflow.answered("Revise", plan=airflow.proposal["digest"], comment="In words.")
    assert airflow.deferred is not None
    airflow.visit("revised", **airflow.deferred.kwargs, event={RESULT: made(plan("Say one plus two."))})  # type: ignore[arg-type]
    second = airflow.proposal
    airflow.visit()
    assert airflow.deferred is not None
    assert isinstance(airflow.deferred.trigger, HeldAnswerTrigger), "a worker can't read what Airflow holds"
    assert airflow.deferred.trigger.serialize()[1] == {"ti_id": str(airflow.id)}
    event = {**answer("Approve", plan=second["digest"]), "responded_at": "2026-03-02T00:00:00Z"}
    result = airflow.visit(airflow.deferred.method_name, **airflow.deferred.kwargs, event=event)  # type: ignore[arg-type]
    assert result is not None
    assert result["digest"] == second["digest"], "and not the first proposal's"
    assert decisions()[-1] == "approved"


def test_a_lost_try_without_an_answer_asks_about_the_newest_proposal(airflow: Airflow) -> None:
    airflow.visit()
    airflow.answered("Revise", plan=airflow.proposal["digest"], comment="In words.")
    assert airflow.deferred is not None
    airflow.visit("revised", **airflow.deferred.kwargs, event={RESULT: made(plan("Say one plus two."))})  # type: ignore[arg-type]
    airflow.visit()
    assert airflow.deferred is not None
    airflow.visit(airflow.deferred.method_name, **airflow.deferred.kwargs, event={})  # type: ignore[arg-type]
    assert airflow.parked is not None
    assert airflow.proposal["digest"] == plan_digest(plan("Say one plus two."))

    airflow.arguments["deferrable"] = False
    airflow.visit()
    assert airflow.parked is not None
    assert "answer again" in airflow.proposal["refused"]


@pytest.mark.parametrize("cleared", ["clear_number", "max_tries"])
def test_a_cleared_approval_takes_no_answer_of_before(airflow: Airflow, cleared: str) -> None:
    airflow.visit()
    setattr(airflow, cleared, getattr(airflow, cleared) + 1)
    assert airflow.visit() is None
    assert airflow.parked is not None
    assert airflow.proposal["number"] == 2


def test_what_the_dag_says_comes_before_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def broken(context: Any) -> None:
        told.append(context["ti"].run_id)
        raise RuntimeError("the mail server is away")

    monkeypatch.setenv("AIRFLOW__CHASSIS__APPROVE", "never")
    monkeypatch.setenv("AIRFLOW__CHASSIS__APPROVERS", "ann, bob")
    arguments: dict[str, Any] = {"approve": "always", "timeout_hours": 1.0, "notifiers": [broken]}
    airflow = connected(Airflow(**arguments), monkeypatch)
    airflow.params["approve"] = None
    airflow.visit()
    assert airflow.parked is not None
    assert airflow.parked.timeout <= timedelta(hours=1)
    assert [user["id"] for user in airflow.requests[0]["assigned_users"]] == ["ann", "bob"]
    assert told == ["r1"], "and nobody's approval hangs on a notifier"


def test_nobody_is_asked_where_nobody_has_to_be(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, decisions: Callable[[], list[str]], store: PlanStore
) -> None:
    monkeypatch.setenv("AIRFLOW__CHASSIS__APPROVE", "changed")
    airflow.params["approve"] = None
    store.publish(plan())
    result = airflow.visit()
    assert result is not None
    assert result["decision"] == {"without": "the plan is the workflow's newest revision"}
    assert airflow.requests == []
    assert decisions() == ["without"]
    store.retire("sum")
    assert airflow.visit() is None, "to bring a retired workflow back is a change"


def test_a_plan_within_the_price_needs_nobody(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow.params["approve"] = None
    monkeypatch.setenv("AIRFLOW__CHASSIS__APPROVE_OVER_USD", "100")
    result = airflow.visit()
    assert result is not None
    assert "up to $100.00 nobody is asked" in result["decision"]["without"]
    monkeypatch.setenv("AIRFLOW__CHASSIS__APPROVE_OVER_USD", "0.001")
    assert airflow.visit() is None


def test_without_a_plan_there_is_nothing_to_ask(airflow: Airflow) -> None:
    airflow.xcoms["plan"] = None
    with pytest.raises(ChassisError, match="has left no plan"):
        airflow.visit()


class TestPublish:
    """What is published is what the log's newest decision names."""

    @pytest.fixture
    def log(self, settings: Settings) -> Decisions:
        return Decisions(open_files(settings.records_root), Airflow.dag_id, Airflow.run_id)

    @staticmethod
    def publish(airflow: Airflow, approved: WorkflowSpec, digest: str = "") -> dict[str, Any]:
        airflow.xcoms["approve"] = made(approved) | ({"digest": digest} if digest else {})
        return PublishOperator(task_id="publish").execute(airflow.context)

    @staticmethod
    def decided(kind: Any, spec: WorkflowSpec) -> Decision:
        return Decision(kind=kind, at="2026-03-02T00:00:00+00:00", digest=plan_digest(spec))

    @pytest.mark.parametrize("kind", ["approved", "edited", "without"])
    def test_a_plan_that_was_let_through_is_published(
        self, airflow: Airflow, log: Decisions, store: PlanStore, kind: str
    ) -> None:
        log.add(self.decided(kind, plan()))
        assert self.publish(airflow, plan())["revision"] == 1
        assert plan_digest(store.read(store.get("sum"))) == plan_digest(plan())

    def test_what_the_workflow_keeps_and_what_changed_is_left_with_the_revision(
        self, airflow: Airflow, log: Decisions, store: PlanStore
    ) -> None:
        store.publish(plan("Add.").model_copy(update={"schedule": Schedule(preset="@daily")}))
        spec = plan().model_copy(update={"schedule": Schedule(preset="@daily")})
        log.add(self.decided("approved", spec))
        assert self.publish(airflow, spec)["changes"] == [
            "schedule kept: @daily UTC",
            "task 'add' changed: instruction",
        ]

    def test_one_that_can_not_run_here_is_refused(
        self, airflow: Airflow, log: Decisions, store: PlanStore
    ) -> None:
        task = plan().tasks[0].model_copy(update={"model": "opus"})
        spec = plan().model_copy(update={"tasks": (task,)})
        log.add(self.decided("approved", spec))
        with pytest.raises(PlanError, match="'opus' is a short name that Bedrock doesn't know"):
            self.publish(airflow, spec)
        assert store.revisions("sum") == ()

    @pytest.mark.parametrize("kind", ["proposed", "revise", "rejected", "refused", "timeout"])
    def test_one_that_was_not_is_refused(
        self, airflow: Airflow, log: Decisions, store: PlanStore, kind: str
    ) -> None:
        log.add(self.decided("approved", plan()))
        log.add(self.decided(kind, plan()))
        with pytest.raises(NotApprovedError):
            self.publish(airflow, plan())
        assert store.revisions("sum") == ()

    def test_another_text_than_the_decided_one_is_refused(
        self, airflow: Airflow, log: Decisions, store: PlanStore
    ) -> None:
        log.add(self.decided("approved", plan()))
        with pytest.raises(NotApprovedError):
            self.publish(airflow, plan("Delete it all."))
        with pytest.raises(NotApprovedError):
            self.publish(airflow, plan("Delete it all."), digest=plan_digest(plan()))
        assert store.revisions("sum") == ()

    def test_without_a_decision_nothing_is_published(self, airflow: Airflow) -> None:
        with pytest.raises(NotApprovedError):
            self.publish(airflow, plan())
