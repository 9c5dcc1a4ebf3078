"""A run of the planner's DAG, from the command line's side: start it, watch it, and read what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.cli.follow import patiently
from chassis.cli.report import FINISHED
from chassis.cli.task_failure import read_failure
from chassis.contract.names import ACTION_RUN, APPROVE, PLANNER_DAG, SPENDING, planner_run_of, started_run
from chassis.errors import TaskFailedError
from chassis.errors.client import AirflowRefusedError, StackError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.waiting_plans import WaitingPlan
    from chassis.errors import ChassisError

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Planned:
    """What a run of the planner published.

    :ivar plan: canonical YAML of what was approved
    :ivar changed: False when the workflow's newest revision already was this plan
    :ivar changes: what the workflow kept of what people gave, and what changed, line by line
    :ivar warnings: what may be meant otherwise in the plan, line by line
    :ivar planning: what the task ``plan`` returned, and left as ``spending``
    """

    workflow_id: str
    revision: int
    plan: str
    changed: bool
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
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
    def start(cls, airflow: Airflow, conf: Json, *, unpause: bool = False) -> PlannerRun:
        """Start a run.

        :param unpause: unpause the planner and the workflow, where they are paused
        :raises UsageError: the parameters are refused, or the planner is paused, or the workflow that is to run
        :raises StackError: this Airflow has no planner
        """
        dag = airflow.find_dag(PLANNER_DAG)
        if dag is None:
            raise StackError(
                f"Airflow at {airflow.url} has no DAG {PLANNER_DAG}.",
                hint="Put dags/plan_workflow.py into its DAG folder; `chassis doctor` checks the rest.",
            )
        check_paused(airflow, dag, unpause=unpause)
        workflow_id = conf.get("workflow_id")
        if (
            conf["action"] == ACTION_RUN
            and workflow_id
            and (workflow := airflow.find_dag(workflow_id)) is not None
        ):
            check_paused(airflow, workflow, unpause=unpause)
        try:
            run = airflow.trigger(PLANNER_DAG, conf)
        except AirflowRefusedError as error:
            if error.status not in (400, 422):
                raise
            reason = error.detail.partition("\n")[0]  # then comes the JSON schema that it breaks
            raise UsageError(f"Invalid request: {reason}") from None
        return cls(airflow, run["dag_run_id"])

    def planned_id(self) -> str:
        """Id of the workflow that is planned, once there is a plan."""
        return str(self._returned("plan")["workflow_id"])

    @property
    def started_run(self) -> str:
        """Id of the workflow's run that this run starts."""
        return started_run(self.run_id)

    def wait_for_plan(self, on_change: Callable[[str], None]) -> None:
        """Wait until there is a plan.

        :param on_change: gets the state of the planning, in words, whenever it changes
        :raises ChassisError: what made the planner fail, as it said it
        """
        self._wait_for("plan", on_change)

    def plan_to_decide(self) -> WaitingPlan | None:
        """Wait until the plan is approved, or a person is asked; then the plan that waits, else None.

        :raises ChassisError: what made the planner fail, as it said it
        """
        from chassis.cli.waiting_plans import waiting_plan

        if self._wait_for(APPROVE, until=("success", "awaiting_input")) == "success":
            return None
        return waiting_plan(self._airflow, PLANNER_DAG, self.run_id)

    def wait_until_published(self) -> Planned:
        """Wait until what was approved is published, however long a person takes.

        :raises ChassisError: what made the planner fail, as it said it
        """
        self._wait_for("publish")
        planning = self._returned("plan")
        planning |= patiently(lambda: _spending(self._airflow, self.run_id))
        published = self._returned("publish")
        return Planned(
            workflow_id=published["workflow_id"],
            revision=published["revision"],
            plan=self._returned("approve")["plan"],
            changed=published["changed"],
            changes=tuple(published["changes"]),
            warnings=tuple(published["warnings"]),
            planning=planning,
        )

    def wait_for_workflow(self, *, runs: bool) -> None:
        """Wait until Airflow runs by the published plan and, where it was asked to, has started the workflow.

        :raises ChassisError: what made the planner fail, as it said it
        """
        self._wait_for("trigger" if runs else "await_dag")

    def _wait_for(
        self,
        task_id: str,
        on_change: Callable[[str], None] = lambda _: None,
        *,
        until: Collection[str] = ("success",),
    ) -> str:
        seen = ""
        while True:
            run, tasks = patiently(self._stand)
            state = tasks[task_id]["state"] or "waiting"
            if state in until:
                return str(state)
            if run["state"] in FINISHED:
                failed = next((task for task in tasks.values() if task["state"] == "failed"), tasks[task_id])
                raise self._failure(failed)
            if state != seen:
                seen = state
                on_change(state)
            time.sleep(_POLL_SECONDS)

    def _stand(self) -> tuple[Json, dict[str, Json]]:
        """The run, and its task instances by task id."""
        run = self._airflow.find_run(PLANNER_DAG, self.run_id)
        if run is None:
            raise TaskFailedError(f"The planner's run {self.run_id} was deleted.")
        instances = self._airflow.task_instances(PLANNER_DAG, self.run_id)
        return run, {instance["task_id"]: instance for instance in instances}

    def _returned(self, task_id: str) -> Json:
        value = patiently(lambda: self._airflow.xcom(PLANNER_DAG, self.run_id, task_id))
        if not isinstance(value, dict):
            raise TaskFailedError(f"The planner's task {task_id} left no result.", hint=self._log_of(task_id))
        return value

    def _failure(self, task: Json) -> ChassisError:
        error = patiently(
            lambda: read_failure(
                self._airflow, PLANNER_DAG, self.run_id, task["task_id"], try_number=task["try_number"]
            )
        )
        error.hint = error.hint or self._log_of(task["task_id"])
        return error

    def _log_of(self, task_id: str) -> str:
        return f"Its log: chassis logs {PLANNER_DAG} {task_id} --run {self.run_id}"


def is_paused(airflow: Airflow, workflow_id: str) -> bool:
    """Whether there is such a workflow, and it is paused."""
    dag = airflow.find_dag(workflow_id)
    return dag is not None and bool(dag["is_paused"])


def check_paused(airflow: Airflow, dag: Json, *, unpause: bool) -> None:
    """See that a DAG isn't paused, before anything is paid for a run that would not start.

    :raises UsageError: it is, and isn't to be unpaused
    """
    if not dag["is_paused"]:
        return
    if not unpause:
        raise UsageError(
            f"{dag['dag_id']} is paused.",
            hint=f"Add --unpause, or: chassis unpause {dag['dag_id']}",
        )
    airflow.set_paused(dag["dag_id"], False)


def planning_of(airflow: Airflow, run_id: str) -> Json | None:
    """What the planner's ``plan`` task returned, with the ``spending`` of all planning, for a run that it started."""
    planner_run = planner_run_of(run_id)
    if planner_run is None:
        return None
    value = airflow.xcom(PLANNER_DAG, planner_run, "plan")
    return {**value, **_spending(airflow, planner_run)} if isinstance(value, dict) else None


def _spending(airflow: Airflow, run_id: str) -> Json:
    """What the planner's run has spent: revisions that a reviewer asked for are in it."""
    for task_id in ("approve", "plan"):
        if spending := airflow.xcom(PLANNER_DAG, run_id, task_id, key=SPENDING):
            return {SPENDING: spending}
    return {SPENDING: None}
