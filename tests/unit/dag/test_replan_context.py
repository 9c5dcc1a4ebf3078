"""What is planned on from: the workflow's newest plan, and what one of its runs did and couldn't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chassis.dag.replan_context import PlannedOn, read_planned_on
from chassis.errors import PlanError, PlanNotFoundError, RunNotFoundError
from chassis.files import open_files
from chassis.planning import DoneTask
from chassis.plans.store import PlanStore
from chassis.records.results import Results
from chassis.settings import Settings
from chassis.workflow import check_plan

FAILURE = {"class": "AccessDeniedError", "message": "No access\nto the model.", "hint": "Ask."}


class Airflow:
    """Answers what a task may ask of runs of other DAGs, as Airflow's task instance does."""

    def __init__(self, *rows: dict[str, Any], runs: tuple[str, ...] = ()) -> None:
        self.rows, self.runs = rows, runs
        self.pulled: list[tuple[str, int]] = []

    def get_dr_count(self, dag_id: str, *, run_ids: list[str]) -> int:
        return len(set(run_ids) & set(self.runs))

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return list(self.rows)

    def xcom_pull(self, *, dag_id: str, run_id: str, task_ids: str, map_indexes: int, key: str) -> Any:
        assert (dag_id, key) == ("onboard", "error")
        self.pulled.append((task_ids, map_indexes))
        return FAILURE if task_ids != "silent" else None


def row(task_id: str, state: str, map_index: int = -1) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "map_index": map_index, "operator": "X", "duration": 1.0}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(plans_root=str(tmp_path / "plans"), records_root=str(tmp_path / "records"))


@pytest.fixture
def runs(settings: Settings) -> None:
    """Two revisions of a workflow, and two runs of it; the newer one has done one task and one item."""
    store = PlanStore(settings.plans_root)
    for title in ("First", "Second"):
        tasks = [
            {
                "id": "each",
                "name": "E",
                "instruction": "Do {item}.",
                "for_each": {"items": ["pricing", "claims"]},
            },
            {
                "id": "step",
                "name": "S",
                "instruction": "{item}",
                "for_each": {"same_as": "each"},
                "depends_on": ["each"],
            },
            {"id": "plain", "name": "P", "instruction": "Do."},
        ]
        plan = {"schema_version": 1, "id": "onboard", "title": title, "requirement": "Do it.", "tasks": tasks}
        store.publish(check_plan(plan))
    files = open_files(settings.records_root, "", what="record store")
    for at, run_id in enumerate(("manual__1", "manual__2")):
        kept = Results(files, "onboard", run_id, clock=lambda at=at: float(at))  # type: ignore[misc]
        kept.keep("1" * 64, {"task": "plain", "item": None, "summary": f"Done in\n{run_id}.", "output": ""})
    kept.keep("2" * 64, {"task": "each", "item": "pricing", "summary": "Priced.", "output": ""})


def read(settings: Settings, airflow: Airflow, **params: Any) -> PlannedOn | None:
    given = {"workflow_id": "onboard", "continue_from": "latest", **params}
    return read_planned_on({"params": given, "ti": airflow}, settings)  # type: ignore[typeddict-item]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(("wanted", "run_id"), [("latest", "manual__2"), ("manual__1", "manual__1")])
def test_the_newest_plan_is_changed_whichever_run_is_named(
    settings: Settings, wanted: str, run_id: str
) -> None:
    found = read(settings, Airflow(), continue_from=wanted)
    assert found is not None
    assert (found.current.title, found.run_id) == ("Second", run_id)


@pytest.mark.usefixtures("runs")
def test_what_was_done_and_what_failed_is_told(settings: Settings) -> None:
    airflow = Airflow(
        row("each", "success", 0),
        row("each", "failed", 1),
        row("step", "upstream_failed", 1),
        row("silent", "failed"),
        row("each__items", "success"),
    )
    found = read(settings, airflow)
    assert found is not None
    assert found.done == (
        DoneTask(task="each", item="pricing", state="success", summary="Priced."),
        DoneTask(task="plain", state="success", summary="Done in manual__2."),
        DoneTask(task="each", item="claims", state="failed", error="No access to the model."),
        DoneTask(task="step", item="claims", state="upstream_failed"),
        DoneTask(task="silent", state="failed"),
    )


@pytest.mark.usefixtures("runs")
def test_an_item_that_can_not_be_the_one_is_not_named(settings: Settings) -> None:
    found = read(settings, Airflow(row("each", "failed", 0), row("each", "failed", 7)))
    assert found is not None
    assert [each.item for each in found.done if each.state == "failed"] == [None, None]


@pytest.mark.usefixtures("runs")
def test_of_many_failures_only_some_are_asked_for(settings: Settings) -> None:
    airflow = Airflow(*(row("each", "failed", index) for index in range(50)))
    found = read(settings, airflow)
    assert found is not None
    assert len(airflow.pulled) == 20
    assert len([each for each in found.done if each.state == "failed"]) == 50


@pytest.mark.parametrize("wanted", [None, ""])
def test_nothing_is_read_when_nothing_is_to_be_continued(settings: Settings, wanted: str | None) -> None:
    assert read(settings, Airflow(), continue_from=wanted, workflow_id=None) is None


@pytest.mark.parametrize("wanted", ["latest", "manual__1"])
def test_a_run_without_its_workflow_is_refused(settings: Settings, wanted: str) -> None:
    with pytest.raises(PlanError, match="give its workflow_id, too"):
        read(settings, Airflow(), continue_from=wanted, workflow_id="")


@pytest.mark.usefixtures("runs")
def test_an_unknown_workflow_is_refused_with_the_nearest(settings: Settings) -> None:
    with pytest.raises(PlanNotFoundError) as refused:
        read(settings, Airflow(), workflow_id="onbord")
    assert refused.value.hint == "Did you mean 'onboard'?"


@pytest.mark.usefixtures("runs")
def test_an_unknown_run_is_refused_with_the_nearest(settings: Settings) -> None:
    with pytest.raises(RunNotFoundError, match="'onboard' has no run 'manual_2'") as refused:
        read(settings, Airflow(), continue_from="manual_2")
    assert refused.value.hint == "Did you mean 'manual__2'?"


@pytest.mark.usefixtures("runs")
def test_a_run_that_only_airflow_knows_is_one_in_which_nothing_was_done(settings: Settings) -> None:
    found = read(settings, Airflow(row("plain", "failed"), runs=("manual__9",)), continue_from="manual__9")
    assert found is not None
    assert [each.state for each in found.done] == ["failed"]


def test_a_workflow_that_never_ran_is_changed_without_a_run(settings: Settings) -> None:
    plan = {"schema_version": 1, "id": "onboard", "title": "T", "requirement": "R"}
    PlanStore(settings.plans_root).publish(
        check_plan(plan | {"tasks": [{"id": "a", "name": "A", "instruction": "Do."}]})
    )
    found = read(settings, Airflow())
    assert found is not None
    assert (found.run_id, found.done, found.current.id) == ("", (), "onboard")
