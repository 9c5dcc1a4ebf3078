"""The smallest call that proves that Claude can be reached: what a connection's Test button runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.claude.reply import ask
from chassis.claude.usage import cost_usd

if TYPE_CHECKING:
    from chassis.claude.client import BedrockClient


async def probe(client: BedrockClient, model: str) -> str:
    """Ask Claude for one token, in the same streamed way that all calls go, and say what that proved.

    :raises ClaudeError: what stood in the way
    """
    payload = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Say OK."}]}
    reply = await ask(client, payload, subject="connection test")
    host = client.base_url.host
    usage = reply.usage
    cost = cost_usd(model, usage)
    price = f", about ${cost:.6f}" if cost is not None and not reply.simulated else ""
    who = "The simulator answered as" if reply.simulated else "Claude answered:"
    proved = "; this proves the way there and the credentials, not Claude" if reply.simulated else ""
    return (
        f"{who} {model} at {host}, request {reply.request_id or '-'} "
        f"({usage.input_tokens} input and {usage.output_tokens} output tokens{price}){proved}."
    )
