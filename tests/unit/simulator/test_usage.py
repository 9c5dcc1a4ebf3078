from __future__ import annotations

from typing import Any

from chassis.simulator.usage import CACHE_SECONDS, PromptCache, count_tokens

MARK = {"cache_control": {"type": "ephemeral"}}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def body(*texts: str, marked: int = 1, system: str = "You are a simulated agent.") -> dict[str, Any]:
    """A prompt whose first ``marked`` blocks carry a cache breakpoint."""
    blocks = [
        {"type": "text", "text": text, **(MARK if index < marked else {})} for index, text in enumerate(texts)
    ]
    return {"system": system, "messages": [{"role": "user", "content": blocks}]}


def test_a_token_is_four_characters_and_no_text_has_none() -> None:
    assert [count_tokens(text) for text in ("", "a", "abcd", "abcde")] == [1, 1, 1, 2]


def test_the_first_call_writes_the_shared_prefix_and_the_next_reads_it() -> None:
    cache = PromptCache()
    first = cache.look_up("m", body("shared" * 10, "task one"))
    cache.store(first)
    second = cache.look_up("m", body("shared" * 10, "task number two"))
    shared = count_tokens("system:You are a simulated agent.") + count_tokens("user:" + "shared" * 10)
    assert (first.cache_read, first.cache_write) == (0, shared)
    assert (second.cache_read, second.cache_write) == (shared, 0)
    tokens = second.count("abcdefgh")
    assert tokens.input == second.total - shared
    assert tokens.output == 2


def test_calls_side_by_side_each_write_what_they_share() -> None:
    cache = PromptCache()
    prompts = [cache.look_up("m", body("shared", str(number))) for number in range(3)]
    assert [prompt.cache_read for prompt in prompts] == [0, 0, 0]
    assert all(prompt.cache_write > 0 for prompt in prompts)


def test_a_longer_prompt_reads_the_old_prefix_and_writes_the_rest() -> None:
    cache = PromptCache()
    cache.store(cache.look_up("m", body("first part")))
    longer = cache.look_up("m", body("first part", "second part", marked=2))
    assert longer.cache_read > 0
    assert longer.cache_write == count_tokens("user:second part")
    assert longer.total == longer.cache_read + longer.cache_write


def test_another_model_system_prompt_or_text_reads_nothing() -> None:
    cache = PromptCache()
    cache.store(cache.look_up("m", body("shared")))
    for model, prompt in (
        ("other", body("shared")),
        ("m", body("shared", system="Another.")),
        ("m", body("shared!")),
        ("m", body("shared", marked=0)),
    ):
        assert cache.look_up(model, prompt).cache_read == 0


def test_the_cache_forgets_after_five_minutes_without_use() -> None:
    clock = Clock()
    cache = PromptCache(clock)
    cache.store(cache.look_up("m", body("shared")))
    clock.now = CACHE_SECONDS - 1
    again = cache.look_up("m", body("shared"))
    assert again.cache_read > 0
    cache.store(again)
    clock.now = 2 * CACHE_SECONDS - 2
    assert cache.look_up("m", body("shared")).cache_read > 0, "each use keeps it for another five minutes"
    clock.now = 2 * CACHE_SECONDS
    assert cache.look_up("m", body("shared")).cache_read == 0


def test_without_a_breakpoint_nothing_is_cached() -> None:
    cache = PromptCache()
    prompt = cache.look_up("m", body("shared", marked=0))
    assert (prompt.cache_write, prompt.written) == (0, ())


def test_tools_come_first_in_the_prefix() -> None:
    cache = PromptCache()
    tool = {"name": "answer", "input_schema": {"type": "object"}, **MARK}
    cache.store(cache.look_up("m", {"tools": [tool], "messages": [{"role": "user", "content": "one"}]}))
    again = cache.look_up("m", {"tools": [tool], "messages": [{"role": "user", "content": "two"}]})
    assert again.cache_read > 0
