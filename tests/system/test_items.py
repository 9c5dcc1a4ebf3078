"""A list that changes within a run: only the items of this expansion count, and a place is not an item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.plans.store import PlanStore
from chassis.workflow import load_plan
from tests.system.driver import AirflowDriver, await_plan, results_in_prompt, wait_for

SHRINKING = """
schema_version: 1
id: shrinking_list
title: A list that shrinks
requirement: Report on each module.
tasks:
  - id: find
    name: Find the modules
    instruction: Find the modules.
    output_schema:
      type: object
      properties: {names: {type: array, items: {type: string}}}
      required: [names]
      additionalProperties: false
  - id: each
    name: Report on one
    instruction: Report on {item}.
    for_each: {output_of: find, path: names}
    depends_on: [find]
  - {id: join, name: Join the reports, instruction: Join the reports., depends_on: [each]}
"""
REORDERED = """
schema_version: 1
id: reordered_items
title: Items in another order
requirement: Report on each module.
tasks:
  - {id: each, name: Report on one, instruction: "Report on {item}.", for_each: {items: [ITEMS]}}
  - {id: join, name: Join the reports, instruction: Join the reports., depends_on: [each]}
"""


class Runs:
    """Clears as Airflow's dialog does, and what a join was told."""

    def __init__(self, airflow: AirflowDriver, simulator: SimulatorControl) -> None:
        self.airflow, self.simulator = airflow, simulator

    def clear(
        self, dag_id: str, run_id: str, *tasks: str | list[Any], latest: bool = False, downstream: bool = True
    ) -> str:
        """Clear tasks, and wait until the run has ended again; its state."""
        before = self.airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}")["end_date"]
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(tasks),
            "include_downstream": downstream,
            "only_failed": False,
            "run_on_latest_version": latest,
        }
        cleared = self.airflow.http.post(f"/dags/{dag_id}/clearTaskInstances", json=body)
        assert cleared.is_success, cleared.text

        def ended() -> str | None:
            run = self.airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}")
            again = run["state"] in ("success", "failed") and run["end_date"] != before
            return str(run["state"]) if again else None

        return wait_for(f"run {run_id} to end again", ended, seconds=120)

    def told(self) -> list[tuple[str, str | None]]:
        (join,) = self.simulator.requests(task="join")
        return results_in_prompt(join)

    def asked(self) -> list[str | None]:
        return [request["item"] for request in self.simulator.requests(task="each")]


@pytest.fixture
def runs(airflow: AirflowDriver, simulator: SimulatorControl) -> Runs:
    return Runs(airflow, simulator)


@pytest.fixture
def find(simulator: SimulatorControl) -> Callable[..., None]:
    """Makes the task ``find`` find these names from now on."""

    def find(*names: str) -> None:
        simulator.reset()
        answer = {"status": "completed", "reason": "", "summary": "Found.", "output": {"names": list(names)}}
        simulator.add_answer(answer, task="find")

    return find


def test_an_item_that_is_gone_is_not_told_to_the_join(
    airflow: AirflowDriver, store: PlanStore, runs: Runs, find: Callable[..., None]
) -> None:
    await_plan(airflow, "shrinking_list", store.publish(load_plan(SHRINKING)).digest)
    find("a", "b", "c")
    run_id = airflow.trigger("shrinking_list")
    assert airflow.wait_run("shrinking_list", run_id) == "success"
    assert runs.told() == [("each", "a"), ("each", "b"), ("each", "c")]

    find("z", "a")
    assert runs.clear("shrinking_list", run_id, "find") == "success"
    assert airflow.states("shrinking_list", run_id)["each", 2] == "removed"
    assert runs.told() == [("each", "z"), ("each", "a")]


def test_a_place_with_another_item_is_refused_until_all_that_has_moved_is_cleared(
    airflow: AirflowDriver, store: PlanStore, runs: Runs, simulator: SimulatorControl
) -> None:
    plans = [load_plan(REORDERED.replace("ITEMS", items)) for items in ("a, b, c", "c, a, b")]
    await_plan(airflow, "reordered_items", store.publish(plans[0]).digest)
    run_id = airflow.trigger("reordered_items")
    assert airflow.wait_run("reordered_items", run_id) == "success"
    await_plan(airflow, "reordered_items", store.publish(plans[1]).digest)

    simulator.reset()
    assert runs.clear("reordered_items", run_id, ["each", 1], latest=True) == "failed"
    assert simulator.requests() == [], "refused before any call"
    (tried,) = [ti for ti in airflow.instances("reordered_items", run_id) if ti["map_index"] == 1]
    assert tried["try_number"] == 2, "and not tried again"
    log = airflow.log("reordered_items", run_id, "each", try_number=2, map_index=1)
    assert "[0] is of 'a', where 'c' is now; [2] is of 'c', where 'b' is now" in log

    assert runs.clear("reordered_items", run_id, "join") == "failed", "nor does the join pass it over"
    assert simulator.requests() == []

    assert runs.clear("reordered_items", run_id, "each") == "success"
    assert sorted(map(str, runs.asked())) == ["a", "b", "c"]
    assert runs.told() == [("each", "c"), ("each", "a"), ("each", "b")]
