"""Plans that wait for a decision, from the command line's side: find them, answer, and see what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from chassis.approval_policy import plan_code
from chassis.cli.follow import patiently
from chassis.cli.task_failure import read_failure
from chassis.contract.addresses import Links
from chassis.contract.names import APPROVE, PENDING_PLAN
from chassis.errors.client import AirflowRefusedError, AnsweredError, UsageError
from chassis.workflow import nearest

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow, Json

_POLL_SECONDS = 0.5
_ENDED = ("failed", "upstream_failed", "skipped", "removed")


@dataclass(frozen=True)
class WaitingPlan:
    """A plan that a planner's run asks about.

    :ivar dag_id: of the planner
    :ivar run_id: of the planner's run
    :ivar proposal: what a reviewer is shown, see ``chassis.dag.pending_plan.as_shown``
    """

    dag_id: str
    run_id: str
    proposal: Json

    @property
    def workflow_id(self) -> str:
        """The workflow that gets the plan."""
        return str(self.proposal["workflow_id"])

    @property
    def code(self) -> str:
        """The plan's short name."""
        return plan_code(self.proposal["digest"])

    def page(self, airflow: Airflow) -> str:
        """Address of the page that shows it."""
        return Links(airflow.url).plan(self.dag_id, self.run_id)


def plans(airflow: Airflow) -> list[WaitingPlan]:
    """All plans that wait for a decision."""
    found = []
    for request in patiently(airflow.open_requests):
        instance = request["task_instance"]
        if instance["task_id"] == APPROVE:
            plan = waiting_plan(airflow, instance["dag_id"], instance["dag_run_id"])
            found += [] if plan is None else [plan]
    return found


def waiting_plan(airflow: Airflow, dag_id: str, run_id: str) -> WaitingPlan | None:
    """The plan that a planner's run asks about; None when it has never asked."""
    proposal = patiently(lambda: airflow.xcom(dag_id, run_id, APPROVE, key=PENDING_PLAN))
    return WaitingPlan(dag_id, run_id, proposal) if isinstance(proposal, dict) else None


def find_plan(airflow: Airflow, name: str, run_id: str | None) -> WaitingPlan:
    """The plan of a workflow, a planner or a planner's run that waits.

    :param name: id of a workflow, of a planner DAG, or of one of its runs
    :param run_id: id of the planner's run, where several wait
    :raises UsageError: none waits, or several do
    """
    everything = plans(airflow)
    found = [
        plan
        for plan in everything
        if name in (plan.workflow_id, plan.dag_id, plan.run_id) and run_id in (None, plan.run_id)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        runs = "\n".join(f"- chassis approve {name} --run {plan.run_id}" for plan in found)
        raise UsageError(
            f"{len(found)} plans of '{name}' wait for a decision.", hint=f"Say which one:\n{runs}"
        )
    near = nearest(name, [plan.workflow_id for plan in everything])
    hint = f"Did you mean '{near}'?" if near else "See pending plans: chassis approve --list"
    raise UsageError(f"No plan of '{name}' waits for a decision.", hint=hint)


def answer(airflow: Airflow, plan: WaitingPlan, option: str, *, comment: str = "", edited: str = "") -> None:
    """Give an answer, for exactly this plan.

    :param edited: YAML to take in the plan's place
    :raises AnsweredError: it doesn't wait any more
    :raises SignInError: somebody else is asked
    """
    fields = {"plan": plan.proposal["digest"], "comment": comment, "edited_plan": edited}
    try:
        airflow.answer(plan.dag_id, plan.run_id, APPROVE, option, fields)
    except AirflowRefusedError as error:
        if error.status not in (404, 409):
            raise
        raise AnsweredError(
            f"{plan.code} of workflow '{plan.workflow_id}' doesn't wait for an answer any more.",
            hint=f"What came of it: chassis status {plan.dag_id} --run {plan.run_id}",
        ) from None


def result_of(airflow: Airflow, plan: WaitingPlan) -> WaitingPlan | None:
    """Wait until an answer is carried out. None: the plan is approved; a plan: that one waits now.

    It is the same plan when the answer was refused; its ``proposal["refused"]`` says why.

    :raises ChassisError: what ended the planner, such as a rejection
    """
    while True:
        instances = patiently(lambda: airflow.task_instances(plan.dag_id, plan.run_id))
        instance = next(each for each in instances if each["task_id"] == APPROVE)
        if instance["state"] == "success":
            return None
        if instance["state"] in _ENDED:
            _fail(airflow, plan, instance)
        if instance["state"] == "awaiting_input":
            now = waiting_plan(airflow, plan.dag_id, plan.run_id)
            if now is not None and now.proposal != plan.proposal:
                return now
        time.sleep(_POLL_SECONDS)


def _fail(airflow: Airflow, plan: WaitingPlan, instance: Json) -> NoReturn:
    raise patiently(
        lambda: read_failure(airflow, plan.dag_id, plan.run_id, APPROVE, try_number=instance["try_number"])
    )
