"""The processes of one local stack, found by their session.

Airflow puts each task into a process group of its own, so a process group doesn't hold a stack together. A
session does: nothing in Airflow leaves it, and processes whose parent was killed stay in it.

Invariants that must not be relaxed:

- No signal goes to a process that is not proved to belong to the stack. Process ids are used again after a
  reboot or a long time, so a process counts as the recorded one only with the same start time.
- A zombie is dead: it holds no port, no file and no lock, and only its parent can remove it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLL_SECONDS = 0.05
_ORPHAN_SECONDS = 1.0
_KILL_SECONDS = 5.0
_KILL_ROUNDS = 3  # a process may fork while its family is being killed


class ProcessId(BaseModel):
    """A process beyond doubt: its id and when it started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    started: float = Field(description="Start time in seconds since the epoch, as psutil gives it.")

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The identity of a process that runs now.

        :raises psutil.NoSuchProcess: it doesn't
        """
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process if it is still alive, else None."""
        try:
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.started) < 1 else None
        except psutil.Error:
            return None


def session_members(leader: ProcessId) -> list[psutil.Process]:
    """Living processes of the session that a process leads or led, without that leader and the caller."""
    if psutil.pid_exists(leader.pid) and leader.find() is None and not _is_zombie(leader.pid):
        return []  # another process has this id now, so the session that had it is gone
    members = []
    for pid in psutil.pids():
        try:
            if pid in (os.getpid(), leader.pid) or os.getsid(pid) != leader.pid:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and process.create_time() >= leader.started - 1:
                members.append(process)
        except (OSError, psutil.Error):
            continue  # it ended while we looked
    return members


def end_session(leader: ProcessId, components: Iterable[ProcessId], *, grace: float) -> list[int]:
    """End a session: ask its components, wait, then kill whatever is left of it, but not the calling process.

    :param leader: the session's leader, alive or not
    :param components: asked first, with SIGTERM; each takes its own children down with it
    :param grace: seconds that the components have for that
    :return: ids of the processes that had to be killed
    """
    living = [process for component in components if (process := component.find())]
    for process in living:
        _signal(process, "terminate")
    _wait_until_gone(living, grace)
    # What outlives its component is an orphan: it had its chance and gets a moment to finish.
    _wait_until_gone(session_members(leader), _ORPHAN_SECONDS)
    killed = []
    for _ in range(_KILL_ROUNDS):
        members = session_members(leader)
        for process in members:
            _signal(process, "kill")
        killed += [process.pid for process in members]
        _wait_until_gone(members, _KILL_SECONDS)
    return killed


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(process: psutil.Process, how: Literal["terminate", "kill"]) -> None:
    try:
        process.terminate() if how == "terminate" else process.kill()
    except psutil.NoSuchProcess:
        return


def _wait_until_gone(processes: list[psutil.Process], seconds: float) -> None:
    """Wait until none of them runs. psutil.wait_procs would reap, and so steal, a Popen object's child."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_runs(process) for process in processes):
        time.sleep(_POLL_SECONDS)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
