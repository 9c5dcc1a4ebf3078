"""What was said in the calls of a try, against the simulator: each end that a call can have, on both kinds of store."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude.conversation import converse
from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import RunLimits
from chassis.errors import ClaudeError, StoreError, StreamBrokenError
from chassis.files import Files, open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.local.simulator import SECRET_KEY
from chassis.records import transcript_recorder
from chassis.records.masking import MASK
from chassis.records.transcript_recorder import TranscriptRecorder
from chassis.records.transcripts import Transcripts, TryTranscript
from chassis.work.verdict import answer_schema
from tests.integration.claude.conftest import Connect
from tests.integration.claude.wire import MODEL, PROMPT, SCHEMA, a_request
from tests.integration.s3 import CONN_ID

if TYPE_CHECKING:
    from chassis.local.simulator import Simulator, SimulatorControl

DAG, RUN, TASK, ITEM = "sums", "manual__2026-11-22T12:00:00+00:00", "add", "claims & co"
SECRET = "ghp_" + "a1B2" * 9


class Task:
    """One item of a mapped task, which may be tried again."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: Files = open_files(root, CONN_ID, what="record store")
        self.transcripts = Transcripts(self.files, DAG, RUN)

    def attempt(
        self,
        *,
        number: int = 1,
        clear: int = 0,
        repairs: int = 0,
        check: Callable[[Any], list[str]] = lambda _: [],
        prompt: str = "",
        cancel_when: Callable[[], bool] | None = None,
    ) -> Any:
        """One try: its answer, or the error that it ended with."""
        who = CallIdentity(
            dag_id=DAG,
            run_id=RUN,
            clear_number=clear,
            task_id=TASK,
            item=ITEM,
            map_index=2,
            try_number=number,
        )

        async def session() -> Any:
            from chassis.claude.client_pool import connected
            from chassis.claude.pace import pace_for
            from chassis.ledger.paid_calls import PaidCalls
            from chassis.ledger.run_gate import gate_of

            recorder = TranscriptRecorder(self.transcripts, who, "task")
            async with connected("claude_bedrock", shared=False) as client:
                calls = PaidCalls(
                    client=client,
                    identity=who,
                    gate=gate_of(self.files, DAG, RUN),
                    pace=pace_for(("claude_bedrock", MODEL), 8),
                    limits=RunLimits(),
                    timeout_seconds=60,
                    subject="task 'add'",
                    kind="task",
                    recorder=recorder,
                )
                request = a_request()
                if prompt:
                    message = request.messages[0].model_copy(
                        update={"content": (*request.messages[0].content, {"type": "text", "text": prompt})}
                    )
                    request = request.model_copy(update={"messages": (message,)})
                talk = asyncio.ensure_future(converse(calls.ask, request, check=check, repairs=repairs))
                try:
                    while cancel_when is not None and not cancel_when():
                        await asyncio.sleep(0.01)
                    if cancel_when is not None:
                        talk.cancel()
                    return await talk
                except (ClaudeError, asyncio.CancelledError) as error:
                    return error
                finally:
                    await recorder.settled()

        return asyncio.run(session())

    def tries(self) -> list[TryTranscript]:
        return self.transcripts.tries(TASK, ITEM)


@pytest.fixture
def task(root: str, connect: Connect, simulator: Simulator, control: SimulatorControl) -> Task:
    connect.to(simulator.url, claude={"max_retries": 2})
    return Task(root)


def text_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"])


def test_an_answer_is_kept_with_all_that_led_to_it(task: Task, control: SimulatorControl) -> None:
    answer = task.attempt()
    [found] = task.tries()
    [turn] = found.turns
    assert (found.task_id, found.item, found.try_number, found.clear_number) == (TASK, ITEM, 1, 0)
    assert found.system == ("You work.",)
    assert found.answer_schema == SCHEMA
    assert found.simulated
    assert found.request_ids == answer.request_ids == (control.requests()[0]["request_id"],)
    assert (turn.outcome, turn.error, turn.stop_reason, turn.model) == ("answered", "", "end_turn", MODEL)
    assert (turn.map_index, turn.kind, turn.recalled) == (2, "task", False)
    assert [message["role"] for message in turn.messages] == ["user"]
    assert PROMPT in text_of(turn.messages[0])
    assert turn.answer[0]["type"] == "text"
    assert turn.usage == answer.usage
    assert turn.cost_usd
    assert turn.seconds > 0
    assert turn.at.startswith("20")


