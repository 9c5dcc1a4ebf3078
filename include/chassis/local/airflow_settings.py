"""``airflow_settings.yaml``: pools, connections and variables in the Astro CLI's format, put into Airflow.

Applying it again changes nothing. An entry without a name is a placeholder of the format and is left out; a
key that isn't known is refused, because a typo would otherwise be silence.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import chassis
from chassis.errors.client import AirflowRefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chassis.airflow_client import Airflow, Json

FILE = "airflow_settings.yaml"
_PACKAGE = Path(chassis.__file__).parent


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]

    @property
    @abstractmethod
    def label(self) -> str:
        """The entry's own name, empty for a placeholder."""

    @abstractmethod
    def body(self) -> Json:
        """The entry as Airflow's API takes it."""

    def is_in(self, found: Json) -> bool:
        """Whether Airflow has the entry just so."""
        return all(found.get(key) == value for key, value in self.body().items())


class Pool(_Entry):
    """A pool; Chassis adds ``pool_include_deferred`` to the format."""

    kind = "pools"

    pool_name: str | None = None
    pool_slot: int | None = Field(None, description="Number of slots; -1 for no bound.")
    pool_description: str | None = None
    pool_include_deferred: bool = Field(False, description="Whether waiting tasks take slots.")

    @property
    def label(self) -> str:
        return self.pool_name or ""

    def body(self) -> Json:
        return {
            "name": self.label,
            "slots": 1 if self.pool_slot is None else self.pool_slot,
            "description": self.pool_description or "",
            "include_deferred": self.pool_include_deferred,
        }


class Connection(_Entry):
    """A connection."""

    kind = "connections"

    conn_id: str | None = None
    conn_type: str | None = None
    conn_host: str | None = None
    conn_schema: str | None = None
    conn_login: str | None = None
    conn_password: str | None = None
    conn_port: int | None = None
    conn_extra: dict[str, Any] | str | None = None

    @property
    def label(self) -> str:
        return self.conn_id or ""

    def body(self) -> Json:
        extra = json.dumps(self.conn_extra) if isinstance(self.conn_extra, dict) else self.conn_extra
        return {
            "connection_id": self.label,
            "conn_type": self.conn_type or "",
            "host": self.conn_host,
            "schema": self.conn_schema,
            "login": self.conn_login,
            "password": self.conn_password,
            "port": self.conn_port,
            "extra": extra,
        }

    def is_in(self, found: Json) -> bool:
        """Never: Airflow masks secrets, so that an equal answer proves nothing."""
        return False


class Variable(_Entry):
    """A variable."""

    kind = "variables"

    variable_name: str | None = None
    variable_value: Any = None

    @property
    def label(self) -> str:
        return self.variable_name or ""

    def body(self) -> Json:
        value = self.variable_value
        return {"key": self.label, "value": value if isinstance(value, str) else json.dumps(value)}


class _Sections(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: tuple[Connection, ...] | None = None
    pools: tuple[Pool, ...] | None = None
    variables: tuple[Variable, ...] | None = None

    def entries(self) -> Iterator[_Entry]:
        for section in (self.pools, self.connections, self.variables):
            yield from (entry for entry in section or () if entry.label)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    airflow: _Sections = _Sections()


def find_settings_file() -> Path:
    """The file in the current folder, or else the checkout's, or else the one that the package brings."""
    for folder in (Path.cwd(), _PACKAGE.parents[1]):
        if (folder / FILE).exists():
            return folder / FILE
    return _PACKAGE / "defaults" / FILE


def load_settings_file(path: Path) -> list[_Entry]:
    """The file's entries, pools first.

    :raises UsageError: lists everything that is wrong with the file
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return list(_File.model_validate(data or {}).airflow.entries())
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        faults = "\n".join(f"- {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{path} can't be used:\n{faults}", hint="Correct it and try again.") from None


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


def _apply(airflow: Airflow, entry: _Entry) -> str:
    found = airflow.find_entry(entry.kind, entry.label)
    if found is None:
        airflow.create_entry(entry.kind, entry.body())
        return "added"
    if entry.is_in(found):
        return ""
    airflow.replace_entry(entry.kind, entry.label, entry.body())
    return "changed"
