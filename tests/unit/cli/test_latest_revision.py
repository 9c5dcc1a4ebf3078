"""``chassis retry --latest``: a run goes on by the newest revision, once Airflow has it, if that has the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli import latest_revision
from chassis.cli.latest_revision import LatestRevision, check_targets, wait_for_latest
from chassis.errors import PlanError
from chassis.errors.client import StackError, UsageError
from chassis.plans.store import PlanStore
from chassis.workflow import check_plan
from tests.unit.cli.made_up_runs import RUN, SPEC, workflow_run
from tests.unit.cli.made_up_views import row
from tests.unit.fake_airflow import FakeAirflow, FakeDag, instance, task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.airflow_client import Airflow
    from chassis.plans.store import Published
    from tests.unit.cli.conftest import Chassis

LATEST = LatestRevision(
    "onboard",
    "Revision 2 of onboard, the newest,",
    {"update": True, "fan": True, "report": False},
    {"update": ("pricing", "claims")},
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest_revision, "_POLL_SECONDS", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    return PlanStore(str(tmp_path / "home" / "plans"))


def tags(published: Published) -> tuple[str, ...]:
    return ("chassis", f"plan:{published.digest[:12]}", f"revision:{published.revision}")


class Waiting:
    """What a fake Airflow goes by, look after look; ``wait`` gives what a run would go on by."""

    def __init__(self, fake: FakeAirflow, airflow: Airflow, home: Path) -> None:
        self.dag = fake.dags["onboard"] = FakeDag([task("update", mapped=True)])
        self.told: list[str] = []
        self.steps: list[Callable[[], None]] = []
        self._airflow, self._home = airflow, home
        real = fake._dag

        def look(dag_id: str) -> dict[str, Any]:
            if self.steps:
                self.steps.pop(0)()
            return real(dag_id)

        fake._dag = look  # type: ignore[method-assign]

    def goes_by(self, published: Published, version: str | None = None) -> Callable[[], None]:
        def step() -> None:
            self.dag.tags, self.dag.bundle_version = tags(published), version

        return step

    def wait(self) -> LatestRevision:
        return wait_for_latest(self._airflow, self._home, "onboard", {}, self.told.append)


@pytest.fixture
def waiting(fake: FakeAirflow, airflow: Airflow, tmp_path: Path) -> Waiting:
    return Waiting(fake, airflow, tmp_path / "home")


def test_airflow_that_goes_by_the_newest_revision_is_not_waited_for(
    waiting: Waiting, store: PlanStore
) -> None:
    published = store.publish(check_plan(SPEC))
    waiting.goes_by(published, store.record_version(store.heads()))()
    assert waiting.wait().label.startswith("Revision 1 ")
    assert waiting.told == []


def test_airflow_is_waited_for_until_it_has_graph_and_bundle_version(
    waiting: Waiting, store: PlanStore
) -> None:
    first = store.publish(check_plan(SPEC))
    before = store.record_version(store.heads())
    second = store.publish(check_plan({**SPEC, "limits": {"budget_usd": 5.0}}))
    after = store.record_version(store.heads())
    waiting.steps = [
        waiting.goes_by(first, before),
        waiting.goes_by(first, after),
        waiting.goes_by(second, before),  # Airflow stores the two apart
        waiting.goes_by(second, after),
    ]
    assert waiting.wait().label.startswith("Revision 2 ")
    assert waiting.steps == [], "the run would have gone on by the old plan"
    assert waiting.told == ["Waiting for Airflow to take up revision 2 ..."]


def test_the_same_plan_under_an_earlier_number_is_not_the_newest(waiting: Waiting, store: PlanStore) -> None:
    first = store.publish(check_plan(SPEC))
    store.publish(check_plan({**SPEC, "title": "Other"}))
    third = store.publish(check_plan(SPEC))
    assert first.digest == third.digest
    waiting.steps = [waiting.goes_by(first), waiting.goes_by(third)]
    assert waiting.wait().label.startswith("Revision 3 ")
    assert waiting.steps == [], "Airflow had the first one then"


def test_a_revision_that_comes_meanwhile_is_the_newest(waiting: Waiting, store: PlanStore) -> None:
    store.publish(check_plan(SPEC))

    def publish_and_show() -> None:
        waiting.steps.insert(0, waiting.goes_by(store.publish(check_plan({**SPEC, "title": "Other"}))))

    waiting.steps = [publish_and_show]
    assert waiting.wait().label.startswith("Revision 2 ")


@pytest.mark.parametrize("version", [None, "4f2a9c"])
def test_where_no_plan_bundle_pins_anything_the_tags_are_enough(
    waiting: Waiting, store: PlanStore, version: str | None
) -> None:
    waiting.goes_by(store.publish(check_plan(SPEC)), version)()
    assert waiting.wait().label.startswith("Revision 1 ")


def test_an_airflow_that_never_gets_there_is_given_up(
    waiting: Waiting, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest_revision, "_PATIENCE_SECONDS", 0.05)
    store.publish(check_plan(SPEC))
    waiting.dag.tags = ("chassis", "plan-error")
    with pytest.raises(StackError, match="doesn't run revision 1 of onboard") as caught:
        waiting.wait()
    assert "/dags/onboard" in caught.value.hint


def test_a_broken_newest_plan_is_told_with_its_file(
    waiting: Waiting, store: PlanStore, tmp_path: Path
) -> None:
    waiting.goes_by(store.publish(check_plan(SPEC)))()
    (file,) = (tmp_path / "home" / "plans" / "onboard").glob("*.yaml")
    file.write_text("id: [")
    with pytest.raises(PlanError, match=file.name):
        waiting.wait()


def test_a_workflow_that_the_plan_store_lacks_is_as_airflow_has_it(waiting: Waiting) -> None:
    latest = waiting.wait()
    assert latest.mapped == {"update": True}
    check_targets([row("update", "failed", "pricing", 0)], latest)


def test_items_of_an_input_are_the_runs_or_else_the_plans_default() -> None:
    plan = {**SPEC, "inputs": {"services": {"type": "array", "default": ["eu", "us"]}}}
    task_of_input = {**SPEC["tasks"][0], "for_each": {"input": "services"}}
    spec = check_plan({**plan, "tasks": [task_of_input, SPEC["tasks"][1]]})
    assert LatestRevision.of_plan(spec, 1, {}).items == {"update": ("eu", "us")}
    assert LatestRevision.of_plan(spec, 1, {"services": ["jp"]}).items == {"update": ("jp",)}


@pytest.mark.parametrize(
    "target",
    [
        row("report", "failed"),
        row("update", "failed", "claims", 1),
        row("update", "failed", None, 1),
        row("update", "failed", "1", 1),
        row("update", "failed", "claims"),
        row("fan", "failed", "whatever", 7),
    ],
)
def test_what_the_newest_revision_still_has_may_run(target: Any) -> None:
    check_targets([target], LATEST)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (row("reprot", "failed"), "has no task 'reprot' any more. It has 'report'."),
        (row("zzz", "failed"), "has no task 'zzz' any more. It has: update, fan, report."),
        (row("report", "failed", "pricing", 0), "does task 'report' once"),
        (row("update", "failed", "claims", 0), "has another item, or none, in the place of update [claims]"),
        (
            row("update", "failed", "documents", 2),
            "has another item, or none, in the place of update [documents]",
        ),
        (row("update", "failed", None, 2), "has another item, or none, in the place of update [#2]"),
    ],
)
def test_what_airflow_would_drop_or_run_for_another_item_is_refused(target: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_targets([row("report", "failed"), target], LATEST)
    assert caught.value.message.startswith(f"Revision 2 of onboard, the newest, {message}")
    assert caught.value.message.endswith("Nothing was retried.")


def test_retry_latest_moves_the_run_and_refuses_before_it_clears(
    chassis: Chassis,
    fake: FakeAirflow,
    planner: FakeDag,
    store: PlanStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", str(tmp_path / "home" / "plans"))
    dag = fake.dags["onboard"]
    run = workflow_run(broken="claims")
    run.looks = 2
    run.downstream = [instance("report", "upstream_failed")]
    run.after_clear = workflow_run()
    dag.runs[RUN] = run
    gone = store.publish(check_plan({**SPEC, "tasks": [{"id": "other", "name": "O", "instruction": "x"}]}))
    dag.tags = tags(gone)
    refused = chassis("retry", "onboard", "update", "--latest")
    assert refused.exit_code == 2
    assert "Revision 1 of onboard, the newest, has no task 'update' any more." in refused.stderr
    assert fake.sent("POST", "/clearTaskInstances") == []
    dag.tags = tags(store.publish(check_plan({**SPEC, "limits": {"budget_usd": 5.0}})))
    result = chassis("retry", "onboard", "update", "--latest")
    assert result.exit_code == 0, result.output
    assert fake.sent("POST", "/clearTaskInstances")[-1]["run_on_latest_version"] is True
    assert "report: success" in result.stdout
