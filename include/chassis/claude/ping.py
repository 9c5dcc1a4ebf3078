"""The smallest call that proves that Claude can be reached: what a connection's Test button runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.claude.prices import cost_usd
from chassis.claude.reply import call_once

if TYPE_CHECKING:
    from chassis.claude.client import BedrockClient


async def ping(client: BedrockClient, model: str, *, known: str) -> str:
    """Ask Claude for one token, in the same streamed way that all calls go, and say what that proved and what not.

    :param known: the name under which the model's price is looked up
    :raises ClaudeError: what stood in the way
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
