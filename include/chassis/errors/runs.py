"""Runs and tasks that can't be found, can't continue, or were stopped from outside."""

from __future__ import annotations

from chassis.errors.base import ChassisError


class RunNotFoundError(ChassisError):
    """The workflow has no such run. A retry can't help."""

    remedy = "See `chassis status WORKFLOW` for its newest run."


class WorkflowPausedError(ChassisError):
    """The workflow to run is paused. A retry can't help."""

    remedy = "Unpause it on its page in Airflow, or plan with `chassis run --unpause`."


class ItemsError(ChassisError):
    """The items of a fan-out, known only at run time, are unusable. A retry can't help."""

    remedy = "Start a run with other inputs, or clear the upstream task."


class ItemsMovedError(ChassisError):
    """A result belongs to another item than the one now in its place in the run. A retry can't help."""

    remedy = "Clear the task instances that the message names, with downstream tasks."


class ContextError(ChassisError):
    """A value given to a task of a hand-written DAG can't be put into a prompt. A retry can't help."""

    remedy = "Return text, numbers, lists or dicts from that task, or give another context."


class StoppedError(ChassisError):
    """Airflow stopped a task that made its call in a worker: it was marked or cleared, or its worker was lost."""

    retryable = True
    remedy = "Clear the task to run it again; if its worker went away, it is tried again by itself."


class UnexpectedError(ChassisError):
    """An unexpected failure: a defect, or a passing fault of a machine. A retry may help."""

    retryable = True
    remedy = "The log of the process that made the call has the traceback."

    @classmethod
    def of(cls, error: BaseException) -> UnexpectedError:
        """Wrap ``error``, telling only its class: its message may hold what must not leave its process."""
        return cls(f"The call to Claude ended in an unexpected {type(error).__name__}.")
