from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chassis.errors.client import UsageError
from chassis.local.airflow_settings import apply_settings, find_settings_file, load_settings_file

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow
    from tests.unit.fake_airflow import FakeAirflow

PROJECT = Path(__file__).parents[3]

SETTINGS = """
airflow:
  connections:
    - conn_id: claude_bedrock
      conn_type: aws
      conn_extra: {region_name: eu-central-1}
    - conn_id:
      conn_type:
  pools:
    - pool_name: bedrock
      pool_slot: 16
      pool_description: Calls
      pool_include_deferred: true
  variables:
    - variable_name: colour
      variable_value: blue
    - variable_name: limits
      variable_value: {a: 1}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text(text)
    return path


def test_entries_are_added_with_airflows_names(fake: FakeAirflow, airflow: Airflow, tmp_path: Path) -> None:
    told: list[str] = []
    apply_settings(airflow, write(tmp_path, SETTINGS), told.append)
    assert fake.entries["pools"] == {
        "bedrock": {"name": "bedrock", "slots": 16, "description": "Calls", "include_deferred": True}
    }
    connection = fake.entries["connections"]["claude_bedrock"]
    assert connection["conn_type"] == "aws"
    assert json.loads(connection["extra"]) == {"region_name": "eu-central-1"}
    assert fake.entries["variables"]["colour"]["value"] == "blue"
    assert json.loads(fake.entries["variables"]["limits"]["value"]) == {"a": 1}
    assert told == [
        "Pool bedrock: added",
        "Connection claude_bedrock: added",
        "Variable colour: added",
        "Variable limits: added",
    ]


def test_applying_them_again_changes_nothing_that_can_be_compared(
    fake: FakeAirflow, airflow: Airflow, tmp_path: Path
) -> None:
    path = write(tmp_path, SETTINGS)
    apply_settings(airflow, path, lambda _: None)
    before = {kind: dict(entries) for kind, entries in fake.entries.items()}
    told: list[str] = []
    apply_settings(airflow, path, told.append)
    assert fake.entries == before
    assert told == ["Connection claude_bedrock: changed"], (
        "its password can't be read back, so it is sent again"
    )


def test_what_differs_is_changed(fake: FakeAirflow, airflow: Airflow, tmp_path: Path) -> None:
    fake.entries["pools"]["bedrock"] = {
        "name": "bedrock",
        "slots": 1,
        "description": "",
        "include_deferred": False,
    }
    apply_settings(airflow, write(tmp_path, SETTINGS), lambda _: None)
    assert fake.entries["pools"]["bedrock"]["slots"] == 16
    assert fake.entries["pools"]["bedrock"]["include_deferred"] is True


def test_every_refused_entry_is_named(fake: FakeAirflow, airflow: Airflow, tmp_path: Path) -> None:
    text = "airflow:\n  pools:\n" + "".join(
        f"    - {{pool_name: {name}, pool_slot: 0}}\n" for name in ("a", "b")
    )
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        apply_settings(airflow, path, lambda _: None)
    for words in (str(path), "pools a: body.slots: must not be 0", "pools b:"):
        assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("airflow: {pools: [{pool_nam: x}]}", "airflow.pools.0.pool_nam"),
        ("airflow: {pools: [{pool_name: x, pool_slot: many}]}", "airflow.pools.0.pool_slot"),
        ("airflow: {pool: []}", "airflow.pool"),
        ("airflow: [", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings_file(write(tmp_path, text))
    assert words in caught.value.message


def test_an_empty_file_has_no_entries(tmp_path: Path) -> None:
    assert load_settings_file(write(tmp_path, "")) == []


def test_the_current_folders_file_wins_over_the_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_settings_file() == PROJECT / "airflow_settings.yaml"
    assert find_settings_file() != write(tmp_path, SETTINGS)
    assert find_settings_file() == tmp_path / "airflow_settings.yaml"


def test_the_file_that_ships_has_the_pool_with_deferred_tasks() -> None:
    (pool,) = load_settings_file(PROJECT / "airflow_settings.yaml")
    assert pool.body == {
        "name": "bedrock",
        "slots": 16,
        "description": "Calls to Claude on Bedrock in flight",
        "include_deferred": True,
    }
