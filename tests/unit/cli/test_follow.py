from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from chassis.cli import follow as follow_module
from chassis.cli.follow import RunReader, follow
from chassis.errors.client import AirflowUnreachableError
from tests.unit.cli.made_up_runs import spending
from tests.unit.cli.made_up_views import report, row
from tests.unit.fake_airflow import FakeAirflow, FakeDag, FakeRun, instance, task

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.airflow_client import Airflow
    from chassis.cli.report import Report


def reader(*reports: Report | Exception | None) -> Callable[[], Report | None]:
    """Gives one report after the other; after the last one, the test is wrong."""
    left = list(reports)

    def read() -> Report | None:
        report = left.pop(0)
        if isinstance(report, Exception):
            raise report
        return report

    return read


def stands(run_state: str, **states: str | None) -> Report:
    return report(*(row(task_id, state) for task_id, state in states.items()), state=run_state)


def console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, markup=False)


def text_of(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_in_a_pipe_each_change_is_one_line() -> None:
    out = console()
    end = follow(
        reader(
            None,
            stands("running", a=None, b=None),
            stands("running", a="running", b=None),
            stands("running", a="deferred", b=None),
            stands("running", a="success", b="running"),
            stands("success", a="success", b="success"),
        ),
        out,
    )
    assert end.view.state == "success"
    assert text_of(out).splitlines() == ["a: running", "a: success", "b: running", "b: success"]


def test_what_was_known_before_is_not_told_again() -> None:
    out = console()
    known = stands("failed", a="success", b="failed").rows[:1]
    follow(
        reader(stands("running", a="success", b="running"), stands("success", a="success", b="success")),
        out,
        known=known,
    )
    assert text_of(out).splitlines() == ["b: running", "b: success"]


def test_on_a_terminal_the_table_is_live_and_leaves_nothing_behind() -> None:
    out = console(terminal=True)
    follow(reader(stands("running", a="running"), stands("success", a="success")), out)
    assert "Depends on" in text_of(out)
    assert "\x1b[2K" in text_of(out)


def test_an_api_server_that_restarts_is_waited_for() -> None:
    away = AirflowUnreachableError("away")
    assert follow(reader(away, away, stands("success")), console()).view.state == "success"


def test_an_api_server_that_stays_away_ends_the_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "_PATIENCE_SECONDS", 0.05)

    def read() -> Report | None:
        raise AirflowUnreachableError("away")

    with pytest.raises(AirflowUnreachableError):
        follow(read, console())


class TestReader:
    @pytest.fixture
    def run(self, fake: FakeAirflow) -> FakeRun:
        run = FakeRun()
        fake.dags["onboard"] = FakeDag([task("a", "b"), task("b")], {"r1": run})
        return run

    def test_after_the_first_look_only_what_changed_is_asked_for(
        self, airflow: Airflow, run: FakeRun
    ) -> None:
        run.snapshots = [
            [instance("a", "running"), instance("b", None)],
            [instance("a", "success"), instance("b", None)],
            [instance("a", "success"), instance("b", "success")],
        ]
        reader = RunReader(airflow, "onboard", "r1")
        seen = [[each.at.state for each in found.rows] for _ in range(3) if (found := reader.look())]
        assert seen == [["running", None], ["success", None], ["success", "success"]]

    def test_what_was_spent_stays_known_while_a_task_runs_again(self, airflow: Airflow, run: FakeRun) -> None:
        run.snapshots = [[instance("a", "up_for_retry")], [instance("a", "running", try_number=2)]]
        run.xcoms[("a", -1, "spending")] = spending(0.5, 0.5)
        reader = RunReader(airflow, "onboard", "r1")
        assert reader.look() is not None
        run.xcoms.clear()  # as Airflow does when a task runs again
        found = reader.look()
        assert found is not None
        assert found.rows[0].at.spent is not None
        assert found.spent is not None
        assert (found.rows[0].at.spent.cost_usd, found.spent.cost_usd) == (0.5, 0.5)

    def test_a_wide_run_is_read_page_by_page(self, fake: FakeAirflow, airflow: Airflow, run: FakeRun) -> None:
        fake.page = 20
        run.snapshots = [[instance("a", "success", index) for index in range(50)]]
        found = RunReader(airflow, "onboard", "r1").look()
        assert found is not None
        assert [each.at.map_index for each in found.rows[:-1]] == list(range(50))
        assert len(fake.sent("GET", "/runs/r1")) == 3

    def test_no_run_is_no_report(self, airflow: Airflow, run: FakeRun) -> None:
        assert RunReader(airflow, "onboard", "r2").look() is None