def test_each_turn_holds_only_what_is_new_in_it(task: Task, control: SimulatorControl) -> None:
    faults = iter([["the sum is wrong"], ["still wrong"], []])
    task.attempt(repairs=2, check=lambda _: next(faults))
    [found] = task.tries()
    assert [turn.messages_before for turn in found.turns] == [0, 1, 3]
    assert [[message["role"] for message in turn.messages] for turn in found.turns] == [
        ["user"],
        ["assistant", "user"],
        ["assistant", "user"],
    ]
    assert "the sum is wrong" in text_of(found.turns[1].messages[1])
    assert "still wrong" in text_of(found.turns[2].messages[1])
    assert [bool(turn.system) for turn in found.turns] == [True, False, False]
    assert [turn.answer_schema is None for turn in found.turns] == [False, True, True]
    assert len(set(found.request_ids)) == 3


def test_refused_and_broken_calls_are_there_too_and_each_try_can_be_read(
    task: Task, control: SimulatorControl
) -> None:
    control.add_fault("throttle", times=2, retry_after=0)
    control.add_fault("truncate", times=1)
    assert isinstance(task.attempt(number=1), StreamBrokenError)
    control.clear_faults()
    task.attempt(number=2)
    task.attempt(number=3, clear=1)
    newest, second, first = task.tries()
    assert [found.try_number for found in (newest, second, first)] == [3, 2, 1]
    assert newest.clear_number == 1
    assert [(turn.outcome, turn.error) for turn in first.turns] == [
        ("failed", "ThrottledError"),
        ("failed", "ThrottledError"),
        ("failed", "StreamBrokenError"),
    ]
    assert first.turns[0].error_message
    assert first.turns[2].answer, "what came before it broke is kept"
    assert first.turns[2].stop_reason is None
    assert [len(turn.messages) for turn in first.turns] == [1, 0, 0]
    assert [turn.outcome for turn in second.turns] == ["answered"]
    everything = [request_id for found in (first, second, newest) for request_id in found.request_ids]
    assert everything == [request["request_id"] for request in control.requests()]
    assert task.transcripts.find(TASK, ITEM, 1) == first
    assert task.transcripts.find(TASK, ITEM, 4) is None
    assert task.transcripts.try_numbers(TASK, ITEM) == [3, 2, 1]


def test_a_recalled_answer_is_told_as_one(task: Task, control: SimulatorControl) -> None:
    task.attempt(number=1)
    task.attempt(number=2)
    second, first = task.tries()
    assert [turn.recalled for turn in (*first.turns, *second.turns)] == [False, True]
    assert second.turns[0].answer == first.turns[0].answer
    assert second.request_ids == first.request_ids
    assert len(control.requests()) == 1


def test_a_try_that_another_process_goes_on_with_loses_no_turn(task: Task, control: SimulatorControl) -> None:
    """A triggerer that takes over has the same try, and begins to count anew."""
    task.attempt(number=1)
    task.attempt(number=1)
    [found] = task.tries()
    assert [turn.recalled for turn in found.turns] == [False, True]


def test_a_cancelled_call_is_told_as_one(task: Task, control: SimulatorControl) -> None:
    control.add_fault("stall", times=1)
    ended = task.attempt(cancel_when=lambda: any(entry["status"] for entry in control.requests()))
    assert isinstance(ended, asyncio.CancelledError)
    [found] = task.tries()
    assert [turn.outcome for turn in found.turns] == ["cancelled"]
    assert found.turns[0].messages


def test_tasks_and_items_have_transcripts_of_their_own(task: Task) -> None:
    task.attempt()
    assert task.transcripts.tries(TASK) == []
    assert task.transcripts.tries(TASK, "claims") == []
    assert task.transcripts.tries("ad", ITEM) == []
    assert Transcripts(task.files, DAG, "another run").tries(TASK, ITEM) == []


def test_no_secret_is_written_neither_asked_nor_answered(task: Task, control: SimulatorControl) -> None:
    control.add_answer({"sum": 1, "note": f"you gave me {SECRET}"})
    assert not isinstance(task.attempt(prompt=f"My token is {SECRET}.", repairs=1), asyncio.CancelledError)
    [found] = task.tries()
    assert len(found.turns) == 2
    assert SECRET not in found.model_dump_json()
    assert f"My token is {MASK}." in text_of(found.turns[0].messages[0])
    assert f"you gave me {MASK}" in str(found.turns[0].answer)
    assert f"you gave me {MASK}" in str(found.turns[1].messages[0])


