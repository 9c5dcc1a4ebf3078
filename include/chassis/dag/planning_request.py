"""Asks the planning agent for a plan of a run's requirement, or for changes to an existing plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import AirflowRuntimeError

from chassis.contract.names import ACTION_RUN
from chassis.dag.claude_operator import CallingOperator, ClaudeOperator
from chassis.dag.deferred_call import PlanCall
from chassis.errors import WorkflowPausedError
from chassis.workflow import Given, check_given, dump_plan
from chassis.workflow.given import check_inputs_size, check_timezone
from chassis.workflow.schedules import schedule_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from chassis.planning import DoneTask
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec
    from chassis.workflow.spec import Demand

NONE = "none"
"""Removes the workflow's schedule, budget or demand for approval."""


class PlanOperator(ClaudeOperator):
    """Asks the planning agent for a plan of the run's requirement, or for changes to the workflow's plan.

    The XCom is a ``CheckedPlan``. The person's input is checked first: Claude can't repair it.
    """

    def prepare(self, context: Context, settings: Settings) -> PlanCall:
        from chassis.dag.replan_context import read_planned_on

        params = context["params"]
        if params["action"] == ACTION_RUN and params["workflow_id"]:
            refuse_paused(context, params["workflow_id"])
        found = read_planned_on(context, settings)
        if found is None:
            return plan_call(self, context, settings)
        call = plan_call(self, context, settings, current=found.current, done=found.done)
        return call.model_copy(update={"continues": found.run_id})


def plan_call(
    operator: CallingOperator,
    context: Context,
    settings: Settings,
    *,
    current: WorkflowSpec | None = None,
    comment: str = "",
    done: Sequence[DoneTask] = (),
) -> PlanCall:
    """The call for a plan, on the account of the operator's task. Runs in a worker.

    :param current: the plan to change; None: make a new plan
    :param comment: the changes that a reviewer of the current plan wants; that plan then has all that was given
    :param done: what a run of the workflow has done already
    :raises PlanError: the person's input is wrong
    :raises DefinitionError: an agent's file or the catalogue is wrong
    """
    from chassis.agents import PLANNER_AGENT, read_agents
    from chassis.catalogue import load_catalogue
    from chassis.deployment import Deployment
    from chassis.planning import build_request
    from chassis.plans.store import PlanStore, newest_plan

    params = context["params"]
    given = given_from(params)
    head = current
    if comment and current is not None:
        given = Given(requirement=current.requirement)
    elif head is None and given.workflow_id is not None:
        head = newest_plan(PlanStore(settings.plans_root, settings.storage_conn_id), given.workflow_id)
    check_timezone(given, head)
    check_inputs_size(given.inputs, settings.context_chars)
    # "All services" must mean all: a run may manage with an incomplete catalogue, a plan may not.
    catalogue = load_catalogue(settings.services_file, complete=True)
    deployment = Deployment(settings, read_agents(settings.agents_folder), catalogue)
    for fault in (*deployment.folder.faults, *deployment.folder.notes, *catalogue.faults):
        operator.log.warning("%s", fault)
    planner = deployment.folder.get(PLANNER_AGENT)
    workers = deployment.askable
    if (limits := given.limits or (head.limits if head else None)) is not None:
        deployment.require_limits(limits)
    request = build_request(
        given=given,
        catalogue=catalogue,
        agents=tuple(workers.values()),
        agent=planner,
        settings=settings,
        model=params["model"] or planner.model or deployment.connection.model,
        options=deployment.connection,
        current=current,
        head=head,
        comment=comment,
        done=done,
    )
    return PlanCall(
        conn_id=settings.conn_id,
        request=request,
        accounts=operator.account(context, settings),
        given=given,
        agents={name: agent.digest for name, agent in workers.items()},
        services=tuple(catalogue.names),
        attempts=settings.plan_attempts,
        planned_at=context["dag_run"].run_after.isoformat(),
        planner_run=context["run_id"],
        base=None if current is None else dump_plan(current),
        comment=comment,
        plans_root=settings.plans_root,
    )


def refuse_paused(context: Context, workflow_id: str) -> None:
    """Refuse to start a paused workflow: Airflow accepts runs of a paused DAG, but starts none of their tasks.

    :raises WorkflowPausedError: the workflow is paused. One that Airflow doesn't know yet isn't
    """
    try:
        paused = context["ti"].get_dag(workflow_id).is_paused
    except AirflowRuntimeError:
        return
    if paused:
        raise WorkflowPausedError(
            f"Workflow '{workflow_id}' is paused: its run would not start.",
            hint="Unpause it on its page in Airflow, then clear this task; or start again with "
            "`chassis run --unpause`.",
        )


def given_from(params: Mapping[str, Any]) -> Given:
    """The person's input from the planner's params; an empty field counts as not given.

    :raises PlanError: lists what is wrong, such as a cron or timezone that doesn't exist
    """
    given = {
        "requirement": params["requirement"],
        "inputs": dict(params["inputs"] or {}),
        **({"workflow_id": params["workflow_id"]} if params["workflow_id"] else {}),
    }
    schedule, timezone = _word(params["schedule"]), _word(params["timezone"])
    if schedule:
        where = {"timezone": timezone} if timezone else {}
        given["schedule"] = None if schedule.lower() == NONE else schedule_of(schedule) | where
    elif timezone:
        given["timezone"] = timezone
    if (approve := params["approve"]) is not None:
        given["approve"] = None if approve == NONE else approve
    limits: dict[str, Any] = {}
    if budget := _word(params["budget_usd"]):
        limits["budget_usd"] = None if budget.lower() == NONE else _number(budget)
    if params["max_parallel"] is not None:
        limits["max_parallel"] = params["max_parallel"]
    return check_given(given | ({"limits": limits} if limits else {}))


def _word(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _number(text: str) -> Any:
    """The text as a number; unchanged if it isn't one, for the rules to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def demanded(by_run: str | None, by_plan: Demand | None) -> Demand | None:
    """What is demanded beyond the configured policy: by this run or, if it says nothing, by the workflow's plan."""
    if by_run is None:
        return by_plan
    return None if by_run == NONE else cast("Demand", by_run)
