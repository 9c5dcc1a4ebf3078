"""The simulator in a thread of this process."""

from __future__ import annotations

import asyncio
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from chassis.local.simulator.control_client import SimulatorControl
from chassis.local.simulator.request_log import RequestLog
from chassis.local.simulator.scenario import Quota, load_scenario
from chassis.local.simulator.server import application
from chassis.local.simulator.server_state import State
from chassis.local.simulator.simulator_errors import SimulatorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_GRACE = 0.2  # seconds that answers under way get at the stop; a stalled one would take for ever


class Simulator:
    """A simulator of Claude on Bedrock: a context manager, or call :meth:`start` and :meth:`stop` once each.

    :param port: 0 takes a free one, see :attr:`url`
    :param latency: seconds before each answer begins; a scenario's own wins
    :param quota: what all requests share; a scenario's own wins, None is no limit
    :param scenario: file or files of answers and faults, see :mod:`chassis.local.simulator.scenario`
    :param log_file: file that gets a line of JSON for each request
    :raises SimulatorError: the scenario or the log file can't be used
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        latency: float = 0.0,
        quota: Quota | None = None,
        scenario: str | Path | Sequence[Path] | None = None,
        log_file: str | Path | None = None,
    ) -> None:
        self._host, self._port = host, port
        files = [scenario] if isinstance(scenario, (str, Path)) else scenario or ()
        loaded = [load_scenario(file) for file in files]
        self._state = State(RequestLog(log_file), latency, quota or Quota(), loaded)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._failure: OSError | OverflowError | None = None
        self._thread = threading.Thread(target=self._run, name="chassis-simulator", daemon=True)

    @property
    def url(self) -> str:
        """Base address, for the client's ``base_url`` or a connection's endpoint."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def control(self) -> SimulatorControl:
        """A client of the control endpoints."""
        return SimulatorControl(self.url)

    def start(self) -> Simulator:
        """Listen.

        :raises SimulatorError: the address can't be listened on
        """
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            raise SimulatorError(
                f"The simulator can't listen on {self._host}:{self._port}: {self._failure}.",
                hint="Choose another port, or end what listens there.",
            )
        return self

    def stop(self) -> None:
        """Close the port and every connection."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except (OSError, OverflowError) as error:  # OverflowError: a port above 65535
            self._failure = error
        finally:
            self._listening.set()
            self._state.log.close()
            self._loop.close()

    async def _serve(self) -> None:
        # A caller that leaves ends its request here too, a stalled one above all.
        runner = web.AppRunner(
            application(self._state), handler_cancellation=True, access_log=None, shutdown_timeout=_GRACE
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=1024).start()
            self._port = int(runner.addresses[0][1])
            self._listening.set()
            await self._stopping.wait()
            self._state.stopping = True
        finally:
            await runner.cleanup()


def serve(**options: Any) -> None:
    """Run a simulator with these options until SIGTERM or SIGINT. Call it from the main thread: only that gets signals.

    Prints one line with the address, which is news when the port is 0.

    :raises SimulatorError: port in use, scenario wrong, log file not writable
    """
    ended = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: ended.set()) for number in numbers]
    try:
        with Simulator(**options) as simulator:
            print(f"Simulator (not Claude) of Amazon Bedrock: {simulator.url}", flush=True)
            ended.wait()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
