"""Drills: in the middle of runs something dies or stays away, comes back, and what became of the runs is counted.

What counts as paid is each request that the simulator took, answered or not: nobody knows which ones Bedrock would
charge for. What can't be shown here: a machine that dies with everything on it, and other executors than the local one.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.system.drilled_runs import CALLS_OF_A_RUN, SERVICES, Call, Runs, Site
from tests.system.driver import wait_for

SETTINGS = {
    "AIRFLOW__CHASSIS__RETRY_DELAY_SECONDS": "1",
    # A third of the local stack's own: a drill would only wait.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
}
"""What a drill's stack has beyond the local stack's own settings."""

LOCKED_SECONDS = 10.0
AWAY_SECONDS = 10.0


@dataclass(frozen=True)
class Outcome:
    """What became of a drill's runs.

    :ivar faults: what is not as it should be, in words; none when all is well
    :ivar extra: requests beyond the first, by call
    :ivar lost: calls that were in flight when what made or answered them was killed
    :ivar away: seconds from the strike until everything worked again
    :ivar seconds: from then until the last run's end
    :ivar tries: tries of tasks beyond the first
    """

    drill: str
    runs: int
    faults: tuple[str, ...]
    extra: Counter[Call]
    lost: Counter[Call]
    away: float
    seconds: float
    tries: int

    @property
    def unexplained(self) -> Counter[Call]:
        """Extra requests that no call in flight accounts for, with one for each."""
        return self.extra - self.lost

    def __str__(self) -> str:
        return (
            f"drill '{self.drill}': {self.runs} runs ended {'WRONG' if self.faults else 'right'}, "
            f"{self.seconds:.0f} s after recovery ({self.away:.0f} s); of {self.runs * CALLS_OF_A_RUN} calls, "
            f"{self.extra.total()} were paid twice, {self.lost.total()} in flight when killed"
        )

    def cells(self) -> tuple[str, ...]:
        """The row of :data:`HEADER`."""
        return (
            self.drill,
            str(self.runs),
            "all" if not self.faults else "NO",
            f"{self.away:.1f}",
            f"{self.seconds:.1f}",
            str(self.runs * CALLS_OF_A_RUN),
            str(self.extra.total()),
            str(self.lost.total()),
            str(self.tries),
        )


HEADER = (
    "drill",
    "runs",
    "ended right",
    "s away",
    "s from then to end",
    "calls needed",
    "paid beyond",
    "in flight when killed",
    "tries beyond the first",
)


def hold(site: Site, name: str, count: int) -> Outcome:
    """Start runs, strike in their midst, and wait until they have ended or can't any more."""
    runs = Runs(site, count)
    try:
        lost = DRILLS[name](runs)
        back = time.time()
        ended = runs.wait()
        asked = runs.asked()
        return Outcome(
            drill=name,
            runs=count,
            faults=tuple(runs.faults()),
            extra=asked - Counter(set(asked)),
            lost=Counter(lost),
            away=back - runs.struck,
            seconds=max(0.0, ended - back),
            tries=runs.tries_beyond_the_first(),
        )
    finally:
        runs.give_up()
        site.simulator.reset()


# The drills: each waits for its moment, strikes, brings back what it took away, and returns the calls that it killed.


def nothing(runs: Runs) -> list[Call]:
    """For comparison."""
    runs.until_all_services_ask()
    runs.answer()
    return []


def task_process(runs: Runs) -> list[Call]:
    """The process of a task that prepares its call, one in each run."""
    for process in _catch_one_in_each_run(runs):
        process.kill()
    return []


def worker(runs: Runs) -> list[Call]:
    """The executor's worker that supervises such a task, one in each run."""
    for process in _catch_one_in_each_run(runs):
        supervisor = process.parent()
        assert supervisor is not None
        assert "LocalExecutor" in " ".join(supervisor.cmdline())
        supervisor.kill()
        process.resume()
    return []


def _catch_one_in_each_run(runs: Runs) -> list[psutil.Process]:
    """Stopped processes of tasks that have not handed their calls over."""
    runs.until_services_start()
    caught: dict[str, psutil.Process] = {}

    def all_caught() -> bool:
        for ticket, process in runs.stopped_services().items():
            if caught.setdefault(ticket, process) != process:
                process.resume()
        return caught.keys() == runs.ids.keys()

    wait_for("a worker at work in each run", all_caught, every=0.02)
    runs.struck = time.time()
    runs.answer()
    return list(caught.values())


