"""``chassis costs``: the ledgers of the record store, added up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude.prices import price_date
from chassis.cli.costs import read_cost, read_costs
from chassis.contract.spending import Bound, RunLimits
from chassis.contract.usage import Usage
from chassis.files import Files, open_files
from chassis.ledger.entries import Closed, Opened
from chassis.ledger.journal import RunLedger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis

TEN = 1_795_341_600.0  # 22 November 2026, 10:00 UTC


class Records:
    """A record store, and calls in it that each take two seconds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: Files = open_files(str(root), what="record store")
        self._calls = 0

    def open(self, dag_id: str, run_id: str, at: float = TEN, *, until: float = 9e9) -> str:
        """A call of 5,000 tokens and 30 cents at most."""
        self._calls += 1
        opened = Opened(
            call=f"call-{self._calls}",
            task_id=f"task-{self._calls}",
            model="a-model",
            opened_at=at,
            until=until,
            bound=Bound(tokens=5000, cost_usd=0.3),
        )
        assert RunLedger(self.files, dag_id, run_id, clock=lambda: at).reserve(opened, RunLimits())
        return opened.call

    def call(self, dag_id: str, run_id: str, usd: float | None = 0.5, at: float = TEN, **facts: Any) -> None:
        """A call that was answered with 1,200 tokens."""
        closed = Closed(
            call=self.open(dag_id, run_id, at),
            closed_at=at + 2,
            cost_usd=usd,
            **{"outcome": "answered", "usage": Usage(input_tokens=1000, output_tokens=200, calls=1), **facts},
        )
        RunLedger(self.files, dag_id, run_id).close(closed)


