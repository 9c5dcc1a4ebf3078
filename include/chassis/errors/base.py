"""The base of all errors: message, hint, whether a retry helps, and how an error crosses process borders."""

from __future__ import annotations

from typing import Any, ClassVar

from chassis.text import set_off

_LONGEST_MESSAGE = 20_000
"""Maximum length of a message, in characters; it is logged, and stored in Airflow's database."""


class ChassisError(Exception):
    """The root of the hierarchy. Not retryable unless a subclass says so."""

    retryable: ClassVar[bool] = False
    wait: ClassVar[str] = "the task's retry delay, which doubles up to ten minutes"
    """How long until the next try of a retryable error, in words: for the documentation."""
    remedy: ClassVar[str] = ""
    """The hint, unless the raiser has a better one."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = set_off(message, _LONGEST_MESSAGE)
        self.hint = set_off(hint or self.remedy, _LONGEST_MESSAGE)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle holds only what describe() returns, and no other attribute of the error.
        return restore_error, (self.describe(),)

    def describe(self) -> dict[str, Any]:
        """The error as JSON-safe data; :func:`restore_error` reverses it."""
        return {"class": type(self).__name__, "message": self.message, "hint": self.hint}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> ChassisError:
        """Rebuild the error from :meth:`describe`."""
        return cls(str(data["message"]), hint=str(data.get("hint", "")))


def _subclasses(root: type[ChassisError]) -> dict[str, type[ChassisError]]:
    known = {root.__name__: root}
    for child in root.__subclasses__():
        known |= _subclasses(child)
    return known


def restore_error(data: dict[str, Any]) -> ChassisError:
    """Rebuild the error that :meth:`ChassisError.describe` described.

    Data of an unknown class, or that only looks like a description, becomes the root class: it comes from XComs, where
    any task can leave anything.
    """
    try:
        return _subclasses(ChassisError).get(str(data.get("class")), ChassisError).restore(data)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ChassisError(str(data.get("message", "")), hint=str(data.get("hint", "")))
