"""What a run is pinned to, how soon a plan is visible, and what a broken plan file does to others."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from chassis.workflow import TaskSpec, WorkflowSpec
from tests.system.driver import AirflowDriver, await_plan, instruction_in_prompt, wait_for


def workflow(workflow_id: str, *instructions: str) -> WorkflowSpec:
    """A chain of tasks, one for each instruction."""
    tasks = tuple(
        TaskSpec(
            id=f"step_{number}",
            name=f"Step {number}",
            instruction=instruction,
            depends_on=(f"step_{number - 1}",) if number else (),
        )
        for number, instruction in enumerate(instructions)
    )
    return WorkflowSpec(
        schema_version=1, id=workflow_id, title=workflow_id, requirement="As told.", tasks=tasks
    )


def test_a_cleared_task_of_an_older_run_does_its_old_instruction_and_a_new_run_the_new_one(
    airflow: AirflowDriver, simulator: SimulatorControl, store: PlanStore
) -> None:
    first = store.publish(workflow("pinned", "Say the old words."))
    await_plan(airflow, "pinned", first.digest)
    old_run = airflow.trigger("pinned")
    assert airflow.wait_run("pinned", old_run) == "success"

    second = store.publish(workflow("pinned", "Say the new words.", "And one more."))
    assert second.revision == first.revision + 1
    await_plan(airflow, "pinned", second.digest)
    simulator.reset()
    cleared = airflow.http.post(
        "/dags/pinned/clearTaskInstances",
        json={"dry_run": False, "dag_run_id": old_run, "task_ids": ["step_0"], "only_failed": False},
    )
    assert cleared.is_success, cleared.text
    wait_for("the cleared task to ask", simulator.requests)
    assert airflow.wait_run("pinned", old_run) == "success"
    (again,) = simulator.requests()
    assert "Say the old words." in instruction_in_prompt(again)

    simulator.reset()
    new_run = airflow.trigger("pinned")
    assert airflow.wait_run("pinned", new_run) == "success"
    asked = [(request["task"], instruction_in_prompt(request)) for request in simulator.requests()]
    assert asked == [("step_0", "Say the new words."), ("step_1", "And one more.")]


def test_a_plan_file_broken_by_hand_is_shown_with_the_reason_and_its_shards_others_run_on(
    airflow: AirflowDriver, stack: LocalStack, store: PlanStore
) -> None:
    from chassis.plans.refs import shard_of
    from chassis.settings import Settings

    shards = Settings().shards
    broken, sibling = (
        "broken_by_hand",
        next(
            name
            for name in (f"sibling_{n}" for n in range(1000))
            if shard_of(name, shards) == shard_of("broken_by_hand", shards)
        ),
    )
    for workflow_id in (broken, sibling):
        await_plan(airflow, workflow_id, store.publish(workflow(workflow_id, "Say something.")).digest)
    (stack.home / "plans" / broken / "000002-aaaaaaaaaaaa.yaml").write_text("tasks: [this is no plan")

    def shown() -> bool:
        dag = airflow.find(f"/dags/{broken}")
        return bool(dag) and "plan-error" in {tag["name"] for tag in dag["tags"]}

    wait_for("the broken plan to show", shown, seconds=30)
    run_id = airflow.trigger(broken)
    assert airflow.wait_run(broken, run_id) == "failed"
    assert "000002-aaaaaaaaaaaa" in airflow.log(broken, run_id, "plan_error")

    run_id = airflow.trigger(sibling)
    assert airflow.wait_run(sibling, run_id) == "success"
    assert airflow.get("/importErrors")["total_entries"] == 0


def test_a_plan_is_visible_in_seconds_however_many_others_there_are(
    airflow: AirflowDriver, stack: LocalStack, store: PlanStore, figure: Callable[[str], None]
) -> None:
    alone = [await_plan(airflow, *_publish(store, f"quick_alone_{n}")) for n in range(3)]
    crowd = [_publish(store, f"crowd_{n:03}") for n in range(200)]
    for workflow_id, digest in crowd:
        await_plan(airflow, workflow_id, digest, seconds=180)
    among = [await_plan(airflow, *_publish(store, f"quick_among_{n}")) for n in range(3)]
    figure(f"plan to visible DAG: alone {_spread(alone)}; among 200 others {_spread(among)}")
    assert max(among) < 15
    for workflow_id, _ in crowd:
        shutil.rmtree(stack.home / "plans" / workflow_id)


def _publish(store: PlanStore, workflow_id: str) -> tuple[str, str]:
    return workflow_id, store.publish(workflow(workflow_id, "Say something.")).digest


def _spread(seconds: list[float]) -> str:
    return f"{min(seconds):.1f}-{max(seconds):.1f} s"
