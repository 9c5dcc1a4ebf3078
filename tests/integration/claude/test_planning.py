"""Requirements become plans over the wire: the article's examples, the repair loop, and who is to blame."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from chassis.agents import load_agent, load_agents
from chassis.catalogue import load_catalogue
from chassis.claude.reply import call_once
from chassis.errors import AnswerInvalidError, PlanError
from chassis.planning import PlannerResult, build_request, propose_plan
from chassis.settings import Settings
from chassis.workflow import Given, Limits, Schedule
from chassis.workflow.plan_changes import plan_changes

if TYPE_CHECKING:
    from chassis.local.simulator import Simulator, SimulatorControl
    from chassis.workflow import WorkflowSpec
    from tests.integration.claude.conftest import Connect

WithClient = Callable[[Callable[[Any], Awaitable[Any]]], Any]
Plan = Callable[..., PlannerResult]


@pytest.fixture
def plan(connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl) -> Plan:
    settings = Settings()
    catalogue = load_catalogue(settings.services_file)
    agents = load_agents(settings.agents_folder)
    workers = {name: agent for name, agent in agents.items() if name != "planning-agent"}

    def run(
        requirement: str,
        *,
        attempts: int = 1,
        current: WorkflowSpec | None = None,
        comment: str = "",
        head: WorkflowSpec | None = None,
        **given: Any,
    ) -> PlannerResult:
        connect.to(simulator.url)
        wanted = Given(requirement=requirement, **given)
        request = build_request(
            given=wanted,
            catalogue=catalogue,
            agents=tuple(workers.values()),
            agent=load_agent(settings.agents_folder, "planning-agent"),
            settings=settings,
            current=current,
            comment=comment,
        )
        proposal: PlannerResult = with_client(
            lambda client: propose_plan(
                partial(call_once, client, subject="a test"),
                request,
                given=wanted,
                agents=tuple(workers),
                services=catalogue.names,
                attempts=attempts,
                current=current,
                comment=comment,
                head_of=lambda workflow_id: head if head is not None and head.id == workflow_id else None,
            )
        )
        return proposal

    return run


def test_a_sum_is_planned_in_one_attempt(plan: Plan) -> None:
    proposal = plan("Calculate the sum of 5 and 3")
    assert [task.id for task in proposal.spec.tasks] == ["identify_numbers", "add_numbers", "report_result"]
    assert proposal.attempts == 1
    assert proposal.simulated
    assert proposal.model == "simulated"
    assert proposal.usage.calls == len(proposal.request_ids) == 1


def test_all_services_of_the_catalogue_are_planned(plan: Plan) -> None:
    proposal = plan("Add pet insurance product to all services")
    first, *rest = proposal.spec.tasks
    assert first.for_each is not None
    assert first.for_each.items == load_catalogue(Settings().services_file).names
    assert len(rest) == 3


def test_what_the_person_gave_is_laid_over_the_plan(plan: Plan) -> None:
    schedule, limits = Schedule(cron="0 6 * * 1", timezone="Europe/Berlin"), Limits(max_parallel=3)
    spec = plan(
        "Add pet insurance product to all services",
        workflow_id="mine",
        schedule=schedule,
        limits=limits,
        inputs={"product": "cat insurance"},
    ).spec
    assert (spec.id, spec.schedule, spec.limits) == ("mine", schedule, limits)
    assert spec.inputs["product"].default == "cat insurance"


def test_a_workflow_that_claude_names_as_before_keeps_what_people_gave_to_it(plan: Plan) -> None:
    requirement = "Add pet insurance product to all services"
    head = plan(requirement, schedule=Schedule(preset="@daily"), inputs={"product": "cat insurance"}).spec
    again = plan(requirement, head=head).spec
    assert again.id == head.id, "nobody named the workflow"
    assert again.schedule == Schedule(preset="@daily")
    assert again.inputs["product"].default == "cat insurance"


def test_a_wrong_plan_goes_back_with_all_its_faults_and_is_repaired(
    plan: Plan, control: SimulatorControl
) -> None:
    control.add_fault("wrong_plan", times=2)
    proposal = plan("Calculate the sum of 5 and 3", attempts=3)
    assert proposal.attempts == 3
    assert proposal.usage.calls == len(set(proposal.request_ids)) == 3
    spent = [entry["usage"]["output_tokens"] for entry in control.requests()]
    assert proposal.usage.output_tokens == sum(spent), "every attempt is paid for and counted"
    last = control.requests()[2]["body"]["messages"]
    assert [turn["role"] for turn in last] == ["user", "assistant", "user", "assistant", "user"]
    told = last[2]["content"][0]["text"]
    assert 'name="faults"' in told
    assert "no_such_task" in told
    assert "cycle" in told


def test_a_plan_that_stays_wrong_fails_with_its_faults_and_its_cost(
    plan: Plan, control: SimulatorControl
) -> None:
    control.add_fault("wrong_plan")
    with pytest.raises(AnswerInvalidError, match="after 2 attempts") as caught:
        plan("Calculate the sum of 5 and 3", attempts=2)
    assert "identify_numbers -> report_result" in caught.value.message or "cycle" in caught.value.message
    assert caught.value.hint.startswith("Say in the requirement what the faults ask for")
    assert caught.value.usage["calls"] == len(control.requests()) == 2


def test_a_plan_that_names_unknown_agents_services_and_placeholders_is_told_so(
    plan: Plan, control: SimulatorControl
) -> None:
    task = {
        "id": "a",
        "name": "A",
        "instruction": "Do {what} for service {item}.",
        "agent": "task-executor",
        "depends_on": ["b"],
    }
    wrong = {
        "title": "Wrong",
        "id": "wrong",
        "inputs": [],
        "tasks": [task | {"for_each": {"items": ["claims", "pricin"]}, "output_schema": None}],
    }
    control.add_answer(wrong, times=1)
    proposal = plan("Calculate the sum of 5 and 3", attempts=2)
    assert proposal.attempts == 2
    told = control.requests()[1]["body"]["messages"][-1]["content"][0]["text"]
    for words in ("{what}", "'b'", "'pricin'", "'pricing'"):
        assert words in told


def test_a_fault_of_the_person_is_not_sent_to_claude(plan: Plan, control: SimulatorControl) -> None:
    proposal = {
        "title": "Update",
        "id": "update",
        "inputs": [{"name": "services", "type": "array", "default": None, "description": "Which."}],
        "tasks": [
            {
                "id": "update",
                "name": "Update",
                "instruction": "Update {item}.",
                "agent": "task-executor",
                "depends_on": [],
                "for_each": {"input": "services"},
                "output_schema": None,
            }
        ],
    }
    control.add_answer(proposal)
    with pytest.raises(PlanError, match=r"(?s)Your input.*'claims' is there 2 times") as caught:
        plan("Update the services", attempts=5, inputs={"services": ["claims", "claims"]})
    assert len(control.requests()) == 1
    assert [fault.code for fault in caught.value.faults] == ["bad_items"]
    assert plan("Update the services", inputs={"services": ["claims"]}).spec.inputs["services"].default == [
        "claims"
    ]


def test_a_comment_that_names_an_unknown_service_is_not_paid_twice(
    plan: Plan, control: SimulatorControl
) -> None:
    current = plan(PRICING).spec
    task = current.tasks[0].model_dump(mode="json", include={"id", "name", "agent", "depends_on"})
    task |= {"instruction": "Update service {item}.", "for_each": {"items": ["pricing", "zeppelins"]}}
    change = {"title": current.title, "inputs": [], "removed_inputs": [], "removed": []}
    control.add_answer(change | {"tasks": [{"change": "changed", **task, "output_schema": None}]})
    control.clear_requests()
    with pytest.raises(PlanError, match=r"(?s)What the comment asks for.*'zeppelins'.*add them to it"):
        plan(PRICING, current=current, comment="Also for the zeppelins service", attempts=3)
    assert len(control.requests()) == 1


def test_an_input_that_the_plan_forgot_is_asked_for(plan: Plan, control: SimulatorControl) -> None:
    task = {
        "id": "paint",
        "name": "Paint",
        "instruction": "Paint it.",
        "agent": "task-executor",
        "depends_on": [],
    }
    control.add_answer({"title": "Paint", "id": "paint", "inputs": [], "tasks": [task]}, times=1)
    proposal = plan("Paint it", attempts=2, inputs={"colour": "red"})
    assert proposal.spec.inputs["colour"].default == "red"
    assert proposal.attempts == 2, "declaring an input is what Claude can do"
    assert "'colour'" in control.requests()[1]["body"]["messages"][-1]["content"][0]["text"]


PRICING = "Add pet insurance product to services pricing and claims"


def test_a_changed_requirement_changes_what_it_must_and_nothing_else(plan: Plan) -> None:
    current = plan(PRICING, limits=Limits(budget_usd=5.0)).spec
    wanted = "Add pet insurance product to services pricing, claims and documents"
    found = plan(wanted, current=current, workflow_id="add_pet_insurance").spec
    assert plan_changes(current, found.model_copy(update={"requirement": PRICING})).lines() == [
        "task 'update_service': changed",
        "  items: + documents",
    ]


def test_a_reviewers_comment_is_carried_out(plan: Plan) -> None:
    current = plan(PRICING).spec
    found = plan(PRICING, current=current, comment="also include the contracts service").spec
    assert plan_changes(current, found).lines() == ["task 'update_service': changed", "  items: + contracts"]


def test_changes_that_do_not_fit_go_back_and_are_repaired(plan: Plan, control: SimulatorControl) -> None:
    current = plan(PRICING).spec
    control.clear_requests()
    control.add_fault("wrong_plan", times=1)
    proposal = plan(PRICING, current=current, comment="leave out claims", attempts=2)
    assert proposal.attempts == 2
    told = control.requests()[1]["body"]["messages"][-1]["content"][0]["text"]
    assert "'no_such_task' is not a task of the current plan" in told
    assert proposal.spec.tasks[0].for_each is not None
    assert proposal.spec.tasks[0].for_each.items == ("pricing",)
