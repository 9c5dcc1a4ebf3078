"""What is known of each model before it is asked: the one place for such facts.

They choose defaults, save refusals that are certain, and say where a cache can pay. They never overrule an answer: what
a model and a region take changes overnight, in both directions, so whoever asks goes by what comes back.

The facts go by the family name inside a model's id (``us.anthropic.claude-opus-4-6-v1`` is Opus 4.6), because the same
model has many ids. An application inference profile's ARN names no model: give the name of the model behind it.

Sources (read in November 2026): platform.claude.com/docs/en/build-with-claude/prompt-caching (least prefixes),
.../effort (which model takes which level), .../thinking and the pages "What's new in" Opus 5.5 and Sonnet 5.5 (who
thinks, and what switches it off), .../llm-gateway-protocol of Claude Code (no pings on Bedrock: thinking is silence).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from chassis.workflow.spec import Effort, Thinking

SILENCE_SECONDS = 600.0
"""Longest silence of a model that doesn't think: a schema's first compile takes minutes, and Bedrock sends no pings."""
SILENCE_WHILE_THINKING = 1_200.0
"""The same while a model may think, which it does without a word."""
MAX_TOKENS = 16_000
"""Output tokens of one answer, where nobody says more or less."""
MAX_TOKENS_WITH_THINKING = 32_000
"""The same where the model thinks: thinking counts as output. Bedrock reserves all of it from the quota of tokens a
minute while the call runs, so it isn't more."""


@dataclass(frozen=True)
class ModelFacts:
    """What one model is known for.

    :ivar family: the model as people call it, such as ``Opus 4.6``; empty when it isn't known
    :ivar cache_minimum: tokens that a prefix needs at least; a shorter one is silently not cached
    :ivar thinks: whether it thinks unless it is told not to
    :ivar adaptive: whether it takes ``thinking`` of the type ``adaptive``
    :ivar off: type of ``thinking`` that makes it think least; None when it can't be told to
    :ivar efforts: levels of ``output_config.effort`` that it takes
    """

    family: str
    cache_minimum: int
    thinks: bool
    adaptive: bool
    off: Literal["disabled", "between_tools"] | None
    efforts: tuple[Effort, ...]

    def may_think(self, thinking: Thinking | None = None) -> bool:
        """Whether it may think when it is asked with ``thinking``; None: nothing is said."""
        if thinking == "adaptive":
            return self.adaptive
        return self.thinks and not (thinking == "disabled" and self.off == "disabled")

    def refusals(self, thinking: Thinking | None, effort: Effort | None) -> dict[str, str]:
        """Why it refuses what is set of the two, by the option's name; only what is known for certain."""
        model, found = self.family or "this model", {}
        if effort is not None and effort not in self.efforts:
            takes = f"takes {', '.join(self.efforts)}" if self.efforts else "can't be told how hard to try"
            found["effort"] = f"{model} {takes}"
        if thinking == "adaptive" and not self.adaptive:
            found["thinking"] = f"{model} can't be told to think as much as it needs"
        if thinking == "disabled" and self.off is None:
            found["thinking"] = f"{model} always thinks; a lower effort makes it think less"
        return found

    def max_tokens(self, thinking: Thinking | None = None) -> int:
        """Output tokens that one answer may have, where nobody says more or less."""
        return MAX_TOKENS_WITH_THINKING if self.may_think(thinking) else MAX_TOKENS

    def silence_seconds(self, thinking: Thinking | None = None) -> float:
        """Longest silence within an answer, in seconds, before it counts as lost."""
        return SILENCE_WHILE_THINKING if self.may_think(thinking) else SILENCE_SECONDS


_THREE: tuple[Effort, ...] = ("low", "medium", "high")
_FOUR: tuple[Effort, ...] = (*_THREE, "max")
_ALL: tuple[Effort, ...] = (*_THREE, "xhigh", "max")


def _silent(family: str, cache_minimum: int, efforts: tuple[Effort, ...], *, adaptive: bool) -> ModelFacts:
    """A model that thinks only when it is told to."""
    return ModelFacts(family, cache_minimum, False, adaptive, "disabled", efforts)


def _thinking(
    family: str, cache_minimum: int, off: Literal["disabled", "between_tools"] | None
) -> ModelFacts:
    """A model that thinks unless it is told not to, or always."""
    return ModelFacts(family, cache_minimum, True, True, off, _ALL)


_KNOWN = {
    facts.family: facts
    for facts in (
        _silent("Haiku 4.5", 4096, (), adaptive=False),
        _silent("Sonnet 4.5", 1024, (), adaptive=False),
        _silent("Opus 4.5", 4096, _THREE, adaptive=False),
        _silent("Opus 4.6", 4096, _FOUR, adaptive=True),
        # Documented with 1,024, measured once with 2,048 (anthropic-sdk-python#1194). Below it costs nothing, either.
        _silent("Sonnet 4.6", 1024, _FOUR, adaptive=True),
        _silent("Opus 4.7", 2048, _ALL, adaptive=True),
        _silent("Opus 4.8", 1024, _ALL, adaptive=True),
        _thinking("Sonnet 5", 1024, "disabled"),
        _thinking("Opus 5", 512, "disabled"),
        _thinking("Haiku 5.5", 512, "disabled"),
        _thinking("Sonnet 5.5", 512, "between_tools"),
        _thinking("Opus 5.5", 512, None),
    )
}
_ALWAYS_THINK = ("Fable", "Mythos")

_UNKNOWN = ModelFacts("", 1024, True, True, "disabled", _ALL)
"""A model that isn't known is taken for a new one, which thinks. Nothing that a person asks for is held back from it:
the answer tells. A breakpoint below its least prefix costs nothing, and one that is left out above it does."""

_OLD = ModelFacts("", 2048, False, False, "disabled", ())
"""Of before 4.5. They are named by no other fact, because they leave Bedrock one by one."""

_NAMED = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d)(?:[-.](\d))?(?!\d)")
_NAMED_OLD = re.compile(r"claude-(instant|v?[123](?!\d))")


def facts_of(model: str) -> ModelFacts:
    """What is known of a model; careful assumptions when nothing is.

    :param model: a Bedrock model id, an inference profile's id or ARN, or the name of the model behind it
    """
    if _NAMED_OLD.search(model):
        return _OLD
    named = _NAMED.search(model)
    if named is None:
        return _thinking("Mythos", 512, None) if "claude-mythos" in model else _UNKNOWN
    line, major, minor = named[1].capitalize(), int(named[2]), int(named[3] or 0)
    family = f"{line} {major}.{minor}" if minor else f"{line} {major}"
    if family in _KNOWN:
        return _KNOWN[family]
    if line in _ALWAYS_THINK:
        return _thinking(family, 512, None)
    return _OLD if (major, minor) < (4, 5) else _UNKNOWN


def told_thinking(payload: dict[str, Any]) -> Thinking | None:
    """What a request says of thinking, in the words of the options; None: nothing."""
    told = payload.get("thinking")
    if not isinstance(told, dict):
        return None
    return "disabled" if told.get("type") in ("disabled", "between_tools") else "adaptive"
