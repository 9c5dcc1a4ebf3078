"""The smallest call that proves that Claude can be reached, for a connection's Test button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.claude.prices import cost_usd
from chassis.claude.reply import call_once

if TYPE_CHECKING:
    from chassis.claude.client import BedrockClient


async def ping(client: BedrockClient, model: str, *, known: str) -> str:
    """Ask Claude for one token, streamed like all calls, and say what that proved and what it didn't.

    :param known: the name under which to look up the model's price
    :raises ClaudeError: why the call failed
    """
    payload = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Say OK."}]}
    reply = await call_once(client, payload, subject="connection test")
    usage = reply.usage
    cost = cost_usd(known, usage)
    if reply.simulated:
        who, price = "The simulator answered as", ""
        proved = "This proves the way there and the credentials, not Claude."
    else:
        who, price = "Claude answered:", "price unknown" if cost is None else f"about ${cost:.6f}"
        proved = (
            "This proves the way there, the credentials and the model, for now: a new account's first calls can "
            "succeed and later ones fail, so test again after 15 minutes."
        )
    if cost is None:
        proved += " To have calls priced, name the model behind it as model_behind of the connection."
    return (
        f"{who} {model} at {client.base_url.host}, request {reply.request_id or '-'} "
        f"({usage.input_tokens} input and {usage.output_tokens} output tokens{price and f', {price}'}). {proved}"
    )
