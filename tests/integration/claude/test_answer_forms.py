"""Every model with every form refused at every place and in every shape: one answer or one clear error, and its price.

The simulator plays each model as its file says, and as if it refused other forms: support vanishes overnight. What was
paid for is read from the ledger, what was sent from the simulator's log.
"""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude.answer_forms import FormMemory
from chassis.claude.conversation import converse
from chassis.contract.spending import RunLimits
from chassis.errors import ClaudeError, RequestRefusedError
from chassis.files import open_files
from chassis.ledger.entries import Opened
from chassis.ledger.journal import RunLedger
from chassis.local.simulator.model_files import Model, known_models
from tests.integration.claude.wire import a_request
from tests.integration.ledger.test_paid_calls import Tasks, identity
from tests.ledgers import entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chassis.claude.conversation import Check
    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

PLACES: list[dict[str, Any]] = [
    {"place": "before", "shape": "aws", "status": 400},
    {"place": "before", "shape": "anthropic", "status": 422},
    {"place": "in_stream", "shape": "aws"},
    {"place": "in_stream", "shape": "anthropic"},
]
CASES: dict[str, dict[str, Any]] = {
    "as known": {},
    "refuses format": {"format": "refused", "forced_tool": "taken"},
    "refuses tool": {"format": "taken", "forced_tool": "refused"},
    "refuses both": {"format": "refused", "forced_tool": "refused"},
    "runs on": {"format": "runs_away", "forced_tool": "taken"},
    "runs on, refuses tool": {"format": "runs_away", "forced_tool": "refused"},
    "refuses everything": {"format": "refused", "forced_tool": "refused"},
}
EVERYTHING = "refuses everything"
SIMULATED = {"sum": 1}
"""What the simulator answers to the request of these tests."""


def expected(case: str, played: Model) -> tuple[bool, int, int]:
    """Whether there is an answer, the requests and the paid calls, by how a model is played."""
    runs_on = int(played.format == "runs_away")
    if played.format == "taken":
        return True, 1, 1
    if played.forced_tool != "refused":
        return True, 2, runs_on + 1
    return case != EVERYTHING, 3, runs_on + int(case != EVERYTHING)


@pytest.fixture
def tasks(
    tmp_path: Path, connect: Connect, simulator: Simulator, control: SimulatorControl
) -> Iterator[Tasks]:
    connect.to(simulator.url)
    yield Tasks(tmp_path / "records", RunLimits())
    control.play_as_known()


@pytest.mark.parametrize("family", known_models())
def test_each_combination_ends_in_an_answer_or_in_one_clear_error(
    tasks: Tasks, control: SimulatorControl, family: str, figure: Callable[[str], None]
) -> None:
    ids = {
        (case, number): f"us.anthropic.{family}-{'-'.join(case.replace(',', '').split())}-{number}"
        for case, number in product(CASES, range(len(PLACES)))
    }
    for (case, number), model in ids.items():
        control.play(model, plays=family, **PLACES[number], **CASES[case])
        if case == EVERYTHING:
            words = "Malformed input request, please reformat your input and try again."
            where = {"in_stream": PLACES[number]["place"] == "in_stream", "form": PLACES[number]["shape"]}
            control.add_fault("not_allowed", message=words, model=model, **where)

    async def one(client: Any, model: str) -> tuple[Any, ClaudeError | None]:
        calls = await tasks.calls(client, identity(task=model))
        request, memory = a_request(model=model), FormMemory()
        try:
            answer = await converse(calls.ask, request, check=lambda data: [], repairs=0, memory=memory)
            return answer.data, None
        except ClaudeError as error:
            return None, error

    async def all_at_once(client: Any) -> list[tuple[Any, ClaudeError | None]]:
        return await asyncio.gather(*(one(client, model) for model in ids.values()))

    outcomes = dict(zip(ids, tasks.run(all_at_once), strict=True))
    paid = paid_calls(tasks)
    log = [entry["model"] for entry in control.requests()]
    assert len(log) == sum(log.count(model) for model in ids.values())

    cells = []
    for case, behaviour in CASES.items():
        played = known_models()[family].model_copy(update=behaviour)
        answered, requests, calls = expected(case, played)
        for number, place in enumerate(PLACES):
            model, (data, error) = ids[case, number], outcomes[case, number]
            where = f"{family}, {case}, {place}: {error}"
            assert (log.count(model), paid.get(model, 0)) == (requests, calls), where
            if answered:
                assert data == SIMULATED, where
            else:
                assert isinstance(error, RequestRefusedError), where
                for words in (
                    "output_config.format: Extra inputs",
                    'tool_choice: type "tool"',
                    "Malformed input",
                ):
                    assert words in error.message, where
                assert not error.retryable
        cells.append(f"{case} {requests}/{calls}{'' if answered else ' error'}")
    figure(f"forms, {family}, requests/paid calls: {'; '.join(cells)}")


