"""Thinking: how much of it there is, and the signed blocks that carry it into the next turn.

A block comes back unchanged or is refused. Newer models bind it to all that stood before it, too: ``system``, ``tools``
and the turns until then, other thinking blocks included. This is played as for accounts of after August 2026, which
Anthropic's documentation (preserved thinking) says get an error; blocks of another model are left out without one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from chassis.local.simulator.prompt_cache import prompt_texts
from chassis.local.simulator.wire_message import Thought

if TYPE_CHECKING:
    from chassis.local.simulator.model_files import Model

_KEY = b"simulated, not a secret"
_TEXT = "[simulated] Nothing was thought: no model was asked."
_TOKENS = {"low": 40, "medium": 120, "high": 300, "xhigh": 700, "max": 1_500}
_ELSEWHERE = (
    " The block is bound to a different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)
_EXPECTED = (
    "Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, a final `assistant` "
    "message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We "
    "recommend you include thinking blocks from previous turns. To avoid this requirement, disable `thinking`."
)


def thought_for(body: dict[str, Any], model: Model) -> Thought | None:
    """What the model thinks before it answers; None when it doesn't."""
    asked = body.get("thinking") or {}
    kind = asked.get("type") or ("adaptive" if model.thinks_unasked else "disabled")
    if kind not in ("adaptive", "enabled"):
        return None
    effort = (body.get("output_config") or {}).get("effort") or model.default_effort or "high"
    tokens = model.thinking_tokens if model.thinking_tokens is not None else _TOKENS[effort]
    shown = asked.get("display", "summarized" if model.shows_thinking else "omitted") == "summarized"
    text = _TEXT if shown else ""
    prefix = _prefix(body, len(body["messages"])) if model.binds_thinking else ""
    return Thought(text, _sign(model.family, prefix, text), tokens)


def check_history(body: dict[str, Any], model: Model) -> None:
    """Refuse thinking blocks that are not as the model gave them, or not where it gave them.

    :raises ApiError: 400, names the block
    """
    for turn, message in enumerate(body["messages"]):
        if message["role"] == "assistant" and isinstance(message["content"], list):
            for place, block in enumerate(message["content"]):
                if block["type"] == "thinking":
                    _check_block(block, f"messages.{turn}.content.{place}", body, turn, model)
    _check_tool_turn(body, model)


def _check_block(block: dict[str, Any], where: str, body: dict[str, Any], turn: int, model: Model) -> None:
    for name in ("thinking", "signature"):
        if not isinstance(block.get(name), str):
            raise model.refusal(f"{where}.thinking.{name}: Field required")
    invalid = f"{where}: Invalid `signature` in `thinking` block."
    signed = _read(block["signature"])
    if signed is None or not hmac.compare_digest(_sign(*signed, block["thinking"]), block["signature"]):
        raise model.refusal(invalid)
    family, prefix = signed
    if model.binds_thinking and family == model.family and prefix != _prefix(body, turn):
        raise model.refusal(invalid + _ELSEWHERE)


def _check_tool_turn(body: dict[str, Any], model: Model) -> None:
    """A tool's result continues a turn; with a budget to think, that turn begins with its thinking."""
    if (body.get("thinking") or {}).get("type") != "enabled" or len(body["messages"]) < 2:
        return
    called, answered = body["messages"][-2:]
    results = isinstance(answered["content"], list) and any(
        block["type"] == "tool_result" for block in answered["content"]
    )
    if results and isinstance(called["content"], list):
        first = called["content"][0]["type"]
        if first not in ("thinking", "redacted_thinking"):
            where = f"messages.{len(body['messages']) - 2}.content.0.type"
            raise model.refusal(f"{where}: {_EXPECTED.format(first)}")


def _prefix(body: dict[str, Any], turns: int) -> str:
    """What identifies all that stands before a turn."""
    texts = prompt_texts(body | {"messages": body["messages"][:turns]})
    return hashlib.sha256("\x00".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def _sign(family: str, prefix: str, text: str) -> str:
    signed = json.dumps([family, prefix])
    mark = hmac.new(_KEY, json.dumps([family, prefix, text]).encode(), hashlib.sha256).hexdigest()
    return base64.b64encode(f"{mark}{signed}".encode()).decode()


def _read(signature: str) -> tuple[str, str] | None:
    """Family and prefix that a signature names; None when it is none of this server's."""
    try:
        family, prefix = json.loads(base64.b64decode(signature, validate=True)[64:])
    except (ValueError, TypeError):
        return None
    return str(family), str(prefix)
