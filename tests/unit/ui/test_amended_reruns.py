"""An amendment and its rerun: in which order they happen, and what becomes of one whose task can't be cleared.

Airflow's database is a real one, in memory, and clearing is Airflow's own. ``tests/system/test_amendments.py`` has the
same with a scheduler.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbag import DBDagBag
from airflow.models.dagbundle import DagBundleModel
from airflow.models.log import Log
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi import HTTPException
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import Session

from chassis.dag.factory import build_dag
from chassis.errors import PlanError, StoreError
from chassis.files import open_files
from chassis.plans.store import PlanStore
from chassis.records.amendments import Amendments
from chassis.settings import Settings
from chassis.ui import amended_reruns, amendment_routes
from chassis.ui.amended_reruns import AmendRequest, RunTarget, rerun_amended
from chassis.workflow import Provenance, WorkflowSpec, load_plan
from tests.with_each import with_each

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


class World:
    """A run whose items of ``update`` failed and kept ``report`` from running."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(plans_root=str(root / "plans"), records_root=str(root / "records"))
        self.store = PlanStore(self.settings.plans_root)
        self.store.publish(PLAN)
        version = self.store.record_version(self.store.heads())
        self.amendments = Amendments(open_files(self.settings.records_root), DAG, RUN)
        import_all_models()
        engine = create_engine("sqlite://")
        Base.metadata.create_all(engine)
        self.session = Session(engine)
        self.session.add(DagBundleModel(name="chassis"))
        self.session.flush()
        self.session.add(DagModel(dag_id=DAG, bundle_name="chassis"))
        self.session.flush()
        self.parse(PLAN)
        self.bag = DBDagBag()
        dag = self.bag.get_latest_version_of_dag(DAG, session=self.session)
        assert dag is not None
        self.run = dag.create_dagrun(
            run_id=RUN,
            run_after=datetime(2026, 3, 1, tzinfo=UTC),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            conf={"market": "given, as Airflow asks for it"},
            session=self.session,
        )
        self.run.conf, self.run.bundle_version = {}, version
        self.set({0: "failed", 1: "failed"})

    def parse(self, plan: WorkflowSpec) -> None:
        """Store a plan's DAG, as the dag-processor does."""
        dag = LazyDeserializedDAG.from_dag(build_dag(plan, revision=1, settings=self.settings))
        SerializedDagModel.write_dag(dag, "chassis", session=self.session)
        self.session.commit()

    def set(self, states: dict[int, str | None], report: str = "upstream_failed") -> None:
        """Give the items states, by their place."""
        for index, state in states.items():
            at = update(TaskInstance).where(TaskInstance.task_id == "update", TaskInstance.map_index == index)
            self.session.execute(at.values(state=state))
        self.session.execute(
            update(TaskInstance).where(TaskInstance.task_id == "report").values(state=report)
        )
        self.session.commit()

    def states(self) -> dict[tuple[str, int], str | None]:
        """What is committed: a state is None once a task was cleared."""
        self.session.rollback()
        self.session.expire_all()
        return {
            (each.task_id, each.map_index): each.state for each in self.session.scalars(select(TaskInstance))
        }

    def events(self) -> list[tuple[str, int | None]]:
        """Who is in Airflow's audit log, for which place."""
        rows = self.session.scalars(select(Log).where(Log.event == amended_reruns.EVENT).order_by(Log.id))
        return [(str(each.owner), each.map_index) for each in rows]

    def untouched(self) -> bool:
        """Whether neither Airflow nor the records know of an amendment."""
        cleared = [at for at, state in self.states().items() if state is None]
        return not cleared and self.events() == [] and self.amendments.all() == []

    def target(self, task_id: str = "update", index: int = 0) -> RunTarget:
        user: Any = SimpleNamespace(get_name=lambda: "Ada", get_id=lambda: 7)
        return RunTarget(self.session, self.bag, user, self.settings, DAG, RUN, task_id, index)

    def rerun(
        self, asked: AmendRequest, task_id: str = "update", index: int = 0
    ) -> amended_reruns.AmendedRerun:
        return rerun_amended(self.target(task_id, index), asked)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.session.close()


