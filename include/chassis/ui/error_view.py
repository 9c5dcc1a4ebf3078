"""The error that a task left, as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chassis.errors import ChassisError, restore_error


@dataclass(frozen=True)
class ErrorView:
    """What went wrong.

    :ivar kind: name of the error's class
    :ivar message: fact and consequence, in signs
    :ivar hint: the way out; may be empty
    :ivar request_id: AWS's id of the call that failed; may be empty
    """

    kind: str
    message: str
    hint: str
    request_id: str


def view_error(value: Any) -> ErrorView | None:
    """From the XCom ``error`` (``ChassisError.describe()``); None when there is none that can be read."""
    return view(restore_error(value)) if isinstance(value, dict) else None


def view(error: ChassisError) -> ErrorView:
    """An error as a page shows it."""
    request_id = str(getattr(error, "request_id", ""))
    return ErrorView(type(error).__name__, error.message, error.hint, request_id)
