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
from chassis.ui import amended_reruns, amendment_routes
from chassis.ui.amended_reruns import Place, Wish, rerun_amended
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
    """A run whose items of ``update`` failed and kept ``report`` from running.

    :ivar states: of the items, by their place
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.reruns = 0
        self.session = Session(self.done)
        self.settings = Settings(plans_root=str(root / "plans"), records_root=str(root / "records"))
        self.store = PlanStore(self.settings.plans_root)
        ref = self.store.get(self.store.publish(PLAN).workflow_id)
        self.amendments = Amendments(open_files(self.settings.records_root), DAG, RUN)
        self.states: dict[int, str | None] = {0: "failed", 1: "failed"}
        self.conf: dict[str, Any] = {}
        self.refuses: Exception | None = None
        run = SimpleNamespace(bundle_version="v", conf=self.conf)
        monkeypatch.setattr(amended_reruns, "find_run", lambda *_: run)
        monkeypatch.setattr(amended_reruns, "find_instance", self._instance)
        monkeypatch.setattr(amended_reruns, "plan_of_run", lambda *_: RunPlan(ref, PLAN, pinned=True))
        monkeypatch.setattr(amended_reruns, "with_row_locks", lambda *_, **__: None)
        monkeypatch.setattr(amended_reruns, "post_clear_task_instances", self._clear)
        monkeypatch.setattr(amended_reruns, "failed_instances", self._failed)
        self.session.execute = lambda _: list(self.states.items())  # type: ignore[attr-defined]

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

    def _failed(self, _: Any, dag_id: str, run_id: str, task_id: str) -> Any:
        failed = [index for index, state in self.states.items() if state == "failed"]
        return [self._instance(_, dag_id, run_id, task_id, index) for index in failed]

    def _clear(self, dag_id: str, bag: Any, body: Any, session: Any, user: Any) -> Any:
        asked = [each for each in body.task_ids if not isinstance(each, str)]
        if not body.dry_run:
            assert body.run_on_latest_version is False, "the run stays with its revision"
            assert body.prevent_running_task
            assert len(self.amendments.all()) == self.reruns, "recorded before anything is cleared"
            if self.refuses is not None:
                raise self.refuses
            self.done.append(f"clear {body.task_ids}")
        found = [*(("update", index, "failed") for _, index in asked), ("report", -1, "upstream_failed")]
        rows = [SimpleNamespace(task_id=task, map_index=index, state=state) for task, index, state in found]
        return SimpleNamespace(task_instances=rows)

    def rerun(self, wish: Wish, task_id: str = "update", index: int = 0) -> amended_reruns.Done:
        user: Any = SimpleNamespace(get_name=lambda: "Ada", get_id=lambda: 7)
        bag: Any = None
        session: Any = self.session
        self.reruns = len(self.amendments.all()) + 1
        return rerun_amended(Place(session, bag, user, self.settings, DAG, RUN, task_id, index), wish)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


WISH = Wish(instruction="Add {product} to {item} now.", reason=" it was unclear ")


def test_it_is_recorded_then_cleared_then_committed(world: World) -> None:
    done = world.rerun(WISH)
    assert (done.amendment, done.items, done.revision) == (1, ("claims",), None)
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
    world.states = {0: state}
    with pytest.raises(HTTPException) as caught:
        world.rerun(WISH)
    assert caught.value.status_code == 409
    assert "update [claims]" in caught.value.detail
    assert world.amendments.all() == []
    assert world.done == []


@pytest.mark.parametrize("state", ["success", "failed", "upstream_failed", "skipped", "up_for_retry", None])
def test_a_task_that_is_not_at_work_may_be_amended(world: World, state: str | None) -> None:
    world.states = {0: state}
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
    with pytest.raises(PlanError, match=r"changes nothing|needs a reason"):
        world.rerun(wish)
    assert world.amendments.all() == []


def test_what_the_run_already_goes_by_is_no_change(world: World) -> None:
    world.conf["product"] = "cat insurance"
    wish = Wish(reason="back to the plan's", inputs={"product": "pet insurance"})
    assert world.rerun(wish).amendment == 1
    assert world.amendments.of("update", "claims").inputs == {"product": "pet insurance"}


def test_an_empty_text_for_an_input_without_a_value_is_no_change(world: World) -> None:
    with pytest.raises(PlanError, match="changes nothing"):
        world.rerun(Wish(inputs={"market": ""}, reason="a form sends every field"))
    world.rerun(Wish(inputs={"market": "", "product": "travel"}, reason="another product"))
    assert world.amendments.of("update", "claims").inputs == {"product": "travel"}


def test_a_wrong_change_is_refused_before_anything_is_written(world: World) -> None:
    with pytest.raises(PlanError, match=r"did you mean \{product\}"):
        world.rerun(Wish(reason="r", instruction="Add {produkt}."))
    with pytest.raises(PlanError, match="is not a task of the plan"):
        world.rerun(WISH, "updat", -1)
    assert world.amendments.all() == []
    assert world.done == []


def test_all_that_is_wrong_is_told_at_once(world: World) -> None:
    wish = Wish(
        reason=" ", instruction="Add {produkt}.", inputs={"product": 5, "marked": "DE"}, all_failed=True
    )
    with pytest.raises(PlanError) as caught:
        world.rerun(wish)
    codes = {fault.code for fault in caught.value.faults}
    assert {"no_reason", "unknown_input", "bad_default"} < codes
    assert len(caught.value.faults) == 4
    assert world.amendments.all() == []


class TestAllFailedItems:
    ALL = WISH.model_copy(update={"all_failed": True})

    def test_they_are_one_amendment_and_one_clear_and_each_has_its_event(self, world: World) -> None:
        done = world.rerun(self.ALL)
        assert (done.amendment, done.items) == (1, ("claims", "pricing"))
        assert done.cleared == [("update", 0), ("update", 1), ("report", -1)]
        assert world.done == [
            "clear [('update', 0), ('update', 1), 'report']",
            *["chassis_amend by Ada"] * 2,
            "commit",
        ]
        [recorded] = world.amendments.all()
        assert recorded.items == ("claims", "pricing")
        for item in ("claims", "pricing"):
            assert world.amendments.of("update", item).numbers == (1,)

    def test_the_named_one_is_among_them_whatever_became_of_it_and_one_that_did_well_is_not(
        self, world: World
    ) -> None:
        world.states = {0: "failed", 1: "success"}
        assert world.rerun(self.ALL).items == ("claims",)
        assert world.rerun(self.ALL.model_copy(update={"instruction": "Again."}), index=1).items == (
            "pricing",
            "claims",
        )

    def test_one_that_went_to_work_meanwhile_keeps_all_of_them_from_being_amended(self, world: World) -> None:
        world.session.execute = lambda _: [(0, "failed"), (1, "queued")]  # type: ignore[attr-defined]
        with pytest.raises(HTTPException) as caught:
            world.rerun(self.ALL)
        assert "update [pricing] is active (queued)" in caught.value.detail
        assert "claims" not in caught.value.detail
        assert world.amendments.all() == []
        assert world.done == []

    def test_what_can_not_be_cleared_is_withdrawn_for_each(self, world: World) -> None:
        world.refuses = HTTPException(409, "it runs")
        with pytest.raises(HTTPException):
            world.rerun(self.ALL)
        for item in ("claims", "pricing"):
            assert world.amendments.of("update", item).numbers == ()

    def test_a_field_that_is_new_to_one_of_them_is_recorded(self, world: World) -> None:
        world.rerun(Wish(reason="of one", inputs={"product": "pet"}))
        world.rerun(Wish(reason="of all", inputs={"product": "pet"}, all_failed=True))
        assert world.amendments.of("update", "pricing").inputs == {"product": "pet"}
        with pytest.raises(PlanError, match="changes nothing"):
            world.rerun(Wish(reason="again", inputs={"product": "pet"}, all_failed=True))

    def test_a_field_left_empty_on_the_first_ones_form_takes_no_value_from_another(
        self, world: World
    ) -> None:
        world.rerun(Wish(reason="of one", inputs={"market": "DE"}), index=1)
        wish = Wish(reason="of all", inputs={"market": "", "product": "pet"}, all_failed=True)
        world.rerun(wish)
        assert world.amendments.of("update", "pricing").inputs == {"market": "DE", "product": "pet"}


@pytest.mark.parametrize("ticked", [True, False])
def test_the_boxes_of_a_form_say_yes_only_when_they_are_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, ticked: bool
) -> None:
    monkeypatch.setattr(amendment_routes, "find_run", lambda *_: SimpleNamespace(bundle_version="v"))
    monkeypatch.setattr(amendment_routes, "plan_of_run", lambda *_: None)
    place: Any = SimpleNamespace(session=None, settings=None, dag_id=DAG, run_id=RUN)
    boxes = {name: "1" for name in ("all_failed", "save", "downstream") if ticked}
    wish = Wish.model_validate(amendment_routes._of_form(place, {"instruction": "x", "reason": "y", **boxes}))
    assert (wish.all_failed, wish.save, wish.downstream) == (ticked,) * 3


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
