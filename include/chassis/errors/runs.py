"""A run, or a task of it, that can't be found, can't go on, or was ended from outside."""

from __future__ import annotations

from chassis.errors.base import ChassisError


class RunNotFoundError(ChassisError):
    """A workflow has no such run. A retry can't help."""

    remedy = "See `chassis status WORKFLOW` for its newest run."


class WorkflowPausedError(ChassisError):
    """The workflow that is to run is paused. A retry can't help."""

    remedy = "Unpause it on its page in Airflow, or plan with `chassis run --unpause`."


class ItemsError(ChassisError):
    """The items of a fan-out, known only at run time, can't be used. A retry can't help."""

    remedy = "Start a run with other inputs, or clear the upstream task."


class ItemsMovedError(ChassisError):
    """A result of the run is of another item than the run has in its place now. A retry can't help."""

    remedy = "Clear the task instances that the message names, with downstream tasks."


class ContextError(ChassisError):
    """A value that a task of a hand-written DAG is given can't be put into a prompt. A retry can't help."""

    remedy = "Return text, numbers, lists or dicts from that task, or give another context."


class StoppedError(ChassisError):
    """Airflow stopped a task that made its call in a worker: marked, cleared, or its worker went away."""

    retryable = True
    remedy = "Clear the task to run it again; if its worker went away, it is tried again by itself."


class UnexpectedError(ChassisError):
    """Something failed that Chassis doesn't know: a defect, or a passing fault of a machine. A retry may help."""

    retryable = True
    remedy = "The log of the process that made the call has the traceback."

    @classmethod
    def of(cls, error: BaseException) -> UnexpectedError:
        """For ``error``, of which only the class is told: its message may hold what must not leave its process."""
        return cls(f"The call to Claude ended in an unexpected {type(error).__name__}.")