def triggerer(runs: Runs) -> list[Call]:
    """The triggerer with all calls in flight."""
    runs.until_all_services_ask()
    lost = runs.in_flight()
    _bring_back_after(runs, "triggerer", lambda: kill_all(runs.component("triggerer")))
    return lost


def triggerer_amid_answers(runs: Runs) -> list[Call]:
    """The triggerer while answers come in: some are recorded, some on their way, and none may be asked for that is."""
    runs.until_all_services_ask()
    runs.answer()
    services = len(SERVICES) * len(runs.ids)
    wait_for("a recorded answer", lambda: len(runs.unanswered()) < services, every=0.01)
    kill_all(runs.component("triggerer"))
    runs.struck = time.time()
    lost = runs.unanswered()
    runs.site.stack.restart("triggerer")
    return lost


def trigger_runner(runs: Runs) -> list[Call]:
    """Only the process in which triggers run; Airflow's triggerer then ends by itself."""
    runs.until_all_services_ask()
    lost = runs.in_flight()

    def kill() -> None:
        parent = runs.component("triggerer")
        (runner,) = parent.children()
        runner.kill()
        wait_for("the triggerer's end", lambda: not _lives(parent), every=0.05)

    _bring_back_after(runs, "triggerer", kill)
    return lost


def scheduler(runs: Runs) -> list[Call]:
    """The scheduler alone, while its workers are at work; they end what they have begun."""
    runs.until_workers_are_busy()
    _bring_back_after(runs, "scheduler", runs.component("scheduler").kill)
    return []


def scheduler_and_workers(runs: Runs) -> list[Call]:
    """The scheduler with all of its workers."""
    runs.until_workers_are_busy()
    _bring_back_after(runs, "scheduler", lambda: kill_all(runs.component("scheduler")))
    return []


def dag_processor(runs: Runs) -> list[Call]:
    """The dag-processor, while workers are at work."""
    runs.until_workers_are_busy()
    _bring_back_after(runs, "dag-processor", runs.component("dag-processor").kill)
    return []


def api_server(runs: Runs) -> list[Call]:
    """The API server that tasks speak with, while workers are at work."""
    runs.until_workers_are_busy()
    _bring_back_after(runs, "execution-api", runs.component("execution-api").kill)
    return []


def simulator(runs: Runs) -> list[Call]:
    """Whoever answers, with all calls in flight."""
    runs.until_all_services_ask()
    lost = runs.in_flight()
    runs.remember_requests()
    runs.component("simulator").kill()
    runs.site.stack.restart("simulator")
    runs.answer()
    return lost


def store_away(runs: Runs) -> list[Call]:
    """The stores of plans and records can be neither written nor read while calls are answered and more are due."""
    runs.until_all_services_ask()
    with ExitStack() as places:
        for name in ("plans", "records"):
            places.enter_context(_taken_away(runs.site.stack.home / name))
        runs.answer()
        time.sleep(AWAY_SECONDS)
    return []


def database_locked(runs: Runs) -> list[Call]:
    """Nobody can write to Airflow's database while calls are answered."""
    runs.until_all_services_ask()
    database = sqlite3.connect(
        runs.site.stack.home / "airflow" / "airflow.db", isolation_level=None, timeout=60
    )
    try:
        database.execute("BEGIN EXCLUSIVE")
        runs.answer()
        time.sleep(LOCKED_SECONDS)
        database.execute("ROLLBACK")
    finally:
        database.close()
    return []


DRILLS: dict[str, Callable[[Runs], list[Call]]] = {
    drill.__name__.replace("_", " "): drill
    for drill in (
        nothing,
        task_process,
        worker,
        triggerer,
        triggerer_amid_answers,
        trigger_runner,
        scheduler,
        scheduler_and_workers,
        dag_processor,
        api_server,
        simulator,
        store_away,
        database_locked,
    )
}


def _bring_back_after(runs: Runs, name: str, kill: Callable[[], None]) -> None:
    kill()
    runs.answer()
    runs.site.stack.restart(name)


def kill_all(parent: psutil.Process) -> None:
    """Kill a component and all that it started, as when its container dies."""
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def _taken_away(folder: Path) -> Iterator[None]:
    """A file in the folder's place: nobody can read or write there, root neither."""
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
