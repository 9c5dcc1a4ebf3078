"""What a field of a plan means beyond its type, stated once at the field as ``Annotated`` metadata.

Whatever lists fields derives it from there: the schema of the planner's answer, what planning again keeps, the names
that people read, a task's fingerprint, the facts on a plan's page, the tables of docs/reference/plan-format.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic.fields import FieldInfo

Setter = Literal["planner", "person", "chassis"]


@dataclass(frozen=True)
class Means:
    """What a field means.

    :ivar set_by: ``planner``: in the planner's answer. ``person``: set by people, and kept by planning again.
        ``chassis``: neither
    :ivar label: its name for people; empty: its path, in words. ``{each}`` stands for ``each`` of the part around it
    :ivar each: of a part: what tells its fields from those of the same name in another part
    :ivar schema: the planner's JSON schema for it, if its type and description don't give it
    :ivar optional: whether the planner may leave it out
    :ivar json_text: whether the planner writes it as JSON text, because no schema can describe it
    :ivar fingerprint: whether its value is part of a task's fingerprint, so that a change makes it another task
    :ivar fact: its value as text, for a list of facts; None: it is in none
    :ivar example: the right way to write it, for a person who wrote it differently
    """

    set_by: Setter = "chassis"
    label: str = ""
    each: str = ""
    schema: Mapping[str, Any] | None = None
    optional: bool = False
    json_text: bool = False
    fingerprint: bool = False
    fact: Callable[[Any], str] | None = None
    example: str = ""


@dataclass(frozen=True)
class Leaf:
    """A field of a model, or of a part inside it, that is not itself a part.

    :ivar path: the names that lead to it
    :ivar label: its name for people
    :ivar default: its value if a plan leaves it out; None for nothing, or if the part around it is then missing
    """

    path: tuple[str, ...]
    means: Means
    label: str
    default: Any

    @property
    def name(self) -> str:
        """The path, dotted."""
        return ".".join(self.path)

    def value(self, holder: BaseModel) -> Any:
        """Its value in an instance of the model; None if a part around it is None."""
        found: Any = holder
        for name in self.path:
            found = getattr(found, name, None)
        return found


@cache
def meanings(model: type[BaseModel]) -> Mapping[str, Means]:
    """What each field of a model means."""
    return {
        name: next((each for each in field.metadata if isinstance(each, Means)), Means())
        for name, field in model.model_fields.items()
    }


@cache
def fields_set_by(model: type[BaseModel], setter: Setter) -> frozenset[str]:
    """The fields of a model that the planner, or a person, sets."""
    return frozenset(name for name, means in meanings(model).items() if means.set_by == setter)


def part_type(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a part of a plan, with fields of its own; None for any other field."""
    is_union = get_origin(field.annotation) in (Union, UnionType)
    kinds = get_args(field.annotation) if is_union else (field.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


@cache
def leaves(model: type[BaseModel]) -> tuple[Leaf, ...]:
    """The fields of a model and of its parts, in order."""
    return tuple(_leaves(model, (), "", present=True))


def _leaves(model: type[BaseModel], above: tuple[str, ...], each: str, *, present: bool) -> Iterator[Leaf]:
    for name, means in meanings(model).items():
        field, path = model.model_fields[name], (*above, name)
        if part := part_type(field):
            yield from _leaves(part, path, means.each, present=isinstance(field.default, BaseModel))
        else:
            label = means.label.replace("{each}", each) or " ".join(path).replace("_", " ")
            default = None if field.is_required() or not present else field.default or None
            yield Leaf(path, means, label, default)


def facts(holder: BaseModel) -> dict[str, str]:
    """One-line facts about a plan or a task, by their names for people, without those that aren't set."""
    return {
        leaf.label: leaf.means.fact(value)
        for leaf in leaves(type(holder))
        if leaf.means.fact is not None and (value := leaf.value(holder)) is not None
    }
