"""A run of the planner's DAG, from the command line's side: start it, watch it, and read what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.cli.errors import AirflowRefusedError, StackError, UsageError
from chassis.cli.follow import patiently
from chassis.cli.report import FINISHED
from chassis.errors import ChassisError, restore_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chassis.cli.airflow_api import Airflow, Json

PLANNER = "plan_workflow"
RUN, PUBLISH = "run", "publish"
_POLL_SECONDS = 0.5
_STARTED_RUN = "planned__"  # before the planner's run id: the id of the run that it started


class PlanningFailedError(ChassisError):
    """The planner's run failed, for a reason that only its log gives."""


@dataclass(frozen=True)
class Planned:
    """What a run of the planner published.

    :ivar plan: canonical YAML
    :ivar changed: False when the workflow's newest revision already was this plan
    :ivar planning: what the task ``plan`` returned
    """

    workflow_id: str
    revision: int
    plan: str
    changed: bool
    planning: Mapping[str, Any]


class PlannerRun:
    """One run of the planner.

    :param airflow: where it runs
    :param run_id: its id
    """

    def __init__(self, airflow: Airflow, run_id: str) -> None:
        self._airflow = airflow
        self.run_id = run_id

    @classmethod
    def start(cls, airflow: Airflow, conf: Json) -> PlannerRun:
        """Start a run.

        :raises UsageError: the parameters are refused
        :raises StackError: this Airflow has no planner
        """
        try:
            run = airflow.trigger(PLANNER, conf)
        except AirflowRefusedError as error:
            if error.status == 404:
                raise StackError(
                    f"Airflow at {airflow.url} has no DAG {PLANNER}.",
                    hint="Put dags/plan_workflow.py into its DAG folder; `chassis doctor` checks the rest.",
                ) from None
            if error.status in (400, 422):
                raise UsageError(f"The planner refuses that: {error.detail}") from None
            raise
        return cls(airflow, run["dag_run_id"])

    @property
    def started_run(self) -> str:
        """Id of the workflow's run that this run starts."""
        return f"{_STARTED_RUN}{self.run_id}"

    def wait_for_plan(self, on_change: Callable[[str], None]) -> Planned:
        """Wait until the plan is published.

        :param on_change: gets the state of the planning, in words, whenever it changes
        :raises ChassisError: what made the planner fail, as it said it
        """
        self._wait_for("plan", on_change)
        planning = self._returned("plan")
        self._wait_for("publish", lambda _: None)
        published = self._returned("publish")
        return Planned(
            workflow_id=published["workflow_id"],
            revision=published["revision"],
            plan=planning["plan"],
            changed=published["changed"],
            planning=planning,
        )

    def wait_for_workflow(self, *, runs: bool) -> None:
        """Wait until Airflow runs by the published plan and, where it was asked to, has started the workflow.

        :raises ChassisError: what made the planner fail, as it said it
        """
        self._wait_for("trigger" if runs else "await_dag", lambda _: None)

    def _wait_for(self, task_id: str, on_change: Callable[[str], None]) -> None:
        seen = ""
        while True:
            run, states = patiently(self._stand)
            state = states.get(task_id) or "waiting"
            if state == "success":
                return
            if run["state"] in FINISHED:
                raise self._failure(next((name for name in states if states[name] == "failed"), task_id))
            if state != seen:
                seen = state
                on_change(state)
            time.sleep(_POLL_SECONDS)

    def _stand(self) -> tuple[Json, dict[str, str | None]]:
        """The run, and the state of each of its tasks."""
        run = self._airflow.find_run(PLANNER, self.run_id)
        if run is None:
            raise PlanningFailedError(f"The planner's run {self.run_id} was deleted.")
        instances = self._airflow.task_instances(PLANNER, self.run_id)
        return run, {instance["task_id"]: instance["state"] for instance in instances}

    def _returned(self, task_id: str) -> Json:
        value = patiently(lambda: self._airflow.xcom(PLANNER, self.run_id, task_id))
        if not isinstance(value, dict):
            raise PlanningFailedError(f"The planner's task {task_id} left no result.", hint=self._where())
        return value

    def _failure(self, task_id: str) -> ChassisError:
        """Why a task failed: as it reported it, or else the last error in its log."""
        reported = self._airflow.xcom(PLANNER, self.run_id, task_id, key="error")
        if isinstance(reported, dict):
            return restore_error(reported)
        reason = last_error(self._airflow, PLANNER, self.run_id, task_id) or "its log has no reason"
        return PlanningFailedError(f"The planner's task {task_id} failed: {reason}", hint=self._where())

    def _where(self) -> str:
        return f"See the whole log: chassis logs {PLANNER} plan --run {self.run_id}"


def planning_of(airflow: Airflow, run_id: str) -> Json | None:
    """What the planner's ``plan`` task returned, for a run that the planner started; else None."""
    if not run_id.startswith(_STARTED_RUN):
        return None
    value = airflow.xcom(PLANNER, run_id.removeprefix(_STARTED_RUN), "plan")
    return value if isinstance(value, dict) else None


def last_error(airflow: Airflow, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> str:
    """The last error line of a task instance's log; empty when there is none."""
    for instance in airflow.task_instances(dag_id, run_id):
        if instance["task_id"] == task_id and instance["map_index"] == map_index:
            events = airflow.log(dag_id, run_id, task_id, max(instance["try_number"], 1), map_index=map_index)
            return next((text for event in reversed(events) if (text := _error_text(event))), "")
    return ""


def _error_text(event: Json) -> str:
    if event.get("level") not in ("error", "critical"):
        return ""
    for detail in event.get("error_detail") or ():
        return f"{detail['exc_type']}: {detail['exc_value']}"
    return str(event.get("event", ""))
