"""Who goes first in a wave, who waits for it, and that nobody waits in vain."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude import waves
from chassis.claude.waves import patience_ends, prefixes_of, turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MARK = {"cache_control": {"type": "ephemeral"}}


def payload(*texts: str, marked: int = 1, **parts: Any) -> dict[str, Any]:
    """A request whose first blocks each end in a breakpoint."""
    content = [{"type": "text", "text": text} | (MARK if n < marked else {}) for n, text in enumerate(texts)]
    whole = {"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "You do."}]}
    return whole | {"messages": [{"role": "user", "content": content}]} | parts


def of(*texts: str, **more: Any) -> tuple[str, ...]:
    return prefixes_of("c", payload(*texts, **more))


def test_calls_that_begin_alike_have_the_same_prefix_and_no_breakpoint_has_none() -> None:
    assert of("run", "a") == of("run", "b")
    assert of("run", "a") == of("run", "a", max_tokens=10), (
        "how long the answer may be is no part of the prompt"
    )
    assert of("run", "a", marked=0) == ()
    assert len(of("run", "shared", "a", marked=2)) == 2
    assert of("run", "shared", "a", marked=2)[1] == of("run", "other", "b", marked=2)[1]


@pytest.mark.parametrize(
    "parts",
    [
        {"model": "n"},
        {"system": [{"type": "text", "text": "You plan."}]},
        {"tools": [{"name": "answer"}]},
        {"tool_choice": {"type": "auto"}},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"thinking": {"type": "adaptive"}},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_what_keeps_bedrock_from_reading_is_part_of_a_prefix(parts: dict[str, Any]) -> None:
    assert of("run", "a") != of("run", "a", **parts)
    assert prefixes_of("c", payload("run", "a")) != prefixes_of("d", payload("run", "a"))


class Line:
    """Calls in the order in which they went."""

    def __init__(self) -> None:
        self.went: list[str] = []
        self.begin: dict[str, asyncio.Event] = {}
        self.fail: set[str] = set()
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def call(self, name: str, prefixes: tuple[str, ...]) -> None:
        async with turn(prefixes, patience_ends()) as begun:
            self.went.append(name)
            await self.begin.setdefault(name, asyncio.Event()).wait()
            if name in self.fail:
                raise ConnectionError(name)
            begun()
            await asyncio.sleep(3600)  # the rest of the answer

    async def start(self, **calls: tuple[str, ...]) -> None:
        for name, prefixes in calls.items():
            self.tasks[name] = asyncio.create_task(self.call(name, prefixes))
        await self.settle()

    async def answer(self, name: str) -> None:
        self.begin.setdefault(name, asyncio.Event()).set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


def in_line(scenario: Callable[[Line], Awaitable[None]]) -> None:
    async def session() -> None:
        line = Line()
        await scenario(line)
        for task in line.tasks.values():
            task.cancel()
        await asyncio.gather(*line.tasks.values(), return_exceptions=True)

    asyncio.run(session())


def test_one_goes_first_and_the_others_as_soon_as_its_answer_begins() -> None:
    async def scenario(line: Line) -> None:
        await line.start(a=("p",), b=("p",), c=("p",), other=("q",), none=())
        assert line.went == ["a", "other", "none"]
        await line.answer("a")
        assert line.went == ["a", "other", "none", "b", "c"]
        await line.start(d=("p",), e=("p",))
        assert line.went[-2:] == ["d", "e"], "what was written lately is read at once"

    in_line(scenario)


def test_one_that_fails_or_is_cancelled_lets_the_next_one_go_first() -> None:
    async def scenario(line: Line) -> None:
        line.fail.add("a")
        await line.start(a=("p",), b=("p",), c=("p",), d=("p",))
        await line.answer("a")
        assert line.went == ["a", "b"]
        line.tasks["b"].cancel()
        await line.settle()
        assert line.went == ["a", "b", "c"]
        await line.answer("c")
        assert line.went == ["a", "b", "c", "d"]

    in_line(scenario)


def test_one_that_is_cancelled_while_it_waits_holds_nobody_up() -> None:
    async def scenario(line: Line) -> None:
        await line.start(a=("p",), b=("p",), c=("p",))
        line.tasks["b"].cancel()
        await line.settle()
        assert line.tasks["b"].cancelled()
        await line.answer("a")
        assert line.went == ["a", "c"]

    in_line(scenario)


def test_the_longest_prefix_counts_and_a_shorter_one_is_worth_waiting_for() -> None:
    async def scenario(line: Line) -> None:
        await line.start(a=("run",), b=("task", "run"), c=("task", "run"))
        assert line.went == ["a"]
        await line.answer("a")
        assert line.went == ["a", "b"], "what b and c share besides is still to be written"
        await line.answer("b")
        assert line.went == ["a", "b", "c"]

    in_line(scenario)


def test_nobody_waits_longer_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(line: Line) -> None:
        await line.start(a=("p",), b=("p",), c=("p",))
        assert line.went == ["a"]
        await asyncio.sleep(0.1)
        assert line.went == ["a", "b", "c"]

    monkeypatch.setattr(waves, "PATIENCE", 0.05)
    in_line(scenario)


def test_what_was_not_used_for_minutes_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(line: Line) -> None:
        await line.start(a=("p",))
        await line.answer("a")
        monkeypatch.setattr(waves.time, "monotonic", lambda: later)
        await line.start(b=("p",), c=("p",))
        assert line.went == ["a", "b"]

    later = waves.time.monotonic() + waves.KEPT_SECONDS + 1
    in_line(scenario)


def test_a_request_is_left_as_it_was() -> None:
    given = payload("run", "a")
    before = copy.deepcopy(given)
    prefixes_of("c", given)
    assert given == before
