"""An amendment and its rerun: in which order they happen, and what becomes of one whose task can't be cleared.

Airflow's part (its rows and its way of clearing) is stood in for here; ``tests/system/test_amendments.py`` has the
real one.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException

from chassis.errors import PlanError, StoreError
from chassis.files import open_files
from chassis.plans.store import PlanStore
from chassis.records.amendments import Amendments
from chassis.settings import Settings
from chassis.ui import reruns
from chassis.ui.reruns import Place, Wish, rerun_amended
from chassis.ui.run_plans import RunPlan
from chassis.workflow import Provenance, load_plan

DAG, RUN = "onboard", "r1"
PLAN = load_plan("""
schema_version: 1
id: onboard
title: Onboard
requirement: Onboard a product.
inputs:
  product: {type: string, default: pet insurance}
  market: {type: string}
tasks:
  - {id: update, name: Update, instruction: "Add {product} to {item}.", for_each: {items: [claims, pricing]}}
  - {id: report, name: Report, instruction: Report., depends_on: [update]}
""")


class Session:
    """What is done with the database, in order; ``commit`` may fail."""

    def __init__(self, done: list[str]) -> None:
        self.done = done
        self.broken = False

    def add(self, row: Any) -> None:
        self.done.append(f"{row.event} by {row.owner}")

    def commit(self) -> None:
        if self.broken:
            raise RuntimeError("database is locked")
        self.done.append("commit")

    def rollback(self) -> None:
        self.done.append("rollback")


class World:
    """A run whose ``update [claims]`` failed and kept ``report`` from running."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.session = Session(self.done)
        self.settings = Settings(plans_root=str(root / "plans"), records_root=str(root / "records"))
        self.store = PlanStore(self.settings.plans_root)
        ref = self.store.get(self.store.publish(PLAN).workflow_id)
        self.amendments = Amendments(open_files(self.settings.records_root), DAG, RUN)
        self.state: str | None = "failed"
        self.conf: dict[str, Any] = {}
        self.refuses: Exception | None = None
        run = SimpleNamespace(bundle_version="v", conf=self.conf)
        monkeypatch.setattr(reruns, "find_run", lambda *_: run)
        monkeypatch.setattr(reruns, "find_instance", self._instance)
        monkeypatch.setattr(reruns, "plan_of_run", lambda *_: RunPlan(ref, PLAN, pinned=True))
        monkeypatch.setattr(reruns, "with_row_locks", lambda *_, **__: None)
        monkeypatch.setattr(reruns, "post_clear_task_instances", self._clear)
        self.session.scalar = lambda _: self.state  # type: ignore[attr-defined]

    @staticmethod
    def _instance(_: Any, dag_id: str, run_id: str, task_id: str, index: int) -> Any:
        return SimpleNamespace(
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=index,
            try_number=1,
            _rendered_map_index=None,
            logical_date=None,
        )

    def _clear(self, dag_id: str, bag: Any, body: Any, session: Any, user: Any) -> Any:
        if not body.dry_run:
            assert body.run_on_latest_version is False, "the run stays with its revision"
            assert body.prevent_running_task
            assert len(self.amendments.all()) == 1, "recorded before anything is cleared"
            if self.refuses is not None:
                raise self.refuses
            self.done.append(f"clear {body.task_ids}")
        found = [("update", 0, "failed"), ("report", -1, "upstream_failed")]
        rows = [SimpleNamespace(task_id=task, map_index=index, state=state) for task, index, state in found]
        return SimpleNamespace(task_instances=rows)

    def rerun(self, wish: Wish, task_id: str = "update", index: int = 0) -> reruns.Done:
        user: Any = SimpleNamespace(get_name=lambda: "Ada", get_id=lambda: 7)
        bag: Any = None
        session: Any = self.session
        return rerun_amended(Place(session, bag, user, self.settings, DAG, RUN, task_id, index), wish)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


WISH = Wish(instruction="Add {product} to {item} now.", reason=" it was unclear ")


def test_it_is_recorded_then_cleared_then_committed(world: World) -> None:
    done = world.rerun(WISH)
    assert (done.amendment, done.item, done.revision) == (1, "claims", None)
    assert done.cleared == [("update", 0), ("report", -1)]
    assert world.done == ["clear [('update', 0), 'report']", "chassis_amend by Ada", "commit"]
    [recorded] = world.amendments.all()
    assert (recorded.by, recorded.by_id, recorded.reason) == ("Ada", "7", "it was unclear")
    assert len(world.store.revisions(DAG)) == 1


