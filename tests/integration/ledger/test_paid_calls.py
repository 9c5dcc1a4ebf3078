"""What a task's calls cost and keep, against the simulator: faults, kills and limits included."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from chassis.claude.conversation import converse
from chassis.claude.prices import cost_usd
from chassis.contract.spending import RunLimits
from chassis.errors import (
    ClaudeError,
    LimitSpentError,
    NoAnswerError,
    PriceUnknownError,
    ThrottledError,
)
from chassis.files import open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.workflow import SpendLimits
from tests.integration.claude.conftest import Connect
from tests.integration.claude.wire import MODEL, a_request

if TYPE_CHECKING:
    from chassis.ledger.paid_calls import PaidCalls
    from chassis.ledger.run_gate import RunGate
    from chassis.local.simulator import Simulator, SimulatorControl

T = TypeVar("T")


def identity(task: str = "add", clear: int = 0, try_number: int = 1) -> CallIdentity:
    return CallIdentity(
        dag_id="sums", run_id="manual__1", clear_number=clear, task_id=task, try_number=try_number
    )


class Tasks:
    """Tasks of one run, as the triggerer has them: a shared client, a gate and a pace."""

    def __init__(self, records: Path, limits: RunLimits) -> None:
        self.records = records
        self.limits = limits
        self.model_behind: str | None = None

    async def calls(self, client: Any, who: CallIdentity) -> PaidCalls:
        from chassis.claude.pace import pace_for
        from chassis.ledger.paid_calls import PaidCalls
        from chassis.ledger.run_gate import gate_of

        return PaidCalls(
            client=client,
            identity=who,
            gate=gate_of(open_files(str(self.records), what="record store"), who.dag_id, who.run_id),
            pace=pace_for(("claude_bedrock", MODEL), 32),
            limits=self.limits,
            timeout_seconds=600,
            subject=f"task '{who.task_id}'",
            kind="task",
            model_behind=self.model_behind,
        )

    def run(self, use: Callable[[Any], Awaitable[T]]) -> T:
        from chassis.claude.client_pool import connected

        async def session() -> T:
            async with connected("claude_bedrock", shared=True) as client:
                return await use(client)

        return asyncio.run(session())

    def do(self, who: CallIdentity, *, model: str = MODEL) -> Any:
        async def one(client: Any) -> Any:
            calls = await self.calls(client, who)
            return await converse(calls.ask, a_request(model=model), check=lambda data: [], repairs=0)

        return self.run(one)

    def gate(self) -> RunGate:
        from chassis.ledger.run_gate import gate_of

        return gate_of(open_files(str(self.records), what="record store"), "sums", "manual__1")

    def totals(self) -> Any:
        async def read() -> Any:
            return await self.gate().totals()

        return asyncio.run(read())


@pytest.fixture
def tasks(
    tmp_path: Path,
    connect: Connect,
    simulator: Simulator,
    control: SimulatorControl,
) -> Tasks:
    connect.to(simulator.url, claude={"max_retries": 2})
    return Tasks(tmp_path / "records", RunLimits())


def test_a_retry_finds_the_answer_that_was_paid_for_and_a_clear_asks_again(
    tasks: Tasks, control: SimulatorControl
) -> None:
    first = tasks.do(identity())
    again = tasks.do(identity(try_number=2))
    assert again == first
    assert len(control.requests()) == 1
    assert tasks.totals().usage == first.usage
    tasks.do(identity(clear=1))
    assert len(control.requests()) == 2
    assert tasks.totals().calls == 2


def test_a_process_that_dies_after_its_answer_does_not_ask_again(
    tasks: Tasks, control: SimulatorControl, tmp_path: Path
) -> None:
    """Killed by a real signal between keeping the answer and noting its end in the ledger."""
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.integration.ledger.test_paid_calls import Tasks, identity\n"
        "from chassis.contract.spending import RunLimits\n"
        "Tasks(Path(sys.argv[1]), RunLimits()).do(identity())\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", script, str(tasks.records)],
        env=os.environ | {"CHASSIS_CRASH_AT": "ledger.answer-kept"},
        check=False,
        timeout=60,
    )
    assert died.returncode == -9
    assert tasks.totals().open_calls == 1
    answer = tasks.do(identity(try_number=2))
    assert len(control.requests()) == 1
    totals = tasks.totals()
    assert (totals.calls, totals.open_calls, totals.uncertain_calls) == (1, 0, 0)
    assert totals.usage == answer.usage


def test_throttling_is_waited_out_in_place_as_the_server_asks(
    tasks: Tasks, control: SimulatorControl
) -> None:
    control.add_fault("throttle", times=2, retry_after=1)
    tasks.do(identity())
    times = [entry["started"] for entry in control.requests()]
    assert len(times) == 3
    assert times[1] - times[0] >= 1
    assert times[2] - times[1] >= 1
    assert tasks.totals().calls == 1, "a refused call costs nothing"


def test_a_longer_wait_than_is_held_here_is_left_to_airflow(tasks: Tasks, control: SimulatorControl) -> None:
    control.add_fault("throttle", retry_after=60)
    with pytest.raises(ClaudeError) as caught:
        tasks.do(identity())
    assert caught.value.retry_after == 60
    assert len(control.requests()) == 1


PER_DAY = "Too many tokens per day, please wait before trying again."
TOO_MANY_TOKENS = "Too many tokens, please wait before trying again."
ROOM = [
    ("unavailable", "Too many connections, please wait before trying again.", "aws", False),
    ("unavailable", "Bedrock is unable to process your request.", "aws", True),
    ("overloaded", "Overloaded", "anthropic", False),
    ("overloaded", "Overloaded", "anthropic", True),
    ("throttle", "Model is not ready for inference. Wait and try your request again.", "aws", False),
]


@pytest.mark.parametrize(("fault", "words", "form", "in_stream"), ROOM)
def test_congestion_slows_the_pace_and_is_waited_out_here(
    tasks: Tasks, control: SimulatorControl, fault: str, words: str, form: Any, in_stream: bool
) -> None:
    control.add_fault(fault, times=2, message=words, form=form, in_stream=in_stream)

    async def ask(client: Any) -> tuple[float, float]:
        calls = await tasks.calls(client, identity())
        before = calls.pace.rate
        await converse(calls.ask, a_request(), check=lambda data: [], repairs=0)
        return before, calls.pace.rate

    before, after = tasks.run(ask)
    assert after < before
    times = [entry["started"] for entry in control.requests()]
    assert len(times) == 3
    assert times[1] - times[0] >= 0.5
    assert times[2] - times[1] >= 1.0
    assert tasks.totals().calls == 1, "a refused call costs nothing"


@pytest.mark.parametrize("in_stream", [False, True], ids=["status", "stream"])
@pytest.mark.parametrize("form", ["aws", "anthropic"])
def test_a_spent_day_ends_all_calls_soon_with_one_request_each_at_most(
    tasks: Tasks, control: SimulatorControl, form: Any, in_stream: bool
) -> None:
    control.add_fault("throttle", message=PER_DAY, form=form, in_stream=in_stream)

    async def all_at_once(client: Any) -> tuple[list[Any], float, float]:
        calls = [await tasks.calls(client, identity(f"task_{number}")) for number in range(40)]
        before = calls[0].pace.rate
        ended = await asyncio.gather(
            *(converse(one.ask, a_request(), check=lambda data: [], repairs=0) for one in calls),
            return_exceptions=True,
        )
        return ended, before, calls[0].pace.rate

    started = time.monotonic()
    ended, before, after = tasks.run(all_at_once)
    assert time.monotonic() - started < 10
    assert {type(error).__name__ for error in ended} == {"DailyQuotaError"}
    assert not any(error.retryable for error in ended)
    assert all("clear the failed tasks" in error.hint for error in ended)
    assert len(control.requests()) <= 8, "those that a pace lets begin at once; the others know by then"
    assert after >= before, "the pace of others is not slowed"
    assert tasks.totals().calls == 0


def test_a_quota_that_no_call_fits_into_is_told_by_what_is_reserved(
    tasks: Tasks, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.ledger.patience.THROTTLE_PATIENCE", 0.5)
    control.add_fault("throttle", message=TOO_MANY_TOKENS)
    with pytest.raises(ThrottledError) as caught:
        tasks.do(identity())
    assert "1,000 for max_tokens" in caught.value.hint
    assert "context_chars" in caught.value.hint


@pytest.mark.parametrize("fault", ["internal", "model_error"])
@pytest.mark.parametrize("in_stream", [False, True], ids=["status", "stream"])
def test_a_passing_fault_is_tried_again_quickly_before_an_answer_began(
    tasks: Tasks, control: SimulatorControl, fault: str, in_stream: bool
) -> None:
    control.add_fault(fault, times=2, in_stream=in_stream)
    tasks.do(identity())
    times = [entry["started"] for entry in control.requests()]
    assert len(times) == 3
    assert times[1] - times[0] >= 0.3
    assert times[2] - times[1] >= 0.7


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("truncate", "StreamBrokenError"),
        ("reset", "StreamBrokenError"),
        ("exception_frame", "ThrottledError"),
    ],
)
def test_an_answer_that_broke_off_is_counted_and_left_to_airflow(
    tasks: Tasks, control: SimulatorControl, fault: str, error: str
) -> None:
    control.add_fault(fault, times=1)
    with pytest.raises(ClaudeError) as caught:
        tasks.do(identity())
    assert type(caught.value).__name__ == error
    assert len(control.requests()) == 1
    totals = tasks.totals()
    assert totals.calls == 1
    assert totals.usage.output_tokens > 0
    assert totals.cost_usd > 0
    tasks.do(identity(try_number=2))
    assert tasks.totals().calls == 2


def test_a_request_that_nobody_answered_counts_at_its_upper_bound(
    tasks: Tasks,
    connect: Connect,
    simulator: Simulator,
    control: SimulatorControl,
) -> None:
    connect.to(simulator.url, claude={"max_retries": 0, "timeout_seconds": 0.3})
    control.set_latency(5)
    with pytest.raises(NoAnswerError):
        tasks.do(identity())
    totals = tasks.totals()
    assert totals.uncertain_calls == 1
    assert totals.uncertain.cost_usd == pytest.approx(0.025, rel=0.3), (
        "1,000 output tokens of Opus, and a prompt"
    )


def test_a_cancelled_call_is_closed_at_once_and_counted(tasks: Tasks, control: SimulatorControl) -> None:
    control.add_fault("stall", times=1)

    async def cancel(client: Any) -> None:
        calls = await tasks.calls(client, identity())
        call = asyncio.create_task(converse(calls.ask, a_request(), check=lambda data: [], repairs=0))
        await asyncio.to_thread(control.wait_for_requests, 1)
        while not control.requests()[0]["status"]:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    tasks.run(cancel)
    totals = tasks.totals()
    assert (totals.open_calls, totals.calls) == (0, 1)
    tasks.do(identity())
    assert len(control.requests()) == 2


def test_a_budget_lets_at_most_one_call_past_it(
    tmp_path: Path, tasks: Tasks, control: SimulatorControl, figure: Callable[[str], None]
) -> None:
    """Forty calls at once, each of a known price, against a budget for ten of them."""
    control.add_usage(100, 380)
    price = (100 * 5 + 380 * 25) / 1e6
    tasks.limits = RunLimits(run=SpendLimits(budget_usd=10 * price), max_parallel=40)

    async def all_at_once(client: Any) -> list[Any]:
        async def one(number: int) -> Any:
            calls = await tasks.calls(client, identity(f"task_{number}"))
            return await converse(calls.ask, a_request(), check=lambda data: [], repairs=0)

        return await asyncio.gather(*(one(number) for number in range(40)), return_exceptions=True)

    ended = tasks.run(all_at_once)
    refused = [error for error in ended if isinstance(error, LimitSpentError)]
    answered = [answer for answer in ended if not isinstance(answer, BaseException)]
    assert len(refused) + len(answered) == 40, ended
    spent = tasks.totals().cost_usd
    figure(f"forty calls against a budget for ten: {len(answered)} were made")
    assert 10 * price <= spent <= 11 * price + 1e-9
    assert len(control.requests()) == len(answered)
    assert "budget_usd" in str(refused[0])


def test_a_dollar_limit_on_a_model_of_unknown_price_is_refused_before_the_call(
    tasks: Tasks, control: SimulatorControl
) -> None:
    tasks.limits = RunLimits(run=SpendLimits(budget_usd=1))
    profile = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc123"
    with pytest.raises(PriceUnknownError, match="abc123"):
        tasks.do(identity(), model=profile)
    assert control.requests() == []
    tasks.limits = RunLimits(run=SpendLimits(budget_usd=1, max_tokens=100_000))
    tasks.do(identity(), model=profile)
    assert tasks.totals().unpriced_calls == 1


def test_a_budget_is_held_by_the_price_of_the_model_behind(tasks: Tasks, control: SimulatorControl) -> None:
    profile = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc123"
    tasks.model_behind, tasks.limits = MODEL, RunLimits(run=SpendLimits(budget_usd=1))
    tasks.do(identity(), model=profile)
    totals = tasks.totals()
    assert (totals.unpriced_calls, totals.cost_usd) == (0, cost_usd(MODEL, totals.usage))
    assert profile.rpartition("/")[2] in control.requests()[0]["model"], "it is asked for by its own name"


def test_no_more_calls_of_a_run_are_in_flight_than_it_may_have(
    tasks: Tasks, control: SimulatorControl
) -> None:
    control.set_latency(0.1)
    tasks.limits = RunLimits(max_parallel=3)

    async def many(client: Any) -> None:
        async def one(number: int) -> Any:
            calls = await tasks.calls(client, identity(f"task_{number}"))
            return await converse(calls.ask, a_request(), check=lambda data: [], repairs=0)

        await asyncio.gather(*(one(number) for number in range(12)))

    tasks.run(many)
    assert control.peak_in_flight() == 3


def test_without_the_record_store_no_call_is_made(tasks: Tasks, control: SimulatorControl) -> None:
    tasks.records.write_text("a file where the folder should be")

    async def come_back(client: Any) -> Any:
        calls = await tasks.calls(client, identity())
        call = asyncio.create_task(converse(calls.ask, a_request(), check=lambda data: [], repairs=0))
        done, _ = await asyncio.wait([call], timeout=1.5)
        assert not done
        assert control.requests() == []
        tasks.records.unlink()
        return await call

    started = time.monotonic()
    assert tasks.run(come_back).usage.calls == 1
    assert time.monotonic() - started < 10
    assert isinstance(tasks.totals().calls, int)


def test_calls_that_died_with_their_process_hold_nobody_up(tasks: Tasks, control: SimulatorControl) -> None:
    """Of a run that may have two calls at a time, two were lost; a third task stands in line before theirs."""
    from chassis.contract.spending import Bound
    from chassis.ledger.entries import Opened
    from chassis.ledger.journal import RunLedger

    tasks.limits = RunLimits(max_parallel=2)

    async def after_the_kill(client: Any) -> list[Any]:
        gate = tasks.gate()
        ledger = RunLedger(gate.files, "sums", "manual__1")
        for number in range(2):
            lost = Opened(
                call=f"lost{number}",
                task_id=f"task_{number}",
                model=MODEL,
                opened_at=time.time(),
                until=time.time() + 600,
                bound=Bound(tokens=100, cost_usd=0.01),
            )
            assert ledger.reserve(lost, tasks.limits)

        async def one(number: int) -> Any:
            calls = await tasks.calls(client, identity(f"task_{number}", try_number=2))
            return await converse(calls.ask, a_request(), check=lambda data: [], repairs=0)

        first = asyncio.create_task(one(2))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return await asyncio.gather(first, one(0), one(1))

    assert len(tasks.run(after_the_kill)) == 3
    assert tasks.totals().uncertain_calls == 2
