"""What is known of each model before it is called: the one place for such facts.

They choose defaults, avoid refusals that are certain, and tell where a cache can pay. They never overrule an answer:
what a model and a region accept changes overnight, in both directions, so callers act on what comes back.

Facts are looked up by the family name inside a model's id (``us.anthropic.claude-opus-4-6-v1`` is Opus 4.6), because
one model has many ids. An application inference profile's ARN names no model: pass the name of the model behind it.

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
"""The same for a model that may think: it sends nothing while it thinks."""
MAX_TOKENS = 16_000
"""Default maximum of output tokens per answer."""
MAX_TOKENS_WITH_THINKING = 32_000
"""The same for a model that thinks: thinking counts as output. It isn't higher, because Bedrock reserves all of it from
the quota of tokens per minute while the call runs.
"""


@dataclass(frozen=True)
class ModelFacts:
    """What is known of one model.

    :ivar family: the model's usual name, such as ``Opus 4.6``; empty if unknown
    :ivar cache_minimum: the fewest tokens of a prefix; a shorter prefix is silently not cached
    :ivar thinks: whether it thinks by default
    :ivar adaptive: whether it takes ``thinking`` of type ``adaptive``
    :ivar off: the type of ``thinking`` that makes it think least; None if there is none
    :ivar efforts: the levels of ``output_config.effort`` that it takes
    """

    family: str
    cache_minimum: int
    thinks: bool
    adaptive: bool
    off: Literal["disabled", "between_tools"] | None
    efforts: tuple[Effort, ...]

    def may_think(self, thinking: Thinking | None = None) -> bool:
        """Whether it may think when called with ``thinking``; None means that the call doesn't set it."""
        if thinking == "adaptive":
            return self.adaptive
        return self.thinks and not (thinking == "disabled" and self.off == "disabled")

    def refusals(self, thinking: Thinking | None, effort: Effort | None) -> dict[str, str]:
        """Why it refuses these values, by the option's name; only what is known for certain."""
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
        """Default maximum of output tokens per answer."""
        return MAX_TOKENS_WITH_THINKING if self.may_think(thinking) else MAX_TOKENS

    def silence_seconds(self, thinking: Thinking | None = None) -> float:
        """Longest silence within an answer, in seconds, before it counts as lost."""
        return SILENCE_WHILE_THINKING if self.may_think(thinking) else SILENCE_SECONDS


_THREE: tuple[Effort, ...] = ("low", "medium", "high")
_FOUR: tuple[Effort, ...] = (*_THREE, "max")
_ALL: tuple[Effort, ...] = (*_THREE, "xhigh", "max")


def _silent(family: str, cache_minimum: int, efforts: tuple[Effort, ...], *, adaptive: bool) -> ModelFacts:
    """A model that thinks only on request."""
    return ModelFacts(family, cache_minimum, False, adaptive, "disabled", efforts)


def _thinking(
    family: str, cache_minimum: int, off: Literal["disabled", "between_tools"] | None
) -> ModelFacts:
    """A model that thinks by default, or always."""
    return ModelFacts(family, cache_minimum, True, True, off, _ALL)


_KNOWN = {
    facts.family: facts
    for facts in (
        _silent("Haiku 4.5", 4096, (), adaptive=False),
        _silent("Sonnet 4.5", 1024, (), adaptive=False),
        _silent("Opus 4.5", 4096, _THREE, adaptive=False),
        _silent("Opus 4.6", 4096, _FOUR, adaptive=True),
        # Documented with 1,024, measured once with 2,048 (anthropic-sdk-python#1194). Marking a shorter prefix costs
        # nothing.
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
"""An unknown model is treated as a new one, which thinks. Chassis sends it whatever a person asks for: the answer
tells. A breakpoint below its least prefix costs nothing; leaving out one above it does.
"""

_OLD = ModelFacts("", 2048, False, False, "disabled", ())
"""Before 4.5. They have no entries of their own, because they leave Bedrock one by one."""

_NAMED = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d)(?:[-.](\d))?(?!\d)")
_NAMED_OLD = re.compile(r"claude-(instant|v?[123](?!\d))")


def facts_of(model: str) -> ModelFacts:
    """What is known of a model; cautious assumptions if nothing is.

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
    """A request's ``thinking`` in the words of the options; None if it sets none."""
    told = payload.get("thinking")
    if not isinstance(told, dict):
        return None
    return "disabled" if told.get("type") in ("disabled", "between_tools") else "adaptive"
