"""Turns a requirement into a plan: Claude proposes, :mod:`chassis.workflow` judges, and faults go back to Claude.

If a plan exists, Claude is asked for changes to it, so that the rest stays word for word, and results that are still
valid can be reused.

What the person gave (workflow id, inputs, schedule, limits), now or to the workflow's last plan, is laid over each
proposal. Claude can't repair a fault in that, so it is raised at once.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.connection_options import NO_OPTIONS, ClaudeOptions
from chassis.claude.conversation import converse
from chassis.claude.models import facts_of
from chassis.claude.request import ClaudeRequest, Message, text_block
from chassis.claude.thinking import asked_for
from chassis.contract.usage import Usage
from chassis.errors import AnswerInvalidError, PlanError, PlanFault
from chassis.prompts import DATA_RULES, planner_message
from chassis.workflow import Given, WorkflowSpec, check_plan, dump_plan
from chassis.workflow.given import kept_inputs, wrong_input
from chassis.workflow.planner_answer import plan_from_delta, plan_from_proposal
from chassis.workflow.planner_schemas import delta_schema, proposal_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from chassis.agents import AgentDefinition
    from chassis.catalogue import Catalogue
    from chassis.claude.reply import Ask
    from chassis.settings import Settings


_REWORD = (
    "Say in the requirement what the faults ask for, or leave out what can't be done; a stronger model for the planner "
    "may help where the requirement is long."
)


class PlannerResult(BaseModel):
    """A plan that keeps every rule, and what it took to get it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: WorkflowSpec = Field(description="The plan, without provenance.")
    usage: Usage = Field(description="Of all attempts.")
    model: str = Field(description="The model that answered, by its own name for itself.")
    request_ids: tuple[str, ...]
    simulated: bool = Field(description="Whether the simulator answered instead of Claude.")
    attempts: int = Field(description="Proposals that were made, the good one included.")


class DoneTask(BaseModel):
    """The outcome of one task, or of one item of it, in the run that is planned on from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    item: str | None = None
    state: str = Field(description="In Airflow's words: success, failed, upstream_failed, ...")
    summary: str = Field("", description="Of its result.")
    error: str = Field("", description="Why it failed, where that is known.")


def build_request(
    *,
    given: Given,
    catalogue: Catalogue,
    agents: Sequence[AgentDefinition],
    agent: AgentDefinition,
    settings: Settings,
    model: str | None = None,
    current: WorkflowSpec | None = None,
    head: WorkflowSpec | None = None,
    comment: str = "",
    done: Sequence[DoneTask] = (),
    options: ClaudeOptions = NO_OPTIONS,
) -> ClaudeRequest:
    """Build the planner's request: for a plan or, with a current plan, for changes to it.

    :param given: the requirement, and what else the person gave
    :param agents: the agents that a plan may name
    :param agent: the planning agent, whose prompt becomes the system prompt
    :param model: the model that the person chose for this run; None for the agent's, or the configured one
    :param current: the plan to change; None: make a new plan
    :param head: the workflow's last plan, whose input values from people go into the prompt
    :param comment: what a reviewer of the current plan wants changed
    :param done: what a run of the workflow has done already
    :param options: what the connection sets
    """
    inputs = kept_inputs(given, head or current) | {
        name: value for name, value in given.inputs.items() if value is not None
    }
    message = planner_message(
        requirement=given.requirement,
        catalogue=catalogue.to_yaml(),
        agents={each.name: each.description for each in agents},
        inputs=inputs,
        limit=settings.context_chars,
        current="" if current is None else dump_plan(current.model_copy(update={"provenance": None})),
        comment=comment,
        done=[each.model_dump(mode="json", exclude_defaults=True) for each in done],
    )
    # No breakpoint of the prompt cache: writing costs a quarter more and reading saves nine tenths, so it would pay if
    # more than one plan in four had to be corrected. Nor in a correction, whose own correction is rarer still.
    schema = proposal_schema if current is None else delta_schema
    model = model or agent.model or settings.model
    known = options.behind(model)
    asked = asked_for(known, agent, options)
    return ClaudeRequest(
        model=model,
        model_behind=options.model_behind.get(model),
        max_tokens=agent.max_tokens or settings.max_tokens or facts_of(known).max_tokens(asked["thinking"]),
        **asked,
        system=(agent.prompt, DATA_RULES),
        messages=(Message(role="user", content=(text_block(message),)),),
        answer_schema=schema([each.name for each in agents]),
        subject="a plan",
    )


async def propose_plan(
    ask: Ask,
    request: ClaudeRequest,
    *,
    given: Given,
    agents: Collection[str],
    services: Collection[str],
    attempts: int,
    current: WorkflowSpec | None = None,
    head_of: Callable[[str], WorkflowSpec | None] = lambda _: None,
    comment: str = "",
) -> PlannerResult:
    """Ask for a plan until one keeps every rule.

    :param agents: names of the agents that a plan may name
    :param services: names of the services that a plan may name
    :param attempts: proposals that Claude may make, at least 1
    :param current: the plan that the request asks to change
    :param head_of: the last plan of a workflow by its id, which keeps what people gave to it; runs in a thread
    :param comment: what a reviewer of the current plan wants, as in the request
    :raises PlanError: what the person gave breaks a rule, which Claude can't repair
    :raises AnswerInvalidError: the last proposal still had faults; they are in the message
    :raises ClaudeError: any other failure
    """

    def plan(answer: Any) -> WorkflowSpec:
        if current is not None:
            made = plan_from_delta(answer, current, given)
        else:
            workflow_id = given.workflow_id or (answer.get("id") if isinstance(answer, dict) else None)
            made = plan_from_proposal(answer, given, head_of(workflow_id) if workflow_id else None)
        return check_plan(made, agents=agents, services=services)

    def check(proposal: Any) -> list[str]:
        try:
            plan(proposal)
        except PlanError as error:
            if beyond_claude := _beyond_claude(error.faults, given, comment):
                raise beyond_claude from None
            return [str(fault) for fault in error.faults]
        return []

    try:
        answer = await converse(ask, request, check=check, repairs=attempts - 1)
    except AnswerInvalidError as error:
        error.hint = _REWORD
        raise
    return PlannerResult(
        spec=await asyncio.to_thread(plan, answer.data),
        usage=answer.usage,
        model=answer.model,
        request_ids=answer.request_ids,
        simulated=answer.simulated,
        attempts=answer.attempts,
    )


def _beyond_claude(faults: Sequence[PlanFault], given: Given, comment: str) -> PlanError | None:
    """The faults in the person's own words, which asking Claude again can't repair; None if there are none."""
    places = {f"input {name!r}" for name in given.inputs}
    if items := [fault for fault in faults if fault.code == "bad_items" and fault.where in places]:
        return wrong_input(*items)
    if named := [fault for fault in faults if fault.code == "unknown_service" and _is_named(fault, comment)]:
        hint = "Name services as the catalogue has them, or add them to it."
        return PlanError(named, subject="What the comment asks for", hint=hint)
    return None


def _is_named(fault: PlanFault, comment: str) -> bool:
    """Whether a fault is about a name that is in the comment, with no similar name in the catalogue."""
    name = re.search("'([^']+)'", fault.message)
    return bool(name and name[1].casefold() in comment.casefold() and "did you mean" not in fault.message)
