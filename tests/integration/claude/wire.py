"""A server that answers like Bedrock from a script, for what the simulator doesn't do.

It checks no signatures and records what it was sent. A request beyond the script is answered with status 500,
and so is noticed. It proves nothing about what Bedrock accepts.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from aiohttp import web

from chassis.claude.request import ClaudeRequest, Message, text_block
from chassis.local.simulator.eventstream import CONTENT_TYPE, chunk_frame
from chassis.local.simulator.wire_message import Reply, TokenCount, stream_events
from chassis.prompts import fence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

TOKENS = TokenCount(input=10, cache_read=3, cache_write=2, output=5)


MODEL = "us.anthropic.claude-opus-4-6-v1"
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}
PROMPT = "the words of a prompt"


def a_request(*, model: str = MODEL, schema: dict[str, Any] = SCHEMA) -> ClaudeRequest:
    return ClaudeRequest(
        model=model,
        max_tokens=1000,
        system=("You work.",),
        messages=(
            Message(role="user", content=(text_block(fence("task", PROMPT, task="add"), cached=True),)),
        ),
        answer_schema=schema,
        subject="task 'add'",
    )


class ScriptedBedrock:
    """Gives each request the next answer of its script; a context manager.

    :param script: replies to stream, or raw bytes to send as the body, or a status with headers, or also with a body
    """

    def __init__(
        self, script: Sequence[Reply | bytes | tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes]]
    ) -> None:
        self.script = list(script)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedBedrock:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/{rest:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        number = len(self.bodies)
        if not self.script:
            return web.json_response({"message": "The script has run out."}, status=500)
        headers = {"x-amzn-requestid": f"r-{number}", "content-type": CONTENT_TYPE}
        match self.script.pop(0):
            case Reply() as reply:
                events = stream_events(reply, f"msg_{number}", TOKENS)
                return web.Response(body=b"".join(map(chunk_frame, events)), headers=headers)
            case bytes(body):
                return web.Response(body=body, headers=headers)
            case (status, extra, content):
                return web.Response(body=content, status=status, headers=extra)
            case (status, extra):
                return web.json_response({"message": "On demand."}, status=status, headers=extra)
