"""Reads ``docker-compose.yaml`` as Compose would: anchors merged, variables put in, no engine needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).parents[3]
COMPOSE_FILE = PROJECT / "docker-compose.yaml"
AIRFLOW_SERVICES = ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker")

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)([^}]*))?\}|(.|$))")


class MissingVariableError(Exception):
    """A variable that must be set is not."""


def text() -> str:
    return COMPOSE_FILE.read_text(encoding="utf-8")


def variables() -> dict[str, str]:
    """Every variable of the file and how it is used: ``:?`` it must be set, ``:-`` it has a default."""
    found: dict[str, str] = {}
    for name, operator in ((match[2], match[3]) for match in _VARIABLE.finditer(_code()) if match[2]):
        assert found.setdefault(name, operator) == operator, f"{name} is used in two ways"
    return found


def passed_on() -> set[str]:
    """Variables without a value in an ``environment``: Compose passes them on when they are set."""
    services = yaml.safe_load(text())["services"].values()
    return {
        name
        for service in services
        for name, value in service.get("environment", {}).items()
        if value is None
    }


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """The file as data, with the given variables and the file's own defaults put in.

    :raises MissingVariableError: a variable without default isn't given
    """
    return _put_in(yaml.safe_load(text()), given)


def _code() -> str:
    return "\n".join(line for line in text().splitlines() if not line.lstrip().startswith("#"))


def _put_in(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _put_in(each, given) for key, each in value.items()}
    if isinstance(value, list):
        return [_put_in(each, given) for each in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        dollar, name, operator, other, stray = match.groups()
        assert stray is None, f"a $ that is no variable: {value!r}"
        if dollar:
            return "$"
        if given.get(name):
            return given[name]
        if operator == ":-":
            return other
        raise MissingVariableError(f"{name}: {other}")

    return _VARIABLE.sub(replaced, value)
