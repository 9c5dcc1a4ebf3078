"""The simulator's errors: those that a person sees, and those that travel to a client in AWS's shape."""

from __future__ import annotations

from typing import Literal

from chassis.errors import ChassisError


class SimulatorError(ChassisError):
    """The simulator can't start or was told something that it can't use: a port in use, a wrong scenario."""


class ApiError(Exception):
    """An answer that is an error in AWS's shape.

    :ivar status: HTTP status
    :ivar error_type: AWS's name, such as ``ValidationException``; sent as the ``x-amzn-errortype`` header
    :ivar retry_after: seconds for the ``retry-after`` header; None leaves it out
    :ivar form: the shape of its body: AWS's own, or Anthropic's, as Bedrock passes it on for newer models
    :ivar in_stream: whether a stream is opened with status 200, and the error is its first frame
    """

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        retry_after: float | None = None,
        form: Literal["aws", "anthropic"] = "aws",
        in_stream: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.retry_after = retry_after
        self.form = form
        self.in_stream = in_stream

    @property
    def anthropic_type(self) -> str:
        """Anthropic's name for such an error."""
        return _ANTHROPIC_TYPES.get(
            self.status, "api_error" if self.status >= 500 else "invalid_request_error"
        )


_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
