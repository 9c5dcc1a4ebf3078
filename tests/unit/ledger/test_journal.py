"""The ledger of a run: limits hold whoever writes and in whatever order, and nothing written is ever forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import Bound, RunLimits, Totals
from chassis.contract.usage import Usage
from chassis.errors import LimitSpentError, RecordBrokenError, StoreError
from chassis.files import numbered
from chassis.ledger import journal
from chassis.ledger.entries import Closed, Opened, entry_text
from chassis.ledger.journal import RunLedger
from chassis.ledger.sums import Fold, nanos
from chassis.workflow import SpendLimits
from tests.ledgers import entries_of, open_calls_of
from tests.unit.ledger.makers import DAG, NOON, RUN, MemoryFiles, UnsureFiles, answered, opened, run_limits

FREE = RunLimits(max_parallel=1000)
FOLDER = RunPaths(DAG, RUN).ledger


def ledger(files: MemoryFiles, clock: Callable[[], float] = lambda: NOON) -> RunLedger:
    """The ledger as another process would open it."""
    return RunLedger(files, DAG, RUN, clock=clock)


def fold_of(files: MemoryFiles) -> Fold:
    """What stands in the files, without any ledger's memory."""
    fold = Fold()
    for entry in entries_of(files, DAG, RUN):
        fold.add(entry)
    return fold


def open_in(files: MemoryFiles) -> list[str]:
    return [call.call for call in open_calls_of(files, DAG, RUN)]


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


