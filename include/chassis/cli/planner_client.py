"""A run of a planner's DAG, from the command line's side: start it, watch it, decide on its plan, read its results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from chassis.approval_policy import plan_code
from chassis.cli.follow import patiently
from chassis.cli.report import FINISHED
from chassis.contract.names import (
    ACTION_RUN,
    APPROVE,
    AWAIT,
    ERROR,
    PENDING_PLAN,
    PLAN,
    PLANNER_DAG,
    PUBLISH,
    TRIGGER,
)
from chassis.contract.xcoms import ApprovedPlan, CheckedPlan, PendingPlan, PublishedPlan
from chassis.errors import TaskFailedError, failure_of
from chassis.errors.client import AirflowRefusedError, AnsweredError, StackError, UsageError
from chassis.workflow import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from chassis.airflow_client import Airflow, Json
    from chassis.errors import ChassisError

_POLL_SECONDS = 0.5

Returned = TypeVar("Returned", CheckedPlan, ApprovedPlan, PublishedPlan)


@dataclass(frozen=True)
class Planned:
    """What a run of the planner published.

    :ivar plan: canonical YAML of what was approved
    :ivar planning: what the plan was before a person saw it, and who made it
    """

    published: PublishedPlan
    plan: str
    planning: CheckedPlan


@dataclass(frozen=True)
class PlannerRun:
    """One run of a planner."""

    airflow: Airflow
    run_id: str
    dag_id: str = PLANNER_DAG

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
        dags, workflow_id = [dag], conf.get("workflow_id")
        if conf["action"] == ACTION_RUN and workflow_id and (workflow := airflow.find_dag(workflow_id)):
            dags.append(workflow)
        for each in dags:  # before anything is paid for a run that would not start
            if each["is_paused"] and not unpause:
                hint = f"Add --unpause, or: chassis unpause {each['dag_id']}"
                raise UsageError(f"{each['dag_id']} is paused.", hint=hint)
            if each["is_paused"]:
                airflow.set_paused(each["dag_id"], False)
        try:
            run = airflow.trigger(PLANNER_DAG, conf)
        except AirflowRefusedError as error:
            if error.status not in (400, 422):
                raise
            reason = error.detail.partition("\n")[0]  # then comes the JSON schema that it breaks
            raise UsageError(f"Invalid request: {reason}") from None
        return cls(airflow, run["dag_run_id"])

    @property
    def page(self) -> str:
        """Address of the page that shows its plan."""
        return self.airflow.links.plan(self.dag_id, self.run_id)

    @property
    def command(self) -> str:
        """The command that decides on its plan."""
        return f"chassis approve {self.dag_id} --run {self.run_id}"

    def checked(self) -> CheckedPlan:
        """What it has planned, once there is a plan."""
        return self._returned(PLAN, CheckedPlan)

    def pending(self) -> PendingPlan | None:
        """The plan that it asks about; None when it has never asked."""
        return PendingPlan.of(
            patiently(lambda: self.airflow.xcom(self.dag_id, self.run_id, APPROVE, key=PENDING_PLAN))
        )

    def wait_for_plan(self, on_change: Callable[[str], None]) -> None:
        """Wait until there is a plan.

        :param on_change: gets Airflow's state of the planning whenever it changes
        :raises ChassisError: what made the planner fail, as it said it
        """
        self._wait_for(PLAN, on_change)

    def wait_for_decision(self) -> PendingPlan | None:
        """Wait until the plan is approved (None), or a person is asked. Errors as of :meth:`wait_for_plan`."""
        approved = self._wait_for(APPROVE, until=("success", "awaiting_input")) == "success"
        return None if approved else self.pending()

    def answer(self, plan: PendingPlan, option: str, *, comment: str = "", edited: str = "") -> None:
        """Give an answer, for exactly this plan.

        :param edited: YAML to take in the plan's place
        :raises AnsweredError: it doesn't wait any more
        :raises SignInError: somebody else is asked
        """
        fields = {"plan": plan.digest, "comment": comment, "edited_plan": edited}
        try:
            self.airflow.answer(self.dag_id, self.run_id, APPROVE, option, fields)
        except AirflowRefusedError as error:
            if error.status not in (404, 409):
                raise
            raise AnsweredError(
                f"{plan_code(plan.digest)} of workflow '{plan.workflow_id}' doesn't wait for an answer any more.",
                hint=f"What came of it: chassis status {self.dag_id} --run {self.run_id}",
            ) from None

    def wait_for_next(self, plan: PendingPlan) -> PendingPlan | None:
        """Wait until an answer is carried out. None: the plan is approved; a plan: that one waits now.

        It is the same plan when the answer was refused; its ``refused`` says why.

        :raises ChassisError: what ended the planner, such as a rejection
        """
        while True:
            _, tasks = patiently(self._stand)
            state = tasks[APPROVE]["state"]
            if state == "success":
                return None
            if state in ("failed", "upstream_failed", "skipped", "removed"):
                raise self._failure(tasks[APPROVE])
            now = self.pending() if state == "awaiting_input" else None
            if now is not None and now != plan:
                return now
            time.sleep(_POLL_SECONDS)

    def wait_until_published(self) -> Planned:
        """Wait until what was approved is published, however long a person takes. Errors as above."""
        self._wait_for(PUBLISH)
        approved, published = self._returned(APPROVE, ApprovedPlan), self._returned(PUBLISH, PublishedPlan)
        return Planned(published, approved.plan, self.checked())

    def wait_for_workflow(self, *, runs: bool) -> None:
        """Wait until Airflow has the published plan and, where it was asked to, has started the workflow."""
        self._wait_for(TRIGGER if runs else AWAIT)

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
            state = str(tasks[task_id]["state"] or "waiting")
            if state in until:
                return state
            if run["state"] in FINISHED:
                failed = next((task for task in tasks.values() if task["state"] == "failed"), tasks[task_id])
                error = self._failure(failed)
                error.hint = error.hint or self._log_of(failed["task_id"])
                raise error
            if state != seen:
                seen = state
                on_change(state)
            time.sleep(_POLL_SECONDS)

    def _stand(self) -> tuple[Json, dict[str, Json]]:
        """The run, and its task instances by task id."""
        run = self.airflow.find_run(self.dag_id, self.run_id)
        if run is None:
            raise TaskFailedError(f"The planner's run {self.run_id} was deleted.")
        instances = self.airflow.task_instances(self.dag_id, self.run_id)
        return run, {instance["task_id"]: instance for instance in instances}

    def _returned(self, task_id: str, kind: type[Returned]) -> Returned:
        value = kind.of(patiently(lambda: self.airflow.xcom(self.dag_id, self.run_id, task_id)))
        if value is None:
            raise TaskFailedError(f"The planner's task {task_id} left no result.", hint=self._log_of(task_id))
        return value

    def _failure(self, task: Json) -> ChassisError:
        """The very error that made a task fail: the exit code is by its class."""
        task_id, try_number = task["task_id"], task["try_number"]

        def log() -> Iterator[Json]:
            if try_number:
                yield from self.airflow.log(self.dag_id, self.run_id, task_id, try_number)

        return patiently(
            lambda: failure_of(
                self.airflow.xcom(self.dag_id, self.run_id, task_id, key=ERROR), log(), task_id
            )
        )

    def _log_of(self, task_id: str) -> str:
        return f"Its log: chassis logs {self.dag_id} {task_id} --run {self.run_id}"


def pending_plans(airflow: Airflow) -> list[tuple[PlannerRun, PendingPlan]]:
    """All plans that wait for a decision, with the runs that ask about them."""
    waiting = patiently(airflow.workflows).waiting
    return [(PlannerRun(airflow, each.run_id, each.dag_id), each.plan) for each in waiting if each.plan]


def find_pending(airflow: Airflow, name: str, run_id: str | None) -> tuple[PlannerRun, PendingPlan]:
    """The plan of a workflow, a planner or a planner's run that waits.

    :param name: id of a workflow, of a planner DAG, or of one of its runs
    :param run_id: id of the planner's run, where several wait
    :raises UsageError: none waits, or several do
    """
    everything = pending_plans(airflow)
    found = [
        (run, plan)
        for run, plan in everything
        if name in (plan.workflow_id, run.dag_id, run.run_id) and run_id in (None, run.run_id)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        commands = "\n".join(f"- chassis approve {name} --run {run.run_id}" for run, _ in found)
        raise UsageError(
            f"{len(found)} plans of '{name}' wait for a decision.", hint=f"Say which one:\n{commands}"
        )
    near = nearest(name, [plan.workflow_id for _, plan in everything])
    hint = f"Did you mean '{near}'?" if near else "See pending plans: chassis approve --list"
    raise UsageError(f"No plan of '{name}' waits for a decision.", hint=hint)
