"""``--input name=value`` as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chassis.cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def parse_inputs(given: Iterable[str]) -> dict[str, Any]:
    """The inputs by name. A value that is JSON is taken as that, any other as the text it is.

    :raises UsageError: lists every entry that has no name, and every name that came twice
    """
    inputs: dict[str, Any] = {}
    faults = []
    for entry in given:
        name, equals, text = entry.partition("=")
        if not equals or not name.strip():
            faults.append(f"{entry!r} is not NAME=VALUE")
        elif name.strip() in inputs:
            faults.append(f"{name.strip()!r} is given twice")
        else:
            inputs[name.strip()] = _value(text)
    if faults:
        raise UsageError(
            f"--input can't be used: {'; '.join(faults)}.",
            hint="Write --input product='pet insurance' or --input services='[\"pricing\", \"claims\"]'.",
        )
    return inputs


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
