"""Running the server: in a thread of this process for tests, or in the foreground as a program."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from aiohttp import web

from chassis.simulator.errors import SimulatorError
from chassis.simulator.server import Wire


class Simulator:
    """The simulator in a thread of its own. Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    :param port: 0 takes a free one, see :attr:`url`
    :param latency: seconds before each answer begins
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, latency: float = 0.0) -> None:
        self._host, self._port, self._latency = host, port, latency
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def start(self) -> Simulator:
        ready = threading.Event()
        failure: list[OSError] = []

        async def serve() -> None:
            self._runner = web.AppRunner(Wire(latency=self._latency).application(), handler_cancellation=True, access_log=None)
            await self._runner.setup()
            site = web.TCPSite(self._runner, self._host, self._port)
            await site.start()
            self._port = self._runner.addresses[0][1]

        def run() -> None:
            self._loop = asyncio.new_event_loop()
            try:
                self._loop.run_until_complete(serve())
            except OSError as error:
                failure.append(error)
                ready.set()
                return
            ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            raise SimulatorError(f"The simulator can't listen on {self._host}:{self._port}: {failure[0].strerror}.")
        return self

    def stop(self) -> None:
        assert self._loop and self._runner and self._thread
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