@pytest.fixture
def records(chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Records:
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    return Records(tmp_path / "home" / "records")


def rows(text: str) -> list[list[str]]:
    """The cells of a table's lines."""
    lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    return [line for line in lines if len(line) > 1]


def test_a_workflows_runs_are_listed_by_their_start_with_a_total(chassis: Chassis, records: Records) -> None:
    records.call("onboard", "manual__2", 0.2, TEN + 90_000)
    for usd in (0.7, 0.41234):
        records.call("onboard", "planned__p1", usd)
    records.call("other", "r", 9.0)
    result = chassis("costs", "onboard")
    assert result.exit_code == 0
    assert rows(result.stdout)[1:] == [
        ["planned__p1", "2026-11-22 10:00", "2", "2,400", "$1.1123"],
        ["manual__2", "2026-11-23 11:00", "1", "1,200", "$0.2000"],
        ["Total", "3", "3,600", "$1.3123"],
    ]
    assert f"now: {price_date()}" in result.stdout


def test_without_a_workflow_each_has_a_line_planners_too(chassis: Chassis, records: Records) -> None:
    records.call("onboard", "r1", 0.5)
    records.call("onboard", "r2", 0.25)
    records.call("plan_workflow", "p1", 0.02)
    result = chassis("costs")
    assert rows(result.stdout)[1:] == [
        ["onboard", "2", "2", "2,400", "$0.7500"],
        ["plan_workflow", "1", "1", "1,200", "$0.0200"],
    ]


def test_what_is_not_certain_is_never_added_to_the_dollars(chassis: Chassis, records: Records) -> None:
    records.call("onboard", "r", 0.5)
    records.call("onboard", "r", None)
    records.open("onboard", "r")
    records.open("onboard", "r", until=TEN + 1)
    total = rows(chassis("costs", "onboard").stdout)[-1]
    assert total == [
        "Total",
        "3",
        "2,400",
        "$0.5000, and 1 call of unknown price",
        "up to $0.30 more for 1 call whose end nobody saw; up to $0.30 more for 1 call in flight",
    ]
    (workflow,) = json.loads(chassis("costs", "onboard", "--json").stdout)["workflows"]
    assert workflow["usage"] == {
        **Usage(input_tokens=2000, output_tokens=400, calls=2).model_dump(),
        "cost_usd": None,
        "known_usd": 0.5,
        "unpriced_calls": 1,
        "uncertain_usd": 0.3,
        "uncertain_tokens": 5000,
        "uncertain_calls": 1,
        "open_usd": 0.3,
        "open_tokens": 5000,
        "open_calls": 1,
    }


def test_simulated_dollars_are_never_added_to_real_ones(chassis: Chassis, records: Records) -> None:
    records.call("onboard", "real", 0.5)
    records.call("onboard", "made up", 0.25, simulated=True)
    records.call("onboard", "made up", 0.0, outcome="failed", usage=Usage(), simulated=False)
    records.call("onboard", "both", 0.125, simulated=True)
    records.call("onboard", "both", 0.125)
    table = rows(chassis("costs", "onboard").stdout)[1:]
    assert {row[0]: row[-1] for row in table} == {
        "real": "$0.5000",
        "made up (simulated: not Claude)": "$0.2500",
        "both": "$0.2500",
        "Total": "$0.7500",
        "Total (simulated: not Claude)": "$0.2500",
    }
    assert {row[0]: row[-1] for row in rows(chassis("costs").stdout)[1:]} == {
        "onboard": "$0.7500",
        "onboard (simulated: not Claude)": "$0.2500",
    }
    (workflow,) = json.loads(chassis("costs", "onboard", "--json").stdout)["workflows"]
    assert (workflow["usage"]["cost_usd"], workflow["simulated_usage"]["cost_usd"]) == (0.75, 0.25)
    assert {run["run_id"]: run["simulated"] for run in workflow["runs"]} == {
        "real": False,
        "made up": True,
        "both": False,
    }


def test_a_ledger_that_can_not_be_read_is_told_and_the_rest_is_shown(
    chassis: Chassis, records: Records
) -> None:
    records.call("onboard", "good", 0.5)
    records.call("onboard", "bad", 0.5)
    (entry, *_) = sorted((records.root / "onboard" / "bad" / "ledger").iterdir())
    entry.write_text("{}")
    result = chassis("costs", "onboard")
    assert result.exit_code == 1
    table = {row[0]: row[-1] for row in rows(result.stdout)[1:]}
    assert table == {"good": "$0.5000", "bad": "its ledger can't be read", "Total": "$0.5000"}
    assert "Not in the sums: run bad of onboard." in result.stderr
    assert str(entry) in result.stderr
    as_json = chassis("costs", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["workflows"][0]["broken_count"] == 1


def test_ids_are_printed_as_text_not_obeyed(chassis: Chassis, records: Records) -> None:
    records.call("[red]onboard", "run\x1b[2J\u202eid [bold]\nsecond")
    for arguments in ((), ("[red]onboard",)):
        shown = chassis("costs", *arguments).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "[bold] second" in shown
    assert "[red]onboard" in chassis("costs").stdout


def test_nothing_recorded_is_said_and_an_unknown_workflow_exits_with_2(
    chassis: Chassis, records: Records
) -> None:
    assert "No call to Claude is recorded yet." in chassis("costs").stderr
    assert json.loads(chassis("costs", "--json").stdout)["workflows"] == []
    assert "Nothing is recorded yet." in chassis("costs", "onboard").stderr
    records.call("onboard", "r")
    result = chassis("costs", "onbord")
    assert result.exit_code == 2
    assert "Did you mean 'onboard'?" in result.stderr


def test_an_airflow_of_ones_own_has_its_records_where_its_settings_say(
    chassis: Chassis, records: Records, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs = Records(tmp_path / "theirs")
    theirs.call("their_workflow", "r", 0.5)
    monkeypatch.setenv("CHASSIS_AIRFLOW_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AIRFLOW__CHASSIS__RECORDS_ROOT", str(theirs.root))
    assert rows(chassis("costs").stdout)[1:] == [["their_workflow", "1", "1", "1,200", "$0.5000"]]


def test_all_workflows_together_are_the_sum_of_each(records: Records) -> None:
    for dag_id, run_id, usd in (("a", "r1", 0.5), ("a", "r2", 0.25), ("b/c", "r1", 0.125)):
        records.call(dag_id, run_id, usd)
    found = read_costs(records.files)
    assert [cost.workflow_id for cost in found] == ["a", "b/c"]
    assert found == [read_cost(records.files, cost.workflow_id) for cost in found]
