"""The simulator's errors: those that a person sees, and those that travel to a client in AWS's shape."""

from __future__ import annotations

from chassis.errors import ChassisError


class SimulatorError(ChassisError):
    """The simulator can't start or was told something that it can't use: a port in use, a wrong scenario."""


class ApiError(Exception):
    """An answer that is an error in AWS's shape.

    :ivar status: HTTP status
    :ivar error_type: AWS's name, such as ``ValidationException``; sent as the ``x-amzn-errortype`` header
    :ivar retry_after: seconds for the ``retry-after`` header; None leaves it out
    """

    def __init__(
        self, status: int, error_type: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.retry_after = retry_after
