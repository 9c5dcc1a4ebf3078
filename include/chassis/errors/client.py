"""What the command line itself can run into, next to the errors of :mod:`chassis.errors`."""

from __future__ import annotations

from chassis.errors import ChassisError


class UsageError(ChassisError):
    """What was asked for can't be meant: an unknown task, item or run, or a wrong value. Exit code 2."""


class StackError(ChassisError):
    """The local Airflow did not start, or can't be ended. Exit code 3."""


class AirflowUnreachableError(ChassisError):
    """No usable answer from Airflow's REST API: no connection, time ran out, or 5xx. Exit code 3."""

    retryable = True


class PluginMissingError(ChassisError):
    """The Airflow that is asked about a run doesn't have the Chassis plugin. Exit code 3."""


class AirflowRefusedError(ChassisError):
    """Airflow answered and said no.

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
    """A plan doesn't wait for this answer: another one came first, or it was withdrawn. Exit code 1."""


class AnswerRefusedError(ChassisError):
    """The planner could not carry an answer out, and goes on waiting. Exit code 1."""
