"""Thinking and effort: whose choice counts, what a request says, and what happens if a model refuses it.

Chassis doesn't send what a model is known to refuse. If a model refuses an option all the same, this process leaves it
out for an hour and repeats the call: a refusal is free, and an answer without the option is worth more than none.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from chassis.claude.models import facts_of
from chassis.errors import RequestRefusedError

if TYPE_CHECKING:
    from chassis.claude.reply import Ask, Reply
    from chassis.claude.request import ClaudeRequest
    from chassis.workflow.spec import Effort, Thinking

log = logging.getLogger(__name__)

REFUSED_SECONDS = 3600.0
"""How long to leave out an option that a model refused: what models take changes overnight, in both directions."""

_refused_until: dict[tuple[str, str, bool], float] = {}
"""By model, option, and whether a tool was forced: some models refuse to think only then."""


class Says(Protocol):
    """What may choose thinking and effort: a task, an agent, a connection."""

    @property
    def effort(self) -> Effort | None: ...

    @property
    def thinking(self) -> Thinking | None: ...


def asked_for(model: str, *whose: Says | None) -> dict[str, Any]:
    """``effort`` and ``thinking`` of a request: the first choice that is made, except what the model refuses.

    :param model: the model, or the one behind its name
    :param whose: what may choose, in order of precedence
    """
    effort = next((each.effort for each in whose if each is not None and each.effort is not None), None)
    thinking = next((each.thinking for each in whose if each is not None and each.thinking is not None), None)
    asked: dict[str, Any] = {"effort": effort, "thinking": thinking}
    for name, why in facts_of(model).refusals(thinking, effort).items():
        log.info("%s %s isn't sent: %s.", name, asked[name], why)
        asked[name] = None
    return asked


def fields_of(request: ClaudeRequest) -> dict[str, dict[str, Any]]:
    """The fields of a request's body for each option, by the option's name."""
    facts = facts_of(request.known_model)
    found: dict[str, dict[str, Any]] = {}
    if request.effort is not None:
        found["effort"] = {"output_config": {"effort": request.effort}}
    if request.thinking == "adaptive":
        found["thinking"] = {"thinking": {"type": "adaptive"}}
    elif request.thinking == "disabled" and facts.thinks and facts.off is not None:
        found["thinking"] = {"thinking": {"type": facts.off}}
    return found


def with_thinking(ask: Ask, request: ClaudeRequest) -> Ask:
    """``ask``, with the request's thinking and effort added to each payload."""
    fields = fields_of(request)
    if not fields:
        return ask

    async def asking(payload: dict[str, Any]) -> Reply:
        forced = (payload.get("tool_choice") or {}).get("type") in ("tool", "any")
        while True:
            now = time.monotonic()
            until = {name: _refused_until.get((request.model, name, forced), 0.0) for name in fields}
            sent = {name: field for name, field in fields.items() if until[name] <= now}
            try:
                return await ask(_merged(payload, *sent.values()))
            except RequestRefusedError as error:
                name = _refused(error, payload, sent)
                if name is None:
                    raise
                _refused_until[request.model, name, forced] = time.monotonic() + REFUSED_SECONDS
                told = (request.model, name, error.words)
                log.warning("Model '%s' refused %s (%s): it is left out for an hour.", *told)

    return asking


def _merged(payload: dict[str, Any], *fields: dict[str, Any]) -> dict[str, Any]:
    """The payload with further fields, added to what ``output_config`` already has."""
    merged = dict(payload)
    for name, value in (pair for each in fields for pair in each.items()):
        merged[name] = {**merged.get(name, {}), **value}
    return merged


def _refused(error: RequestRefusedError, payload: dict[str, Any], sent: dict[str, Any]) -> str | None:
    """The option that a refusal is about, of those sent; None if it is about something else."""
    words = error.words.lower()
    # Words about blocks are about the conversation. A hint on how to make it think may name effort, too.
    if "thinking" in sent and "thinking" in words and "block" not in words:
        return "thinking"
    alone = "output_config" in words and "output_config" not in payload
    return "effort" if "effort" in sent and ("effort" in words or alone) else None
