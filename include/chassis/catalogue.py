"""The catalogue: the services that plans may name, in one YAML file that people write.

One faulty entry doesn't remove the others. A run only needs the entry of the service that it works on, so whatever can
be read is good enough. For a plan, "all services" must mean all, so nothing is planned while an entry has no usable
name (:attr:`Catalogue.lost`).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chassis.errors import DefinitionError, PlanFault
from chassis.text import same_name
from chassis.workflow.fault_messages import in_words
from chassis.workflow.field_types import Description, Line, folded
from chassis.workflow.input_values import MAX_ITEMS, kind_of
from chassis.workflow.names import shown, suggestion
from chassis.workflow.yaml_text import YamlError, read_yaml, write_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

_HINT = "Correct the catalogue, or name another file as [chassis] services_file."


class Service(BaseModel):
    """One service. The planner sees its entry, and so does each task that works on it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Line = Field(description="What plans call it.")
    description: Annotated[Description, BeforeValidator(folded)] = Field(
        "", description="What it is for. Several lines become one."
    )
    repository: Line | None = Field(None, description="Where its source code is.")

    def to_yaml(self) -> str:
        """The entry as a person would write it."""
        return write_yaml(self.model_dump(mode="json", exclude_defaults=True))


class Catalogue(BaseModel):
    """The usable services, in the file's order. Names are unique."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    services: tuple[Service, ...]
    faults: tuple[PlanFault, ...] = Field(
        (), exclude=True, description="What is wrong in the file; ``where`` is the entry."
    )
    lost: tuple[PlanFault, ...] = Field(
        (), exclude=True, description="Those faults that keep an entry from being a service."
    )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The services' names."""
        return tuple(service.name for service in self.services)

    def find(self, name: str) -> Service | None:
        """The service with a name; None if there is none."""
        return next((service for service in self.services if service.name == name), None)

    def to_yaml(self) -> str:
        """The catalogue as YAML, in its file's form."""
        return write_yaml(self.model_dump(mode="json", exclude_defaults=True))


def load_catalogue(path: str | Path, *, complete: bool = False) -> Catalogue:
    """Load the catalogue from a file.

    :param complete: refuse a file in which an entry can't be a service
    :raises DefinitionError: the file doesn't exist or can't be read; lists all faults
    """
    try:
        data: Any = read_yaml(Path(path).read_bytes())
    except OSError as error:
        message = f"The catalogue of services {path} can't be read: {error.strerror or error}."
        raise DefinitionError(
            message, hint="Create it, or name another file as [chassis] services_file."
        ) from None
    except YamlError as error:
        raise _wrong(path, error.faults) from None
    catalogue = _read(path, data)
    if complete and catalogue.lost:
        raise _wrong(path, catalogue.lost)
    return catalogue


def _read(path: str | Path, data: Any) -> Catalogue:
    if not isinstance(data, dict):
        message = f"must be a mapping with services, not {kind_of(data)}"
        raise _wrong(path, [PlanFault("wrong_type", "the file", message)])
    faults = [
        PlanFault("unknown_key", "the file", f"{shown(key)} is not a valid key{suggestion(key, _KEYS)}")
        for key in data
        if key not in _KEYS
    ]
    entries = data.get("services")
    if not isinstance(entries, list):
        given = f"not {kind_of(entries)}" if "services" in data else "and is missing"
        faults.append(PlanFault("wrong_type", "services", f"must be a list of entries, {given}"))
        raise _wrong(path, faults)
    if len(entries) > MAX_ITEMS:
        message = f"has {len(entries):,} entries, and at most {MAX_ITEMS:,} are allowed"
        raise _wrong(path, [PlanFault("too_many", "services", message)])
    services: dict[str, Service] = {}
    lost = []
    for index, entry in enumerate(entries):
        service, wrong = _service(entry, f"services[{index}]")
        faults += wrong
        if service is None:
            lost += wrong
        elif (name := same_name(service.name)) in services:
            message = f"{shown(service.name)} is the name of an entry before it, too; keep one of them"
            lost.append(PlanFault("duplicate_name", f"services[{index}]", message))
            faults.append(lost[-1])
        else:
            services[name] = service
    return Catalogue(services=tuple(services.values()), faults=tuple(faults), lost=tuple(lost))


def _service(entry: Any, where: str) -> tuple[Service | None, list[PlanFault]]:
    """The service of an entry without its faulty parts, and the faults; no service if the entry has no name."""
    if not isinstance(entry, dict):
        message = f"must be a mapping with name and description, not {kind_of(entry)}"
        return None, [PlanFault("wrong_type", where, message)]
    faults = [
        PlanFault(
            "unknown_key", where, f"{shown(key)} is not a valid key{suggestion(key, Service.model_fields)}"
        )
        for key in entry
        if key not in Service.model_fields
    ]
    given = {key: value for key, value in entry.items() if key in Service.model_fields}
    if not given.get("description"):
        faults.append(PlanFault("missing", where, "description is missing"))
        given.pop("description", None)
    try:
        return Service.model_validate(given), faults
    except ValidationError as error:
        for each in error.errors(include_url=False):
            code, what = in_words(each, each["loc"], Service)
            faults.append(PlanFault(code, where, what))
            given.pop(str(each["loc"][0]), None)
    return (Service.model_validate(given) if "name" in given else None), faults


_KEYS = frozenset({"services"})


def _wrong(path: str | Path, faults: Sequence[PlanFault]) -> DefinitionError:
    lines = "\n".join(f"- {each}" for each in faults)
    return DefinitionError(f"The catalogue of services {path} is wrong:\n{lines}\n", hint=_HINT)
