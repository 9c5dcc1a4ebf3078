"""Names of models: which of them can be sent to Bedrock, by their form.

There is no list of models here: each month has a new one. Bedrock accepts ``anthropic.NAME``, the same with a
geography in front (an inference profile), or an ARN. Other names that a deployment can use, such as one that its
gateway knows, are in its connection or its settings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chassis.workflow.names import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Collection

_ID = re.compile(r"([a-z0-9-]+\.)?anthropic\.[A-Za-z0-9][A-Za-z0-9_.:-]*")
_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:([a-z-]+)/([A-Za-z0-9_.:/-]+)")
_NAMED = frozenset({"foundation-model", "inference-profile"})
"""Kinds of ARN that end in a model's id; the others end in a name that somebody chose."""

_CLAUDE_CODES = re.compile(r"[a-z]+(\[[0-9a-z]+\])?|claude-[a-z0-9-]+(@[0-9]+)?")
"""Names in Claude Code and Anthropic's own API: ``opus``, ``sonnet[1m]``, ``claude-opus-4-6``."""

EXAMPLE = "us.anthropic.claude-opus-4-6-v1"


def is_model_id(name: str) -> bool:
    """Whether the name has the form of a Bedrock model id, or an inference profile's id or ARN."""
    if arn := _ARN.fullmatch(name):
        return arn[1] not in _NAMED or _ID.fullmatch(arn[2]) is not None
    return _ID.fullmatch(name) is not None


def is_claude_codes(name: str) -> bool:
    """Whether the name is Claude Code's for a model, which Bedrock doesn't know."""
    return _CLAUDE_CODES.fullmatch(name) is not None


def model_fault(name: str, known: Collection[str]) -> str | None:
    """Why a model can't be asked; None if no reason is known.

    :param known: models that the deployment itself names
    """
    if is_model_id(name) or name in known:
        return None
    if is_claude_codes(name):
        way = f"{shown(name)} is a short name that Bedrock doesn't know"
    else:
        way = f"{shown(name)} is not a Bedrock model id"
    candidates = [each for each in sorted(known) if is_model_id(each)] or [EXAMPLE]
    near = nearest(name, candidates)
    example = f"did you mean {shown(near)}?" if near else f"write one such as {candidates[0]}"
    return f"{way}; {example}"
