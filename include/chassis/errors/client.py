"""Errors of the command line itself."""

from __future__ import annotations

from chassis.errors import ChassisError


class UsageError(ChassisError):
    """Invalid request: an unknown task, item or run, or a wrong value. Exit code 2."""


class StackError(ChassisError):
    """The local Airflow didn't start, or can't be stopped. Exit code 3."""


class AirflowUnreachableError(ChassisError):
    """Airflow's REST API gave no usable answer: no connection, timeout, or 5xx. Exit code 3."""

    retryable = True


class PluginMissingError(ChassisError):
    """The Airflow that has the run doesn't have the Chassis plugin. Exit code 3."""


class AirflowRefusedError(ChassisError):
    """Airflow refused the request.

    :ivar status: HTTP status of the answer
    :ivar detail: Airflow's own words
    """

    def __init__(self, message: str, *, hint: str = "", status: int, detail: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.detail = detail


class SignInError(AirflowRefusedError):
    """Airflow refused the user name, password or token (401, 403). Exit code 3."""


class AnsweredError(ChassisError):
    """The plan no longer waits for this answer: another one came first, or it was withdrawn. Exit code 1."""


class AnswerRefusedError(ChassisError):
    """The planner couldn't apply an answer, and keeps waiting. Exit code 1."""
