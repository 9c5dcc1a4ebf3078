"""Token counts and the prompt cache, by the rules that Anthropic and AWS document."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.local.simulator.prompt_cache import Prompt, PromptCache, count_tokens, prompt_tokens

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SHARED = "What all share. " * 20  # 80 tokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def body(
    *texts: str, marked: int = 1, system: str = "You are a simulated agent.", **more: Any
) -> dict[str, Any]:
    """A prompt whose first ``marked`` blocks carry a cache breakpoint."""
    blocks = [
        {"type": "text", "text": text, **(MARK if index < marked else {})} for index, text in enumerate(texts)
    ]
    return {"system": system, "messages": [{"role": "user", "content": blocks}], **more}


def look(cache: PromptCache, prompt: dict[str, Any], *, model: str = "m", minimum: int = 1) -> Prompt:
    return cache.look_up(model, prompt, minimum=minimum)


def answer(cache: PromptCache, prompt: dict[str, Any], *, minimum: int = 1) -> Prompt:
    """A call whose answer begins."""
    found = look(cache, prompt, minimum=minimum)
    cache.store(found)
    return found


def test_a_token_is_four_characters_and_no_text_has_none() -> None:
    assert [count_tokens(text) for text in ("", "a", "abcd", "abcde")] == [1, 1, 1, 2]


def test_a_prompts_tokens_are_those_of_all_its_blocks() -> None:
    prompt = body("abcd", "efgh", tools=[{"name": "answer"}])
    assert prompt_tokens(prompt) == look(PromptCache(), prompt).total


def test_the_first_call_writes_the_shared_prefix_and_the_next_reads_it() -> None:
    cache = PromptCache()
    first = answer(cache, body(SHARED, "task one"))
    second = look(cache, body(SHARED, "task number two"))
    shared = count_tokens("system:You are a simulated agent.") + count_tokens("user:" + SHARED)
    assert (first.cache_read, first.cache_write) == (0, shared)
    assert (second.cache_read, second.cache_write) == (shared, 0)
    assert second.count(7).input == second.total - shared
    assert second.count(7).output == 7


def test_a_prefix_below_the_models_minimum_is_neither_an_error_nor_cached() -> None:
    cache = PromptCache()
    length = answer(cache, body(SHARED, "one"), minimum=10_000).total
    assert look(cache, body(SHARED, "one")).cache_read == 0, "nothing was written"
    prefix = look(PromptCache(), body(SHARED, "one")).cache_write
    assert prefix < length
    exact = answer(cache, body(SHARED, "one"), minimum=prefix)
    assert exact.cache_write == prefix
    assert look(cache, body(SHARED, "one"), minimum=prefix + 1).cache_read == 0
    assert look(cache, body(SHARED, "one"), minimum=prefix).cache_read == prefix


def test_calls_side_by_side_each_write_what_they_share() -> None:
    cache = PromptCache()
    prompts = [look(cache, body(SHARED, str(number))) for number in range(3)]
    assert [prompt.cache_read for prompt in prompts] == [0, 0, 0]
    assert all(prompt.cache_write > 0 for prompt in prompts)


def test_a_longer_prompt_reads_the_old_prefix_and_writes_the_rest() -> None:
    cache = PromptCache()
    answer(cache, body("first part"))
    longer = look(cache, body("first part", "second part", marked=2))
    assert longer.cache_read > 0
    assert longer.cache_write == count_tokens("user:second part")
    assert longer.total == longer.cache_read + longer.cache_write


FORMAT = {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}
OTHER_FORMAT = {"output_config": {"format": {"type": "json_schema", "schema": {"type": "string"}}}}


@pytest.mark.parametrize(
    "change",
    [
        {"system": "Another."},
        {"tools": [{"name": "answer"}]},
        OTHER_FORMAT,
        {"tool_choice": {"type": "auto"}},
        {"thinking": {"type": "disabled"}},
        {"marked": 0},
    ],
    ids=str,
)
def test_what_stands_before_a_prefix_or_belongs_to_it_makes_it_another_one(change: dict[str, Any]) -> None:
    cache = PromptCache()
    answer(cache, body(SHARED, **FORMAT))
    assert look(cache, body(SHARED, **(FORMAT | change))).cache_read == 0
    assert look(cache, body(SHARED, **FORMAT), model="other").cache_read == 0
    assert look(cache, body(SHARED, **FORMAT)).cache_read > 0


def test_tool_choice_and_thinking_leave_the_part_before_the_messages() -> None:
    cache = PromptCache()
    prompt = body("Do it.", marked=1, system=[{"type": "text", "text": SHARED, **MARK}])  # type: ignore[arg-type]
    answer(cache, prompt)
    again = look(cache, prompt | {"tool_choice": {"type": "none"}, "thinking": {"type": "adaptive"}})
    assert (again.cache_read, again.cache_write) == (
        count_tokens("system:" + SHARED),
        count_tokens("user:Do it."),
    )


def test_the_cache_forgets_after_five_minutes_without_use() -> None:
    clock = Clock()
    cache = PromptCache(clock)
    answer(cache, body(SHARED))
    clock.now = 299
    assert look(cache, body(SHARED)).cache_read > 0, "a hit alone keeps it for another five minutes"
    clock.now = 299 + 299
    assert look(cache, body(SHARED)).cache_read > 0
    clock.now = 299 + 299 + 301
    assert look(cache, body(SHARED)).cache_read == 0


def test_a_shorter_prefix_that_is_read_is_kept_too() -> None:
    clock = Clock()
    cache = PromptCache(clock)
    answer(cache, body("first part"))
    for clock.now in (200, 400):
        blocks = [{"type": "text", "text": "first part"}, {"type": "text", "text": f"at {clock.now}", **MARK}]
        longer = body() | {"messages": [{"role": "user", "content": blocks}]}
        assert answer(cache, longer).cache_read > 0


def test_an_entry_of_an_hour_lasts_an_hour_and_is_counted_apart() -> None:
    clock = Clock()
    cache = PromptCache(clock)
    prompt = body("Do it.", system=[{"type": "text", "text": SHARED, **HOUR}])  # type: ignore[arg-type]
    usage = answer(cache, prompt).count(1).as_usage()
    hourly, short = count_tokens("system:" + SHARED), count_tokens("user:Do it.")
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": short,
        "ephemeral_1h_input_tokens": hourly,
    }
    assert usage["cache_creation_input_tokens"] == hourly + short
    clock.now = 3_599
    later = look(cache, prompt)
    assert (later.cache_read, later.cache_write) == (hourly, short)


@pytest.mark.parametrize(("between", "read"), [(19, True), (20, False)])
def test_a_breakpoint_looks_back_at_most_twenty_blocks(between: int, read: bool) -> None:
    cache = PromptCache()
    answer(cache, body(SHARED))
    blocks: list[dict[str, Any]] = [{"type": "text", "text": SHARED}]
    blocks += [{"type": "text", "text": f"block {number}"} for number in range(between)]
    blocks[-1] |= MARK
    found = look(cache, body() | {"messages": [{"role": "user", "content": blocks}]})
    assert (found.cache_read > 0) is read


def test_without_a_breakpoint_nothing_is_cached() -> None:
    prompt = look(PromptCache(), body(SHARED, marked=0))
    assert (prompt.cache_write, prompt.written) == (0, {})


def test_tools_come_first_in_the_prefix() -> None:
    cache = PromptCache()
    tool = {"name": "answer", "input_schema": {"type": "object"}, **MARK}
    answer(cache, {"tools": [tool], "messages": [{"role": "user", "content": "one"}]})
    assert look(cache, {"tools": [tool], "messages": [{"role": "user", "content": "two"}]}).cache_read > 0