def test_what_the_process_knows_from_its_connections_is_masked_too(task: Task) -> None:
    """A key without a form of its own: that of the very connection that the call was made with."""
    task.attempt(prompt=f"Sign it with {SECRET_KEY} and nothing else.")
    [found] = task.tries()
    assert f"Sign it with {MASK} and nothing else." in text_of(found.turns[0].messages[0])
    assert SECRET_KEY not in found.model_dump_json()


def test_what_is_too_long_is_cut_and_says_so(
    task: Task, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript_recorder, "MOST_CHARS", 3_000)
    task.attempt(prompt="long " * 2_000)
    [found] = task.tries()
    assert len(found.model_dump_json()) < 6_000
    assert "more characters are not kept in this transcript]" in text_of(found.turns[0].messages[0])
    assert found.turns[0].cut_chars > 7_000
    assert '"sum"' in str(found.turns[0].answer), "the answer comes first"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"call": 1}'])
def test_an_edited_transcript_is_counted_and_hides_nothing_else(task: Task, content: bytes) -> None:
    task.attempt(number=1)
    task.attempt(number=2, clear=1)
    [name] = [name for name in task.files.names(folder_of(task)) if "/0001-" in name]
    task.files.write(name, content)
    second, first = task.tries()
    assert (len(second.turns), second.unreadable) == (1, 0)
    assert (len(first.turns), first.unreadable) == (0, 1)


def folder_of(task: Task) -> str:
    return RunPaths(DAG, RUN).transcripts(TASK, ITEM)


class BrokenFiles:
    """A record store that takes nothing any more, and takes its time to say so."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def create(self, name: str, content: bytes) -> bool:
        self.let_go.wait(30)
        raise StoreError("The record store is away.")

    def locate(self, name: str) -> str:
        return name


def test_a_store_that_hangs_or_fails_delays_no_answer_and_fails_nothing(
    task: Task, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transcript_recorder, "PATIENCE", 0.2)
    broken: Any = BrokenFiles()
    task.transcripts = Transcripts(broken, DAG, RUN)
    started = time.monotonic()
    assert task.attempt(number=1).data["sum"] is not None
    assert time.monotonic() - started < 5
    broken.let_go.set()
    assert task.attempt(number=2, clear=1).data["sum"] is not None
    assert "A transcript is not kept: The record store is away." in caplog.text


def test_a_turn_that_could_not_be_written_takes_no_other_along(task: Task) -> None:
    """What the next turn would leave out, because the turn before it has it, it then holds itself."""
    failures = iter([True])
    write = task.transcripts.write

    def failing(*arguments: Any) -> int:
        if next(failures, False):
            raise StoreError("away for a moment")
        return write(*arguments)

    task.transcripts.write = failing  # type: ignore[method-assign]
    faults = iter([["wrong"], []])
    task.attempt(repairs=1, check=lambda _: next(faults))
    [found] = task.tries()
    assert [turn.messages_before for turn in found.turns] == [0]
    assert [message["role"] for message in found.turns[0].messages] == ["user", "assistant", "user"]
    assert found.system == ("You work.",)


@pytest.mark.parametrize("kept", [True, False])
def test_a_tasks_call_keeps_a_transcript_when_it_is_told_to(
    root: str, connect: Connect, simulator: Simulator, control: SimulatorControl, kept: bool
) -> None:
    """As the triggerer performs it, from plain data."""
    from chassis.dag.deferred_call import TaskCall, restore_call
    from chassis.work.account import Account

    connect.to(simulator.url)
    call = TaskCall(
        conn_id="claude_bedrock",
        request=a_request(schema=answer_schema(None)),
        accounts=Account(
            identity=CallIdentity(dag_id=DAG, run_id=RUN, clear_number=0, task_id=TASK),
            limits=RunLimits(),
            timeout_seconds=60,
            records_root=root,
            storage_conn_id=CONN_ID,
            trace_content=False,
            transcripts=kept,
        ),
        repairs=0,
    )
    outcome = asyncio.run(restore_call(call.model_dump(mode="json")).perform(shared=False))
    assert outcome.result is not None, outcome.error
    found = Transcripts(open_files(root, CONN_ID, what="record store"), DAG, RUN).tries(TASK)
    assert [one.request_ids for one in found] == ([tuple(outcome.result["request_ids"])] if kept else [])
