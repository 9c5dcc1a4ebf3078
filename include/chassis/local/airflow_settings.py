"""``airflow_settings.yaml``: pools, connections and variables in the Astro CLI's format, put into Airflow.

Applying it again changes nothing. An entry without a name is a placeholder of the format and is left out; a key that
isn't known is refused, because a typo would otherwise be silence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import chassis
from chassis.errors.client import AirflowRefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.airflow_client import Airflow, Json

FILE = "airflow_settings.yaml"
_PACKAGE = Path(chassis.__file__).parent
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Entry(NamedTuple):
    """An entry as Airflow's API has it: ``kind`` is pools, connections or variables."""

    kind: str
    label: str
    body: Json


class _Pool(BaseModel):
    """A pool; Chassis adds ``pool_include_deferred`` to the format."""

    model_config = _STRICT

    pool_name: str | None = None
    pool_slot: int | None = Field(None, description="Number of slots; -1 for no bound.")
    pool_description: str | None = None
    pool_include_deferred: bool = Field(False, description="Whether waiting tasks take slots.")

    def entry(self) -> Entry:
        body = {
            "name": self.pool_name,
            "slots": 1 if self.pool_slot is None else self.pool_slot,
            "description": self.pool_description or "",
            "include_deferred": self.pool_include_deferred,
        }
        return Entry("pools", self.pool_name or "", body)


class _Connection(BaseModel):
    model_config = _STRICT

    conn_id: str | None = None
    conn_type: str | None = None
    conn_host: str | None = None
    conn_schema: str | None = None
    conn_login: str | None = None
    conn_password: str | None = None
    conn_port: int | None = None
    conn_extra: dict[str, Any] | str | None = None

    def entry(self) -> Entry:
        body = {name.removeprefix("conn_"): value for name, value in self if name != "conn_id"}
        extra = json.dumps(self.conn_extra) if isinstance(self.conn_extra, dict) else self.conn_extra
        body |= {"connection_id": self.conn_id, "extra": extra}
        body["conn_type"] = body.pop("type") or ""
        return Entry("connections", self.conn_id or "", body)


class _Variable(BaseModel):
    model_config = _STRICT

    variable_name: str | None = None
    variable_value: Any = None

    def entry(self) -> Entry:
        value = self.variable_value
        body = {"key": self.variable_name, "value": value if isinstance(value, str) else json.dumps(value)}
        return Entry("variables", self.variable_name or "", body)


class _Sections(BaseModel):
    model_config = _STRICT

    connections: tuple[_Connection, ...] | None = None
    pools: tuple[_Pool, ...] | None = None
    variables: tuple[_Variable, ...] | None = None


class _File(BaseModel):
    model_config = _STRICT

    airflow: _Sections = _Sections()


def find_settings_file() -> Path:
    """The file in the current folder, or else the checkout's, or else the one that the package brings."""
    for folder in (Path.cwd(), _PACKAGE.parents[1]):
        if (folder / FILE).exists():
            return folder / FILE
    return _PACKAGE / "defaults" / FILE


def load_settings_file(path: Path) -> list[Entry]:
    """The file's entries, pools first.

    :raises UsageError: lists everything that is wrong with the file
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        sections = _File.model_validate(data or {}).airflow
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        faults = "\n".join(f"- {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{path} can't be used:\n{faults}", hint="Correct it and try again.") from None
    given: tuple[_Pool | _Connection | _Variable, ...]
    given = (*(sections.pools or ()), *(sections.connections or ()), *(sections.variables or ()))
    return [entry for one in given if (entry := one.entry()).label]


def apply_settings(airflow: Airflow, path: Path, tell: Callable[[str], None]) -> None:
    """Bring Airflow's pools, connections and variables to what the file says.

    :param tell: gets a line for each entry that was added or changed
    :raises UsageError: the file is wrong, or Airflow refuses entries of it; all of them are named
    """
    refused = []
    for entry in load_settings_file(path):
        try:
            if done := _apply(airflow, entry):
                tell(f"{entry.kind.removesuffix('s').capitalize()} {entry.label}: {done}")
        except AirflowRefusedError as error:
            refused.append(f"- {entry.kind} {entry.label}: {error.detail}")
    if refused:
        raise UsageError(
            f"Airflow refuses entries of {path}:\n" + "\n".join(refused), hint="Correct them there."
        )


def _apply(airflow: Airflow, entry: Entry) -> str:
    found = airflow.find_entry(entry.kind, entry.label)
    if found is None:
        airflow.create_entry(entry.kind, entry.body)
        return "added"
    # Airflow masks a connection's secrets, so that an equal answer proves nothing.
    if entry.kind != "connections" and all(found.get(key) == value for key, value in entry.body.items()):
        return ""
    airflow.replace_entry(entry.kind, entry.label, entry.body)
    return "changed"
