"""Waiting for a local stack to work, and saying what is wrong when it doesn't."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.airflow_client import Airflow, SignIn
from chassis.contract.names import PLANNER_DAG
from chassis.errors.client import AirflowUnreachableError, SignInError, StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.local.stack_file import StackRecord

_POLL_SECONDS = 0.25
_TAIL_LINES = 15
_HEARTS = ("scheduler", "dag_processor", "triggerer")


def last_lines(log: Path | str, count: int = _TAIL_LINES) -> str:
    """The end of a log file; empty when there is none."""
    try:
        with Path(log).open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, maxlen=count)).rstrip()
    except FileNotFoundError:
        return ""


def wait_until_ready(
    *, record: Callable[[], StackRecord], password: str, planner: bool, since: float, seconds: float
) -> None:
    """Wait until the API servers answer, scheduler, DAG processor and triggerer beat, and the planner's DAG is there.

    :param record: reads what runs now
    :param planner: whether the DAG folder holds the planner, so that it must show up
    :param since: seconds since the epoch; an older heartbeat is one of the stack before
    :param seconds: time to wait at most
    :raises StackError: a component ended, or time ran out; with its last log lines
    """
    now = record()
    deadline = time.monotonic() + seconds
    sign_in = SignIn(now.url, username=now.username, password=password)
    missing = "the API server's answer"
    with Airflow(sign_in) as airflow:
        while time.monotonic() < deadline:
            _require_all_alive(record())
            # Whoever refuses our password isn't our API server: ours will end, as its port is taken.
            with suppress(AirflowUnreachableError, SignInError):
                airflow.warm_up(now.execution_url)
                missing = _missing(airflow, planner=planner, since=since)
            if not missing:
                return
            time.sleep(_POLL_SECONDS)
        log = record().components[_component_of(missing)].log
        raise StackError(
            f"The local Airflow did not come up in {seconds:.0f} s: {missing} is missing. "
            f"Last lines of {log}:\n{last_lines(log)}",
            hint="Start it again with `chassis up`; a slow machine may need a second time.",
        )


def _require_all_alive(record: StackRecord) -> None:
    for name in record.dead():
        component = record.components[name]
        raise StackError(
            f"The {name} ended with code {component.exit_code}. Last lines of {component.log}:\n"
            f"{last_lines(component.log)}",
            hint="`chassis doctor` checks this machine's set-up.",
        )


def _missing(airflow: Airflow, *, planner: bool, since: float) -> str:
    """What is not there yet, in words; empty when all is."""
    health = airflow.health()
    for part in _HEARTS:
        if not _beats(health.get(part) or {}, f"latest_{part}_heartbeat", since):
            return f"a heartbeat of the {part.replace('_', ' ')}"
    if planner and airflow.find_dag(PLANNER_DAG) is None:
        _require_importable(airflow)
        return f"the DAG {PLANNER_DAG}"
    return ""


def _require_importable(airflow: Airflow) -> None:
    for error in airflow.import_errors():
        if error["filename"].endswith(f"{PLANNER_DAG}.py"):
            raise StackError(f"{error['filename']} can't be imported:\n{error['stack_trace']}")


def _beats(part: dict[str, Any], key: str, since: float) -> bool:
    beat = part.get(key)
    return (
        part.get("status") == "healthy"
        and beat is not None
        and datetime.fromisoformat(beat).timestamp() >= since
    )


def _component_of(missing: str) -> str:
    for name in ("scheduler", "triggerer"):
        if name in missing:
            return name
    return "api-server" if "API" in missing else "dag-processor"
