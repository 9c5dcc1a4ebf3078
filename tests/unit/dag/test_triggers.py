from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk.api.datamodels._generated import HITLDetailResponse, HITLUser
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import hitl
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from chassis.contract.spending import RunLimits, Spending, Totals
from chassis.dag import triggers
from chassis.dag.deferred_call import TaskEnd
from chassis.dag.hitl_form import Answer
from chassis.dag.triggers import RESULT, ClaudeTrigger, HeldAnswerTrigger, ResumingClaudeTrigger
from chassis.errors import ChassisError, ThrottledError, restore_error


class Xcom:
    """Stands for Airflow's XCom: remembers what was pushed."""

    XCOM_RETURN_KEY = "return_value"
    pushed: list[dict[str, Any]]

    @classmethod
    async def aset(cls, **arguments: Any) -> None:
        cls.pushed.append(arguments)


@pytest.fixture
def trigger(monkeypatch: pytest.MonkeyPatch) -> ClaudeTrigger:
    Xcom.pushed = []
    monkeypatch.setattr(triggers, "_xcom_class", lambda: Xcom)
    trigger = ClaudeTrigger(
        {
            "kind": "task",
            "accounts": {"identity": {"task_id": "add", "item": None}},
            "request": "a secret prompt",
        }
    )
    ti: Any = SimpleNamespace(dag_id="sums", task_id="add", run_id="r1", map_index=3)
    trigger._task_instance = ti  # the setter wants Airflow's own class
    return trigger


def answering(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    async def perform(*, shared: bool) -> Any:
        assert shared
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    outcome = TaskEnd(error=outcome) if isinstance(outcome, ChassisError) else outcome
    monkeypatch.setattr(triggers, "restore_call", lambda data: SimpleNamespace(perform=perform))


async def first_event(trigger: ClaudeTrigger) -> tuple[Any, int]:
    """The trigger's first event, and how many XComs stood when it came."""
    async for event in trigger.run():
        return event, len(Xcom.pushed)
    raise AssertionError("the trigger ended without an event")


def test_the_result_is_pushed_before_the_task_becomes_a_success(
    trigger: ClaudeTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, TaskEnd(result={"summary": "8"}))
    event, pushed = asyncio.run(first_event(trigger))
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms is None, "Airflow would store them as JSON inside JSON"
    assert pushed == 2
    assert Xcom.pushed[0]["key"] == "card"
    assert Xcom.pushed[1] == {
        "key": "return_value",
        "value": {"summary": "8"},
        "dag_id": "sums",
        "task_id": "add",
        "run_id": "r1",
        "map_index": 3,
    }


def test_a_failure_goes_back_to_a_worker_but_not_before_the_executor_is_done_with_the_first_part(
    trigger: ClaudeTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "RESUME_AFTER", 0.3)
    answering(monkeypatch, ThrottledError("slow down", retry_after=2.0))

    async def timed() -> tuple[Any, float]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        event, _ = await first_event(trigger)
        return event, loop.time() - started

    event, seconds = asyncio.run(timed())
    assert seconds >= 0.3
    error = restore_error(event.payload)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 2.0
    assert [(each["key"], each["value"]["line"]) for each in Xcom.pushed] == [("card", error.message)]


def test_an_unknown_error_keeps_its_message_to_itself(
    trigger: ClaudeTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "RESUME_AFTER", 0.0)
    answering(monkeypatch, RuntimeError("authorization: AWS4-HMAC-SHA256 secret"))
    event, _ = asyncio.run(first_event(trigger))
    assert "RuntimeError" in event.payload["message"]
    assert "secret" not in str(event.payload)


def test_what_airflow_logs_of_a_trigger_holds_no_prompt(trigger: ClaudeTrigger) -> None:
    assert "secret prompt" not in repr(trigger)
    assert "add" in repr(trigger)


class FlakyXcom(Xcom):
    """Airflow's database is away for the first two pushes."""

    refusals = 2

    @classmethod
    async def aset(cls, **what: Any) -> None:
        if cls.refusals:
            cls.refusals -= 1
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        await super().aset(**what)


def test_a_result_that_airflow_can_not_take_now_is_pushed_until_it_can(
    trigger: ClaudeTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "_xcom_class", lambda: FlakyXcom)
    monkeypatch.setattr(triggers, "_PUSH_PAUSE", 0.01)
    answering(
        monkeypatch,
        TaskEnd(
            result={"summary": "8"}, spending=Spending(task=Totals(), run=Totals(calls=1), limits=RunLimits())
        ),
    )
    event, pushed = asyncio.run(first_event(trigger))
    assert isinstance(event, TaskSuccessEvent)
    assert [each["key"] for each in Xcom.pushed] == ["spending", "card", "return_value"]
    assert pushed == 3


def test_a_resuming_trigger_hands_its_result_to_a_worker_and_leaves_the_task_without_one(
    trigger: ClaudeTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "RESUME_AFTER", 0.2)
    answering(
        monkeypatch,
        TaskEnd(
            result={"plan": "p"}, spending=Spending(task=Totals(), run=Totals(calls=1), limits=RunLimits())
        ),
    )
    resuming = ResumingClaudeTrigger(trigger.call)
    resuming._task_instance = trigger._task_instance

    async def timed() -> tuple[Any, float]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        event, _ = await first_event(resuming)
        return event, loop.time() - started

    event, seconds = asyncio.run(timed())
    assert seconds >= 0.2
    assert type(event) is TriggerEvent
    assert event.payload == {RESULT: {"plan": "p"}}
    pushed = {entry["key"] for entry in Xcom.pushed}
    assert "spending" in pushed
    assert "return_value" not in pushed, "the task has not ended"
    assert resuming.serialize() == ("chassis.dag.triggers.ResumingClaudeTrigger", {"call": trigger.call})


@pytest.mark.parametrize("answered", [True, False])
def test_the_answer_that_airflow_holds_resumes_its_task(
    monkeypatch: pytest.MonkeyPatch, *, answered: bool
) -> None:
    ti_id = "01a204a6-3b50-7f52-9223-8328570fb99f"
    held = HITLDetailResponse(
        response_received=answered,
        responded_at=datetime(2026, 3, 2, tzinfo=UTC) if answered else None,
        chosen_options=["Approve"] if answered else [],
        params_input={"plan": "plan:0123456789ab"},
        responded_by_user=HITLUser(id="7", name="Ann"),
    )
    asked = []
    monkeypatch.setattr(triggers, "RESUME_AFTER", 0.0)
    monkeypatch.setattr(hitl, "get_hitl_detail_content_detail", lambda given: asked.append(given) or held)

    async def event_of(trigger: HeldAnswerTrigger) -> TriggerEvent:
        return await anext(aiter(trigger.run()))

    event = asyncio.run(event_of(HeldAnswerTrigger(ti_id)))
    assert asked == [UUID(ti_id)]
    if not answered:
        assert event.payload == {}
        return
    answer = Answer.of(json.loads(json.dumps(event.payload)))
    assert (answer.option, answer.plan, answer.by) == ("Approve", "plan:0123456789ab", "Ann")
    assert answer.at == "2026-03-02T00:00:00+00:00"