@pytest.mark.parametrize(
    ("behaviour", "requests"),
    [
        ({"format": "too_complex", "forced_tool": "taken"}, 2),
        ({"format": "refused", "forced_tool": "refused", "asked_for": "fenced"}, 3),
        ({"format": "refused", "forced_tool": "refused", "asked_for": "prose"}, 3),
    ],
    ids=["a grammar too large", "a fence", "prose"],
)
def test_an_answer_in_the_last_form_needs_no_second_call(
    tasks: Tasks, control: SimulatorControl, behaviour: dict[str, Any], requests: int
) -> None:
    control.play("*", **behaviour)
    answer = tasks.run(lambda client: talk(tasks, client))
    assert (answer.data, answer.attempts, answer.usage.calls) == (SIMULATED, 1, 1)
    assert len(control.requests()) == requests


async def talk(
    tasks: Tasks, client: Any, *, try_number: int = 1, repairs: int = 0, check: Check | None = None
) -> Any:
    """A conversation in a process that remembers no form."""
    calls = await tasks.calls(client, identity(try_number=try_number))
    return await converse(
        calls.ask, a_request(), check=check or (lambda data: []), repairs=repairs, memory=FormMemory()
    )


@pytest.mark.parametrize(
    ("behaviour", "requests", "paid"),
    [
        ({"format": "refused", "forced_tool": "taken"}, 2, 1),
        ({"format": "refused", "forced_tool": "refused"}, 3, 1),
        ({"format": "runs_away", "forced_tool": "taken"}, 2, 2),
    ],
)
def test_a_retry_in_a_process_that_remembers_no_form_is_refused_and_finds_the_kept_answer(
    tasks: Tasks, control: SimulatorControl, behaviour: dict[str, Any], requests: int, paid: int
) -> None:
    control.play("*", **behaviour)
    first = tasks.run(lambda client: talk(tasks, client))
    control.clear_requests()
    again = tasks.run(lambda client: talk(tasks, client, try_number=2))
    assert again == first
    assert all(entry["status"] == 400 for entry in control.requests()), "refusals, which cost nothing"
    assert tasks.totals().calls == paid


@pytest.mark.parametrize("then", ["taken", "refused"])
@pytest.mark.parametrize(
    "family", [family for family, model in known_models().items() if model.binds_thinking]
)
def test_a_form_that_vanishes_between_two_answers_leaves_no_thinking_in_the_changed_history(
    tasks: Tasks, control: SimulatorControl, family: str, then: str
) -> None:
    """These models think unasked, and refuse thinking in another history than the one that it came from."""
    control.play("*", plays=family, format="taken")

    def wrong_once(data: Any) -> list[str]:
        if len(control.requests()) > 1:
            return []
        control.play("*", plays=family, format="refused", forced_tool=then)
        return ["sum: add once more"]

    answer = tasks.run(lambda client: talk(tasks, client, repairs=1, check=wrong_once))
    assert (answer.data, answer.attempts, answer.usage.calls) == (SIMULATED, 2, 2)
    last = control.requests()[-1]["body"]["messages"]
    assert {block["type"] for turn in last for block in turn["content"]} == {"text"}
    assert "add once more" in str(last[-1])


def test_thinking_and_effort_are_no_reason_to_be_without_an_answer(
    tasks: Tasks, control: SimulatorControl
) -> None:
    """Whatever a model refuses of them, in whichever form it answers."""
    ids = {family: f"us.anthropic.{family}-thinks" for family in known_models()}
    for family, model in ids.items():
        control.play(model, plays=family)

    async def one(client: Any, model: str) -> Any:
        calls = await tasks.calls(client, identity(task=model))
        request = a_request(model=model).model_copy(update={"thinking": "adaptive", "effort": "low"})
        answer = await converse(calls.ask, request, check=lambda data: [], repairs=0, memory=FormMemory())
        return answer.data, answer.usage.calls

    async def all_at_once(client: Any) -> list[Any]:
        return await asyncio.gather(*(one(client, model) for model in ids.values()))

    assert tasks.run(all_at_once) == [(SIMULATED, 1)] * len(ids)


def paid_calls(tasks: Tasks) -> dict[str, int]:
    """What the ledger counted, by task, each of which has the name of its model; nothing of it is uncertain."""
    files = open_files(str(tasks.records), "", what="record store")
    ledger = RunLedger(files, "sums", "manual__1")
    run = ledger.totals()
    assert run.uncertain_calls + run.open_calls == 0
    tasks = {
        opened.task_key for opened in entries_of(files, "sums", "manual__1") if isinstance(opened, Opened)
    }
    return {task: ledger.totals((task, item)).calls for task, item in tasks}
