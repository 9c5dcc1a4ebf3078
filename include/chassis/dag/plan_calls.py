"""Asking the planning agent: for a plan of a run's requirement, or for changes to a plan that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.dag.calling import CallingOperator, ClaudeOperator
from chassis.dag.calls import PlanCall
from chassis.workflow import Given, check_given, dump_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from chassis.agents import AgentDefinition
    from chassis.planning import DoneTask
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec

PLANNER_AGENT = "planning-agent"


class PlanOperator(ClaudeOperator):
    """Asks the planning agent for a plan of the run's requirement, or for changes to the workflow's.

    The XCom holds ``workflow_id``, ``plan`` (YAML), ``digest``, ``usage``, ``cost_usd``, ``model``, ``attempts``,
    ``simulated``, ``request_ids`` and ``continues`` (the run that is planned on from; empty for none). What the person
    gave is checked first: Claude can't repair that.
    """

    def prepare(self, context: Context, settings: Settings) -> PlanCall:
        from chassis.dag.continuing import read_continuation

        found = read_continuation(context, settings)
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

    :param current: the plan that is to be changed; None: a plan is to be made from nothing
    :param comment: what a reviewer of the current plan wants changed
    :param done: what is done already, in a run of the workflow
    :raises PlanError: what the person gave is wrong
    :raises DefinitionError: an agent's file or the catalogue is wrong
    """
    from chassis.agents import load_agent
    from chassis.catalogue import load_catalogue
    from chassis.claude.options import connection_model
    from chassis.planning import build_request

    params = context["params"]
    given = given_from(params)
    catalogue = load_catalogue(settings.services_file)
    planner = load_agent(settings.agents_folder, PLANNER_AGENT)
    workers = load_workers(settings)
    request = build_request(
        given=given,
        catalogue=catalogue,
        agents=tuple(workers.values()),
        agent=planner,
        settings=settings,
        model=params["model"] or planner.model or connection_model(settings.conn_id),
        current=current,
        comment=comment,
        done=done,
    )
    return PlanCall(
        conn_id=settings.conn_id,
        request=request,
        accounts=operator.accounts(context, settings),
        given=given,
        agents={name: agent.digest for name, agent in workers.items()},
        services=tuple(catalogue.names),
        attempts=settings.plan_attempts,
        planned_at=context["dag_run"].run_after.isoformat(),
        planner_run=context["run_id"],
        base=None if current is None else dump_plan(current),
    )


def load_workers(settings: Settings) -> dict[str, AgentDefinition]:
    """The agents that a plan may name: all but the planning agent."""
    from chassis.agents import load_agents

    agents = load_agents(settings.agents_folder)
    return {name: agent for name, agent in agents.items() if name != PLANNER_AGENT}


def given_from(params: Mapping[str, Any]) -> Given:
    """What the person gave, from the planner's params.

    :raises PlanError: lists what is wrong with it, such as a cron or a timezone that doesn't exist
    """
    schedule = {"cron": params["schedule"], "timezone": params["timezone"]} if params["schedule"] else None
    return check_given(
        {
            "requirement": params["requirement"],
            "workflow_id": params["workflow_id"] or None,
            "inputs": params["inputs"],
            "schedule": schedule,
            "limits": {"budget_usd": params["budget_usd"], "max_parallel": params["max_parallel"]},
        }
    )
