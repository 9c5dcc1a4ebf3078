"""The catalogue: the services that plans may name, in one YAML file that people write."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chassis.errors import DefinitionError
from chassis.workflow.messages import in_words
from chassis.workflow.spec import Description, Line, at_most, fault
from chassis.workflow.values import MAX_ITEMS, check_items
from chassis.workflow.yaml_text import YamlError, read_yaml, write_yaml

_HINT = "Correct the catalogue, or name another file as [chassis] services_file."


class Service(BaseModel):
    """One service. Its entry is shown to the planner and to each task that works on it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Line = Field(description="What plans call it.")
    description: Description = Field(description="What it is for, in a line.")
    repository: Line | None = Field(None, description="Where its source code is.")

    def to_yaml(self) -> str:
        """The entry as a person would write it."""
        return write_yaml(self.model_dump(mode="json", exclude_defaults=True))


class Catalogue(BaseModel):
    """All services, in the file's order. Names are unique."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    services: Annotated[tuple[Service, ...], at_most(MAX_ITEMS)]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if wrong := check_items(self.names):
            raise fault("bad_names", f"has names that can't be used: {'; '.join(wrong)}")
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the services are called."""
        return tuple(service.name for service in self.services)

    def find(self, name: str) -> Service | None:
        """The service of a name; None when there is none."""
        return next((service for service in self.services if service.name == name), None)

    def to_yaml(self) -> str:
        """The catalogue as YAML of the same form as its file."""
        return write_yaml(self.model_dump(mode="json", exclude_defaults=True))


def load_catalogue(path: str | Path) -> Catalogue:
    """The catalogue in a file.

    :raises DefinitionError: there is no such file, or it is wrong; lists all faults
    """
    try:
        data: Any = read_yaml(Path(path).read_bytes())
    except OSError as error:
        message = f"The catalogue of services {path} can't be read: {error.strerror or error}."
        raise DefinitionError(
            message, hint="Create it, or name another file as [chassis] services_file."
        ) from None
    except YamlError as error:
        raise _wrong(path, [str(each) for each in error.faults]) from None
    try:
        return Catalogue.model_validate(data)
    except ValidationError as error:
        faults = []
        for each in error.errors(include_url=False):
            model = Service if len(each["loc"]) > 1 else Catalogue
            faults.append(in_words(each, each["loc"], model)[1])
        raise _wrong(path, faults) from None


def _wrong(path: str | Path, faults: list[str]) -> DefinitionError:
    lines = "\n".join(f"- {each}" for each in faults)
    return DefinitionError(f"The catalogue of services {path} is wrong:\n{lines}\n", hint=_HINT)