@pytest.mark.parametrize("refusal", [HTTPException(409, "it runs"), RuntimeError("no such DAG")])
def test_what_can_not_be_cleared_is_withdrawn(world: World, refusal: Exception) -> None:
    world.refuses = refusal
    with pytest.raises(type(refusal)):
        world.rerun(WISH)
    assert world.done == ["rollback"]
    assert [each.withdrawn for each in world.amendments.all()] == [True]
    assert world.amendments.of("update", "claims").numbers == ()


def test_what_can_not_be_committed_is_withdrawn_and_not_saved(world: World) -> None:
    world.session.broken = True
    with pytest.raises(RuntimeError, match="locked"):
        world.rerun(WISH.model_copy(update={"save": True}))
    assert world.done[-1] == "rollback"
    assert [each.withdrawn for each in world.amendments.all()] == [True]
    assert len(world.store.revisions(DAG)) == 1


@pytest.mark.parametrize(
    "state",
    ["running", "queued", "scheduled", "deferred", "restarting", "awaiting_input", "removed"],
)
def test_a_task_at_work_is_refused_and_nothing_is_written(world: World, state: str) -> None:
    world.state = state
    with pytest.raises(HTTPException) as caught:
        world.rerun(WISH)
    assert caught.value.status_code == 409
    assert world.amendments.all() == []
    assert world.done == []


@pytest.mark.parametrize("state", ["success", "failed", "upstream_failed", "skipped", "up_for_retry", None])
def test_a_task_that_is_not_at_work_may_be_amended(world: World, state: str | None) -> None:
    world.state = state
    assert world.rerun(WISH).amendment == 1


@pytest.mark.parametrize(
    "wish",
    [
        Wish(reason="no change"),
        Wish(reason="the same", instruction=PLAN.tasks[0].instruction, inputs={"product": "pet insurance"}),
        WISH.model_copy(update={"reason": "  "}),
    ],
)
def test_an_amendment_needs_a_change_and_a_reason(world: World, wish: Wish) -> None:
    with pytest.raises(HTTPException) as caught:
        world.rerun(wish)
    assert caught.value.status_code == 400
    assert world.amendments.all() == []


def test_what_the_run_already_goes_by_is_no_change(world: World) -> None:
    world.conf["product"] = "cat insurance"
    wish = Wish(reason="back to the plan's", inputs={"product": "pet insurance"})
    assert world.rerun(wish).amendment == 1
    assert world.amendments.of("update", "claims").inputs == {"product": "pet insurance"}


def test_an_empty_text_for_an_input_without_a_value_is_no_change(world: World) -> None:
    with pytest.raises(HTTPException, match="changes nothing"):
        world.rerun(Wish(inputs={"market": ""}, reason="a form sends every field"))
    world.rerun(Wish(inputs={"market": "", "product": "travel"}, reason="another product"))
    assert world.amendments.of("update", "claims").inputs == {"product": "travel"}


def test_a_wrong_change_is_refused_before_anything_is_written(world: World) -> None:
    with pytest.raises(PlanError, match=r"did you mean \{product\}"):
        world.rerun(Wish(reason="r", instruction="Add {produkt}."))
    with pytest.raises(PlanError, match="is no task of the plan"):
        world.rerun(WISH, "updat", -1)
    assert world.amendments.all() == []
    assert world.done == []


def test_a_task_with_items_is_amended_item_by_item(world: World) -> None:
    with pytest.raises(HTTPException) as caught:
        world.rerun(WISH, "update", -1)
    assert caught.value.status_code == 409
    assert "name one" in caught.value.detail


def test_saved_it_is_the_next_revision_of_the_newest_plan(world: World) -> None:
    planned = Provenance(
        planner_model="m", agents={}, planned_at="2026-11-22T06:00:00+00:00", planner_run="p"
    )
    newer = PLAN.model_copy(update={"title": "Onboard again", "provenance": planned})
    world.store.publish(newer)
    done = world.rerun(Wish(reason="r", inputs={"product": "cat insurance"}, save=True))
    assert done.revision == 3
    saved = world.store.read(world.store.get(DAG))
    assert saved.title == "Onboard again"
    assert saved.inputs["product"].default == "cat insurance"
    assert saved.provenance is not None
    assert (saved.provenance.approved_by, saved.provenance.edited) == ("Ada", True)
    assert [each.saved_revision for each in world.amendments.all()] == [3]


def test_a_store_that_fails_when_it_is_saved_takes_nothing_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StoreError("The plan store is away.")

    monkeypatch.setattr(PlanStore, "publish", away)
    done = world.rerun(WISH.model_copy(update={"save": True}))
    assert (done.revision, done.save_error) == (None, "The plan store is away.")
    assert world.amendments.of("update", "claims").numbers == (1,)