def cannot_clear(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    """Have Airflow refuse to clear, when it comes to that."""
    airflows = amended_reruns.post_clear_task_instances

    def clear(dag_id: str, bag: Any, body: Any, *rest: Any) -> Any:
        if not body.dry_run:
            raise refusal
        return airflows(dag_id, bag, body, *rest)

    monkeypatch.setattr(amended_reruns, "post_clear_task_instances", clear)


REQUEST = AmendRequest(instruction="Add {product} to {item} now.", reason=" it was unclear ")


def test_it_is_recorded_and_its_task_is_cleared_with_what_it_had_kept_from_running(world: World) -> None:
    world.parse(PLAN.model_copy(update={"title": "A later revision"}))
    version = world.run.created_dag_version_id
    done = world.rerun(REQUEST)
    assert (done.amendment, done.items, done.revision) == (1, ("claims",), None)
    assert done.cleared == [("update", 0), ("report", -1)]
    assert world.states() == {("update", 0): None, ("update", 1): "failed", ("report", -1): None}
    assert world.events() == [("Ada", 0)]
    versions = set(world.session.scalars(select(TaskInstance.dag_version_id)))
    assert versions == {version}, "the run stays with its revision"
    [recorded] = world.amendments.all()
    assert (recorded.by, recorded.by_id, recorded.reason) == ("Ada", "7", "it was unclear")
    assert len(world.store.revisions(DAG)) == 1


@pytest.mark.parametrize("refusal", [HTTPException(409, "it runs"), RuntimeError("no such DAG")])
def test_what_can_not_be_cleared_is_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    cannot_clear(monkeypatch, refusal)
    with pytest.raises(type(refusal)):
        world.rerun(REQUEST)
    assert [each.withdrawn for each in world.amendments.all()] == [True], (
        "recorded before anything is cleared"
    )
    assert (world.events(), None in world.states().values()) == ([], False)
    assert world.amendments.of("update", "claims").numbers == ()


def test_what_can_not_be_committed_is_withdrawn_and_not_saved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> None:
        raise RuntimeError("database is locked")

    monkeypatch.setattr(world.session, "commit", locked)
    with pytest.raises(RuntimeError, match="locked"):
        world.rerun(REQUEST.model_copy(update={"save": True}))
    assert (world.events(), None in world.states().values()) == ([], False)
    assert [each.withdrawn for each in world.amendments.all()] == [True]
    assert len(world.store.revisions(DAG)) == 1


@with_each("state", ["running", "queued", "scheduled", "deferred", "restarting", "awaiting_input", "removed"])
def test_a_task_at_work_is_refused_and_nothing_is_written(world: World, state: str) -> None:
    world.set({0: state})
    with pytest.raises(HTTPException) as caught:
        world.rerun(REQUEST)
    assert caught.value.status_code == 409
    assert "update [claims]" in caught.value.detail
    assert world.untouched()


@with_each("state", ["success", "failed", "upstream_failed", "skipped", "up_for_retry", None])
def test_a_task_that_is_not_at_work_may_be_amended(world: World, state: str | None) -> None:
    world.set({0: state})
    assert world.rerun(AmendRequest(instruction=f"It was {state}.", reason="r")).cleared[0] == ("update", 0)


@pytest.mark.parametrize(
    "asked",
    [
        AmendRequest(reason="no change"),
        AmendRequest(
            reason="the same", instruction=PLAN.tasks[0].instruction, inputs={"product": "pet insurance"}
        ),
        REQUEST.model_copy(update={"reason": "  "}),
    ],
)
def test_an_amendment_needs_a_change_and_a_reason(world: World, asked: AmendRequest) -> None:
    with pytest.raises(PlanError, match=r"changes nothing|needs a reason"):
        world.rerun(asked)
    assert world.untouched()


def test_what_the_run_already_goes_by_is_no_change(world: World) -> None:
    world.run.conf = {"product": "cat insurance"}
    world.session.commit()
    asked = AmendRequest(reason="back to the plan's", inputs={"product": "pet insurance"})
    assert world.rerun(asked).amendment == 1
    assert world.amendments.of("update", "claims").inputs == {"product": "pet insurance"}


def test_an_empty_text_for_an_input_without_a_value_is_no_change(world: World) -> None:
    with pytest.raises(PlanError, match="changes nothing"):
        world.rerun(AmendRequest(inputs={"market": ""}, reason="a form sends every field"))
    world.rerun(AmendRequest(inputs={"market": "", "product": "travel"}, reason="another product"))
    assert world.amendments.of("update", "claims").inputs == {"product": "travel"}


def test_a_wrong_change_is_refused_before_anything_is_written(world: World) -> None:
    with pytest.raises(PlanError, match=r"did you mean \{product\}"):
        world.rerun(AmendRequest(reason="r", instruction="Add {produkt}."))
    with pytest.raises(HTTPException, match="no such task"):
        world.rerun(REQUEST, "updat", -1)
    assert world.untouched()


def test_all_that_is_wrong_is_told_at_once(world: World) -> None:
    asked = AmendRequest(
        reason=" ", instruction="Add {produkt}.", inputs={"product": 5, "marked": "DE"}, all_failed=True
    )
    with pytest.raises(PlanError) as caught:
        world.rerun(asked)
    codes = {fault.code for fault in caught.value.faults}
    assert {"no_reason", "unknown_input", "bad_default"} < codes
    assert len(caught.value.faults) == 4
    assert world.untouched()


class TestAllFailedItems:
    ALL = REQUEST.model_copy(update={"all_failed": True})

    def test_they_are_one_amendment_and_one_clear_and_each_has_its_event(self, world: World) -> None:
        done = world.rerun(self.ALL)
        assert (done.amendment, done.items) == (1, ("claims", "pricing"))
        assert done.cleared == [("update", 0), ("update", 1), ("report", -1)]
        assert set(world.states().values()) == {None}
        assert world.events() == [("Ada", 0), ("Ada", 1)]
        [recorded] = world.amendments.all()
        assert recorded.items == ("claims", "pricing")
        for item in ("claims", "pricing"):
            assert world.amendments.of("update", item).numbers == (1,)

    def test_the_named_one_is_among_them_whatever_became_of_it_and_one_that_did_well_is_not(
        self, world: World
    ) -> None:
        world.set({1: "success"})
        assert world.rerun(self.ALL).items == ("claims",)
        world.set({0: "failed", 1: "success"})
        assert world.rerun(self.ALL.model_copy(update={"instruction": "Again."}), index=1).items == (
            "pricing",
            "claims",
        )

    def test_one_that_went_to_work_meanwhile_keeps_all_of_them_from_being_amended(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checked = amended_reruns.amended_plan

        def while_it_is_checked(*args: Any, **more: Any) -> WorkflowSpec:
            world.set({1: "queued"})
            return checked(*args, **more)

        monkeypatch.setattr(amended_reruns, "amended_plan", while_it_is_checked)
        with pytest.raises(HTTPException) as caught:
            world.rerun(self.ALL)
        assert "update [pricing] is active (queued)" in caught.value.detail
        assert "claims" not in caught.value.detail
        assert world.untouched()

    def test_what_can_not_be_cleared_is_withdrawn_for_each(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cannot_clear(monkeypatch, HTTPException(409, "it runs"))
        with pytest.raises(HTTPException):
            world.rerun(self.ALL)
        for item in ("claims", "pricing"):
            assert world.amendments.of("update", item).numbers == ()

    def test_a_field_that_is_new_to_one_of_them_is_recorded(self, world: World) -> None:
        world.rerun(AmendRequest(reason="of one", inputs={"product": "pet"}))
        world.set({0: "failed"})
        world.rerun(AmendRequest(reason="of all", inputs={"product": "pet"}, all_failed=True))
        assert world.amendments.of("update", "pricing").inputs == {"product": "pet"}
        world.set({0: "failed", 1: "failed"})
        with pytest.raises(PlanError, match="changes nothing"):
            world.rerun(AmendRequest(reason="again", inputs={"product": "pet"}, all_failed=True))

    def test_a_field_left_empty_on_the_first_ones_form_takes_no_value_from_another(
        self, world: World
    ) -> None:
        world.rerun(AmendRequest(reason="of one", inputs={"market": "DE"}), index=1)
        world.set({1: "failed"})
        asked = AmendRequest(reason="of all", inputs={"market": "", "product": "pet"}, all_failed=True)
        world.rerun(asked)
        assert world.amendments.of("update", "pricing").inputs == {"market": "DE", "product": "pet"}


@with_each("ticked", [True, False])
def test_the_boxes_of_a_form_say_yes_only_when_they_are_sent(world: World, ticked: bool) -> None:
    boxes = {name: "1" for name in ("all_failed", "save", "downstream") if ticked}
    asked = AmendRequest.model_validate(
        amendment_routes._of_form(world.target(), {"instruction": "x", "reason": "y", **boxes})
    )
    assert (asked.all_failed, asked.save, asked.downstream) == (ticked,) * 3


def test_a_task_whose_items_airflow_does_not_know_yet_is_not_amended(world: World) -> None:
    world.session.execute(update(TaskInstance).where(TaskInstance.map_index == 0).values(map_index=-1))
    world.session.commit()
    with pytest.raises(HTTPException) as caught:
        world.rerun(REQUEST, "update", -1)
    assert caught.value.status_code == 409
    assert "name one" in caught.value.detail


def test_saved_it_is_the_next_revision_of_the_newest_plan(world: World) -> None:
    planned = Provenance(
        planner_model="m", agents={}, planned_at="2026-11-22T06:00:00+00:00", planner_run="p"
    )
    newer = PLAN.model_copy(update={"title": "Onboard again", "provenance": planned})
    world.store.publish(newer)
    done = world.rerun(AmendRequest(reason="r", inputs={"product": "cat insurance"}, save=True))
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
    done = world.rerun(REQUEST.model_copy(update={"save": True}))
    assert (done.revision, done.save_error) == (None, "The plan store is away.")
    assert world.amendments.of("update", "claims").numbers == (1,)
