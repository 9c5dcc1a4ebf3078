"""Types of single fields, with their messages for wrong values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from chassis.workflow.names import has_control_character

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REQUIREMENT = 100_000


def fault(code: str, message: str) -> PydanticCustomError:
    """A validator's error, which keeps its own code and words in the list of faults."""
    return PydanticCustomError(code, "{text}", {"text": message})


def at_most(most: int) -> BeforeValidator:
    """A list or mapping with at most this many entries.

    Counted before the entries are checked: a hundred thousand wrong ones would be as many errors.
    """

    def bounded(value: Any) -> Any:
        if isinstance(value, list | tuple | dict) and len(value) > most:
            raise fault("too_many", f"has {len(value):,} entries, and at most {most:,} are allowed")
        # YAML and JSON give lists. Nothing else is accepted: a set would have no stable order.
        return tuple(value) if isinstance(value, list) else value

    return BeforeValidator(bounded)


def not_blank(text: str) -> str:
    """Refuse a text that holds only blanks."""
    if not text.strip():
        raise fault("blank", "must not be blank")
    return text


def one_line_only(text: str) -> str:
    """Refuse a text of several lines, or with invisible characters."""
    if has_control_character(text):
        raise fault("not_one_line", "must be one line without control characters")
    return text


def folded(text: Any) -> Any:
    """A text over several lines, as from YAML's ``>`` and ``|``, joined into one."""
    return " ".join(text.split()) if isinstance(text, str) else text


Line = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(not_blank), AfterValidator(one_line_only)
]
"""One line of text for people or a name: 1 to 200 characters, not blank, no control characters."""

Description = Annotated[str, Field(max_length=2_000), AfterValidator(one_line_only)]
Requirement = Annotated[str, Field(max_length=MAX_REQUIREMENT), AfterValidator(not_blank)]


class Part(BaseModel):
    """A part of a plan. Pydantic builds its validator at first use: most are used only within a whole plan's."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)


def not_one(part: Part, names: Sequence[str]) -> str | None:
    """The fault if not exactly one of these fields is set; None if one is."""
    found = [name for name in names if getattr(part, name) is not None]
    if len(found) == 1:
        return None
    had = f"has {' and '.join(found)}" if found else "has none of them"
    return f"must have exactly one of {', '.join(names)}; it {had}"