class TestCalls:
    def test_a_call_is_opened_and_closed(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        assert mine.reserve(opened("a"), FREE)
        assert mine.totals().open_calls == 1
        mine.close(answered("a"))
        assert mine.totals() == ledger(files).totals()
        assert (mine.totals().calls, mine.totals().open_calls) == (1, 0)
        assert entries_of(files, DAG, RUN) == [opened("a"), answered("a")]
        assert sorted(name for name in files.content if name.startswith(FOLDER)) == [
            f"{FOLDER}/000001.json",
            f"{FOLDER}/000002.json",
        ]

    def test_it_is_told_by_task(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        for call, item in (("a", "x"), ("b", "y")):
            mine.reserve(opened(call, "update", item), FREE)
        mine.close(answered("a", 0.3))
        assert mine.totals(("update", "x")).cost_usd == 0.3
        assert mine.totals(("update", "y")).open_calls == 1
        assert mine.totals(("other", None)) == Totals()

    def test_an_attempt_keeps_its_own_calls_and_those_of_later_ones_open(self, files: MemoryFiles) -> None:
        """An agent's turns, several at a time, are calls of one attempt; a zombie must not give up its successor's."""
        cases = (
            ("turn", "mine", 2),
            ("before", "theirs", 1),
            ("taken over", "a dead process", 2),
            ("after", "next", 3),
        )
        for call, owner, try_number in cases:
            # Each stands there as if the others had been opened by processes that see nothing of it.
            entry = opened(call, owner=owner, try_number=try_number)
            files.content[numbered(FOLDER, len(files.names(FOLDER)) + 1)] = entry_text(entry)
        assert ledger(files).reserve(opened("next turn", owner="mine", try_number=2), FREE)
        assert open_in(files) == ["turn", "after", "next turn"]
        assert ledger(files).totals().open_calls == 3, "each counts at its bound"
        ledger(files).give_up(("deploy", None), "a new process", (0, 2))
        assert open_in(files) == ["after"]

    @pytest.mark.parametrize("same_process", [True, False])
    def test_a_task_gives_its_own_earlier_call_up_for_lost_and_no_others(
        self, files: MemoryFiles, same_process: bool
    ) -> None:
        first = ledger(files)
        first.reserve(opened("mine", "update", "x"), FREE)
        first.reserve(opened("others", "update", "y"), FREE)
        retry = first if same_process else ledger(files)
        assert retry.reserve(opened("again", "update", "x", try_number=2), FREE)
        assert open_in(files) == ["others", "again"]
        mine = retry.totals(("update", "x"))
        assert (mine.uncertain_calls, mine.uncertain, mine.calls) == (1, Bound(tokens=100, cost_usd=0.4), 1)

    def test_what_is_lost_counts_even_when_the_limit_refuses_the_next_call(self, files: MemoryFiles) -> None:
        limits = run_limits(budget_usd=0.4)
        ledger(files).reserve(opened("a"), limits)
        with pytest.raises(LimitSpentError, match=r"up to \$0\.40 by calls whose end nobody saw"):
            ledger(files).reserve(opened("b"), limits)
        assert fold_of(files).is_closed("a")

    def test_a_real_end_replaces_lost(self, files: MemoryFiles) -> None:
        slow = ledger(files)
        slow.reserve(opened("a"), FREE)
        ledger(files).reserve(opened("b"), FREE)
        slow.close(answered("a", 0.1))
        assert ledger(files).totals().spent_usd == 0.1
        assert ledger(files).totals().uncertain_calls == 0

    def test_an_end_is_written_once(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        mine.reserve(opened("a"), FREE)
        for closer in (mine, mine, ledger(files)):
            closer.close(answered("a"))
        assert len(entries_of(files, DAG, RUN)) == 2

    def test_the_end_of_an_unknown_call_counts_for_the_run(self, files: MemoryFiles) -> None:
        ledger(files).close(answered("a", 0.1))
        assert ledger(files).totals().cost_usd == 0.1

    def test_a_name_is_used_once(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        mine.reserve(opened("a"), FREE)
        mine.close(answered("a"))
        with pytest.raises(ValueError, match="used once"):
            mine.reserve(opened("a"), FREE)

    def test_a_waiting_call_writes_nothing(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        mine.reserve(opened("a"), FREE)
        before = dict(files.content)
        assert not mine.reserve(opened("b", "other"), run_limits(max_parallel=1))
        assert files.content == before

    def test_time_runs_out_by_the_clock(self, files: MemoryFiles) -> None:
        now = [NOON]
        mine = ledger(files, lambda: now[0])
        limits = run_limits(max_parallel=1)
        mine.reserve(opened("a", until=NOON + 60), limits)
        assert not mine.reserve(opened("b", "other"), limits)
        now[0] += 60
        assert mine.totals().uncertain_calls == 1
        assert mine.reserve(opened("b", "other"), limits)


class TestOthers:
    def test_an_entry_that_comes_in_between_is_read_before_the_limits_are_held_again(
        self, files: MemoryFiles
    ) -> None:
        limits = run_limits(max_calls=1)
        rival = ledger(files)
        files.before_create.append(lambda: rival.reserve(opened("theirs", "other"), limits))  # type: ignore[arg-type,return-value]
        assert ledger(files).reserve(opened("mine"), limits) is False
        assert open_in(files) == ["theirs"]

    def test_two_ends_at_once_are_both_there(self, files: MemoryFiles) -> None:
        mine, rival = ledger(files), ledger(files)
        mine.reserve(opened("a"), FREE)
        rival.reserve(opened("b", "other"), FREE)
        files.before_create.append(lambda: rival.close(answered("b")))
        mine.close(answered("a"))
        assert ledger(files).totals().calls == 2

    def test_threads_share_one_ledger(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        limits = run_limits(max_calls=20)
        granted: list[str] = []

        def work(number: int) -> None:
            for turn in range(5):
                call = f"{number}-{turn}"
                if mine.reserve(opened(call, f"task_{number}"), limits):
                    granted.append(call)
                    mine.close(answered(call, usage=Usage(input_tokens=1, calls=1)))

        def quietly(number: int) -> None:
            try:
                work(number)
            except LimitSpentError:
                return

        threads = [threading.Thread(target=quietly, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(granted) == 20
        assert ledger(files).totals() == mine.totals()


class TestUnsureWrites:
    """A write whose answer is lost on the way: the entry stands there, its writer thinks that it doesn't."""

    def test_asking_again_after_an_error_opens_no_second_call(self) -> None:
        files = UnsureFiles()
        files.answers.append(StoreError("The connection was lost."))
        mine = ledger(files)
        with pytest.raises(StoreError):
            mine.reserve(opened("a"), FREE)
        assert mine.reserve(opened("a"), FREE)
        assert entries_of(files, DAG, RUN) == [opened("a")]

    def test_ones_own_entry_is_recognised_where_the_store_says_taken(self) -> None:
        files = UnsureFiles()
        files.answers += [False, False]
        mine = ledger(files)
        assert mine.reserve(opened("a"), run_limits(max_calls=1))
        mine.close(answered("a"))
        assert entries_of(files, DAG, RUN) == [opened("a"), answered("a")]

    def test_closing_again_after_an_error_closes_once(self) -> None:
        files = UnsureFiles()
        mine = ledger(files)
        mine.reserve(opened("a"), FREE)
        files.answers.append(StoreError("The connection was lost."))
        with pytest.raises(StoreError):
            mine.close(answered("a"))
        mine.close(answered("a"))
        assert entries_of(files, DAG, RUN) == [opened("a"), answered("a")]

    def test_a_number_that_nobody_has_and_nobody_gets_yet_is_tried_again(
        self, files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """S3 tells both writers of a conflict, and neither has written."""
        real, refusals, pauses = files.create, [True, True], []
        monkeypatch.setattr(
            files,
            "create",
            lambda name, content: (
                False if "/ledger/" in name and refusals and refusals.pop() else real(name, content)
            ),
        )
        monkeypatch.setattr(journal.time, "sleep", pauses.append)
        assert ledger(files).reserve(opened("a"), FREE)
        assert len(pauses) == 2

    def test_a_listing_that_is_behind_does_not_matter(
        self, files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network folder may list what it knew, for seconds; creating and reading by name are up to date."""
        mine, rival = ledger(files), ledger(files)
        mine.reserve(opened("a"), FREE)
        rival.reserve(opened("b", "other"), FREE)
        monkeypatch.setattr(files, "numbered_after", lambda folder, number, most: {})
        assert mine.reserve(opened("c", "third"), run_limits(max_calls=2)) is False
        mine.close(answered("a"))
        assert [entry.call for entry in entries_of(files, DAG, RUN)] == ["a", "b", "a"]


class TestBrokenFiles:
    @pytest.fixture
    def written(self, files: MemoryFiles) -> MemoryFiles:
        for call in "abc":
            ledger(files).reserve(opened(call, call), FREE)
        return files

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"not JSON",
            b"\xff",
            b"[]",
            b"{}",
            b'{"kind": "opened"}',
            b'{"kind": "other", "call": "a"}',
            b'{"call": "b", "closed_at": 1, "cost_usd": -5, "kind": "closed", "outcome": "answered"}',
            b'{"call": "b", "closed_at": 1, "cost_usd": NaN, "kind": "closed", "outcome": "answered"}',
            b'{"call": "b", "closed_at": 1, "extra": 5, "kind": "closed", "outcome": "answered"}',
        ],
    )
    def test_an_edited_entry_is_an_error_that_names_the_file(
        self, written: MemoryFiles, content: bytes
    ) -> None:
        written.content[f"{FOLDER}/000002.json"] = content
        for attempt in (
            lambda: ledger(written).totals(),
            lambda: ledger(written).reserve(opened("d"), FREE),
            lambda: ledger(written).close(answered("a")),
        ):
            with pytest.raises(RecordBrokenError, match=r"memory:.*/000002\.json") as caught:
                attempt()
            assert not caught.value.retryable
            assert caught.value.hint

    def test_a_missing_entry_is_an_error_that_names_the_file(self, written: MemoryFiles) -> None:
        del written.content[f"{FOLDER}/000002.json"]
        with pytest.raises(RecordBrokenError, match=r"has no memory:.*/000002\.json"):
            ledger(written).totals()

    def test_a_reader_that_met_a_broken_entry_goes_on_when_it_is_put_back(self, written: MemoryFiles) -> None:
        name = f"{FOLDER}/000002.json"
        good, written.content[name] = written.content[name], b"broken"
        reader = ledger(written)
        with pytest.raises(RecordBrokenError):
            reader.totals()
        written.content[name] = good
        assert reader.totals().open_calls == 3

    def test_other_files_in_the_folder_are_left_alone(self, written: MemoryFiles) -> None:
        written.content |= {
            f"{FOLDER}/.000004.json.0123.tmp": b"half",
            f"{FOLDER}/000004.json~": b"an editor's",
            f"{FOLDER}/notes.txt": b"a person's",
        }
        assert ledger(written).totals().open_calls == 3

    def test_records_that_were_deleted_are_not_remembered(
        self, written: MemoryFiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        mine = ledger(written)
        assert mine.totals().open_calls == 3
        written.content.clear()
        assert mine.totals() == Totals()
        assert mine.reserve(opened("d"), FREE)
        assert entries_of(written, DAG, RUN) == [opened("d")]
        assert "deleted" in caplog.text


class TestCost:
    def test_only_new_entries_are_read_and_one_listing_is_made(self, files: MemoryFiles) -> None:
        mine, rival = ledger(files), ledger(files)
        for number in range(50):
            rival.reserve(opened(f"a{number}", f"task_{number}"), FREE)
        mine.totals()
        rival.reserve(opened("new", "new"), FREE)
        files.reads.clear()
        files.listings = 0
        assert mine.totals().open_calls == 51
        assert files.reads == [f"{FOLDER}/000051.json"]
        assert files.listings == 1

    def test_who_is_alone_lists_once_and_reads_nothing(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        for number in range(5):
            assert mine.reserve(opened(f"a{number}"), FREE)
            mine.close(answered(f"a{number}"))
        assert (files.reads, files.listings) == ([], 2), "the checkpoints, and the entries"

    def test_a_call_that_has_to_wait_is_decided_by_what_stands_there_now(self, files: MemoryFiles) -> None:
        mine, rival = ledger(files), ledger(files)
        mine.reserve(opened("a"), FREE)
        rival.close(answered("a"))
        assert mine.reserve(opened("b", "other"), run_limits(max_parallel=1))

    def test_a_limit_is_spent_only_by_what_stands_there_now(self, files: MemoryFiles) -> None:
        mine, rival = ledger(files), ledger(files)
        rival.reserve(opened("late", "other"), FREE)
        mine.totals()
        mine.close(Closed(call="late", outcome="lost", closed_at=NOON, uncertain=Bound(cost_usd=0.4)))
        rival.close(answered("late", 0.1))
        assert mine.reserve(opened("b"), run_limits(budget_usd=0.4))

    def test_memory_is_not_relied_on_for_long(
        self, files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
        mine = ledger(files)
        for waited, listings in ((0, 2), (9.9, 2), (0.2, 3), (9.9, 3)):
            now[0] += waited
            mine.reserve(opened(f"call-{now[0]}", f"task-{now[0]}"), FREE)
            assert files.listings == listings


class TestContent:
    def test_no_entry_holds_what_was_asked_or_answered(self, files: MemoryFiles) -> None:
        mine = ledger(files)
        mine.reserve(opened("a"), FREE)
        mine.close(answered("a"))
        names = {key for content in files.content.values() for key in json.loads(content)}
        assert names <= set(Opened.model_fields) | set(Closed.model_fields) | {"dag_id", "run_id"}


MONEY = {"cost_usd": 0.4, "tokens": 100}
TASKS = [f"task_{number}" for number in range(4)]


class Processes(RuleBasedStateMachine):
    """Three processes that come and go, each with what it remembers; calls that end, are lost, or end late.

    What must hold at any moment: were every call that isn't closed to cost as much as it can, only the call that
    was opened last could be past a limit.
    """

    budget = 2.0
    most_tokens = 450
    most_calls = 7
    task_calls = 3

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(journal, "EVERY", 3)
        self.files = MemoryFiles()
        self.now = NOON
        self.started = 0
        self.processes = [self.start() for _ in range(3)]
        self.granted: list[Opened] = []
        self.real: dict[str, Closed] = {}
        self.limits = FREE

    def teardown(self) -> None:
        self.patch.undo()

    def start(self) -> tuple[str, RunLedger]:
        """A process by its name, with the ledger as it finds it: from a checkpoint, mostly."""
        self.started += 1
        return f"process {self.started}", ledger(self.files, lambda: self.now)

    @initialize(which=st.sampled_from(["usd", "tokens", "calls", "all"]), wide=st.integers(1, 5))
    def choose(self, which: str, wide: int) -> None:
        every = which == "all"
        run = SpendLimits(
            budget_usd=self.budget if every or which == "usd" else None,
            max_tokens=self.most_tokens if every or which == "tokens" else None,
            max_calls=self.most_calls if every or which == "calls" else None,
        )
        self.limits = RunLimits(run=run, task=SpendLimits(max_calls=self.task_calls), max_parallel=wide)

    def ask(self, process: int, task: str) -> None:
        owner, mine = self.processes[process]
        times = {"opened_at": self.now, "until": self.now + 100}
        call = opened(f"call_{len(self.granted)}_{process}", task, owner=owner, **times)
        if any(held.call == call.call for held in self.granted):
            return
        try:
            if mine.reserve(call, self.limits):
                assert self.open_now() <= self.limits.max_parallel
                owners = {each.owner for each in open_calls_of(self.files, DAG, RUN) if each.task_id == task}
                assert owners == {owner}, "a task's calls that others have left open are given up"
                self.granted.append(call)
        except LimitSpentError:
            return

    def open_now(self) -> int:
        return fold_of(self.files).sums(self.now).open_calls

    @rule(process=st.integers(0, 2), task=st.sampled_from(TASKS))
    def one_asks(self, process: int, task: str) -> None:
        self.ask(process, task)

    @rule(task=st.sampled_from(TASKS), other=st.sampled_from(TASKS))
    def two_ask_at_once(self, task: str, other: str) -> None:
        """The second comes in between the first one's look and its writing."""
        if task == other:
            return
        self.files.before_create.append(lambda: self.ask(1, other))
        self.ask(0, task)
        self.files.before_create.clear()

    @precondition(lambda self: self.granted)
    @rule(data=st.data(), process=st.integers(0, 2))
    def a_call_ends(self, data: st.DataObject, process: int) -> None:
        call = data.draw(st.sampled_from(self.granted)).call
        end = answered(
            call, data.draw(st.integers(0, 40)) / 100, tokens=data.draw(st.integers(0, MONEY["tokens"]))
        )
        self.processes[process][1].close(end)
        self.real.setdefault(call, end)

    @rule(process=st.integers(0, 2))
    def a_process_is_killed(self, process: int) -> None:
        self.processes[process] = self.start()

    @rule(content=st.sampled_from([None, b"", b"edited"]))
    def the_newest_checkpoint_is_harmed(self, content: bytes | None) -> None:
        names = sorted(name for name in self.files.content if "/checkpoints/" in name)
        if names and content is None:
            del self.files.content[names[-1]]
        elif names:
            self.files.content[names[-1]] = content or b""

    @rule(seconds=st.sampled_from([1, 60, 101]))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    def worst(self, calls: list[Opened]) -> tuple[int, int, int]:
        """What calls cost at most: what is known of those that ended, the bound of the others."""
        dollars = sum(
            nanos(self.real[c.call].cost_usd or 0) if c.call in self.real else nanos(0.4) for c in calls
        )
        tokens = sum(
            self.real[c.call].usage.input_tokens if c.call in self.real else MONEY["tokens"] for c in calls
        )
        return dollars, int(tokens), len(calls)

    @invariant()
    def only_the_last_call_can_be_past_a_limit(self) -> None:
        dollars, tokens, calls = self.worst(self.granted[:-1])
        run = self.limits.run
        if self.granted:
            assert run.budget_usd is None or dollars < nanos(run.budget_usd)
            assert run.max_tokens is None or tokens < run.max_tokens
            assert run.max_calls is None or calls < run.max_calls
        for task in TASKS:
            mine = [call for call in self.granted if call.task_id == task]
            assert len(mine) <= self.task_calls

    @invariant()
    def everyone_finds_the_same_and_it_is_what_the_files_say(self) -> None:
        truth = fold_of(self.files).sums(self.now).totals()
        assert {process.totals().model_dump_json() for _, process in self.processes} == {
            truth.model_dump_json()
        }
        assert truth.calls + truth.open_calls == len(self.granted)

    @invariant()
    def entries_have_no_gaps(self) -> None:
        numbers = sorted(int(name.rpartition("/")[2][:6]) for name in self.files.names(FOLDER))
        assert numbers == list(range(1, len(numbers) + 1))


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
