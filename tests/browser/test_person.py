"""A person's whole way in the browser: from the requirement to an approved plan, a failed item, and its rerun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from chassis.contract.addresses import Links
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from tests.system.driver import AirflowDriver, wait_for

REQUIREMENT = "Add pet insurance product to services pricing, claims and contracts"
BEFORE, AFTER = (
    "Check end to end that {product} can be sold.",
    "Check end to end that {product} can be sold and cancelled.",
)
LINKS = Links()


@pytest.fixture
def simulator(stack: LocalStack) -> Iterator[SimulatorControl]:
    assert stack.simulator_url
    control = SimulatorControl(stack.simulator_url)
    control.reset()
    yield control
    control.reset()


def planner_run_of(airflow: AirflowDriver, workflow_id: str) -> str:
    def started() -> str | None:
        runs = airflow.get("/dags/plan_workflow/dagRuns", order_by="-run_after")["dag_runs"]
        return next(
            (run["dag_run_id"] for run in runs if run["conf"].get("workflow_id") == workflow_id), None
        )

    return wait_for("the form's run", started)


def await_state(
    airflow: AirflowDriver, dag_id: str, run_id: str, instance: tuple[str, int], state: str
) -> None:
    wait_for(f"{instance} to be {state}", lambda: airflow.states(dag_id, run_id).get(instance) == state)


def ask_for_a_plan(page: Page, workflow_id: str) -> None:
    """Fill in Airflow's trigger form, as a person does."""
    page.goto("/dags/plan_workflow")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.locator("textarea[name=element_requirement]").fill(REQUIREMENT)
    form.get_by_role("button", name="More").click()
    form.locator("input[name=element_workflow_id]").fill(workflow_id)
    form.locator("#element_approve input[role=combobox]").click()
    page.get_by_role("option", name="Always").click()
    form.get_by_role("button", name="Trigger").click()


class TestAWholeWay:
    def test_from_the_requirement_to_the_rerun_of_a_failed_item(
        self,
        page: Page,
        airflow: AirflowDriver,
        stack: LocalStack,
        simulator: SimulatorControl,
        screenshots: Path,
    ) -> None:
        simulator.add_fault("blocked", task="update_service", item="claims", times=1)
        ask_for_a_plan(page, "by_person")
        planner_run = planner_run_of(airflow, "by_person")
        await_state(airflow, "plan_workflow", planner_run, ("approve", -1), "awaiting_input")

        # The plan is read in Airflow's own page of the run, edited there, checked, and approved as edited.
        page.goto(LINKS.airflow_tab("plan_workflow", planner_run))
        tab = page.frame_locator("iframe")
        expect(tab.get_by_role("heading", name="Decision required")).to_be_visible()
        expect(tab.get_by_text("This is the first revision of the workflow")).to_be_visible()
        page.screenshot(path=screenshots / "plan-in-airflow.png")
        page.goto(LINKS.plan("plan_workflow", planner_run))
        expect(page.locator("svg.plan-graph .node")).to_have_count(4)
        page.screenshot(path=screenshots / "plan.png", full_page=True)
        text = page.get_by_label("The plan as YAML")
        text.fill(text.input_value().replace(BEFORE, AFTER))
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_role("status")).to_contain_text("The edited plan is valid")
        expect(page.locator("ins").get_by_text("and cancelled")).to_be_visible()
        page.screenshot(path=screenshots / "plan-edited.png")
        page.get_by_label("Comment").fill("Cancelling matters, too.")
        page.get_by_role("button", name="Approve as edited").click()
        expect(
            page.get_by_text("admin chose Approve").or_(page.get_by_text("Approved as edited by admin"))
        ).to_be_visible()

        run_id = f"planned__{planner_run}"
        assert airflow.wait_run("plan_workflow", planner_run) == "success"
        store = PlanStore(str(stack.home / "plans"))
        published = store.read(store.get("by_person"))
        assert published.tasks[-1].instruction == AFTER
        page.goto(LINKS.plan("plan_workflow", planner_run))
        expect(page.locator(".note.good")).to_contain_text("Approved as edited by admin")
        expect(page.get_by_text("Cancelling matters, too.").first).to_be_visible()

        # One item fails: the board leads to it, and its page says why.
        assert airflow.wait_run("by_person", run_id) == "failed"
        page.goto(LINKS.board("by_person", run_id))
        page.screenshot(path=screenshots / "board-failed.png", full_page=True)
        failed = next(ti for ti in airflow.instances("by_person", run_id) if ti["state"] == "failed")
        index = failed["map_index"]
        address = LINKS.task("by_person", run_id, "update_service", index)
        page.locator(f"a[href='{address}']").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("claims")
        expect(page.get_by_text("Blocked on demand").first).to_be_visible()
        page.screenshot(path=screenshots / "task-failed.png", full_page=True)

        # It is cleared in Airflow's own dialog, with what it had kept from running, and the rerun gives a result.
        page.get_by_role("link", name="Details and clear in Airflow").click()
        page.get_by_role("button", name="Press shift+c to clear").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("Affected Tasks: 4")).to_be_visible()
        page.screenshot(path=screenshots / "clear-in-airflow.png")
        dialog.get_by_role("button", name="Confirm").click()
        expect(dialog).to_be_hidden()
        await_state(airflow, "by_person", run_id, ("update_service", index), "success")
        page.goto(LINKS.task("by_person", run_id, "update_service", index))
        expect(page.locator("h1 .state")).to_have_text("success")
        expect(page.locator(".prose")).to_contain_text("Add pet insurance to the product list of claims.")
        assert airflow.wait_run("by_person", run_id) == "success"

        # The try that failed can still be read.
        page.get_by_role("navigation", name="Tries").get_by_role("link", name="Try 1").click()
        expect(page.locator(".said-by.claude")).to_contain_text("Blocked on demand")
        page.screenshot(path=screenshots / "task-rerun.png", full_page=True)


class TestAPlanIsSentBack:
    def test_with_a_comment_it_comes_again_changed_and_what_is_wrong_with_an_edit_is_said(
        self, page: Page, airflow: AirflowDriver, simulator: SimulatorControl, screenshots: Path
    ) -> None:
        params = {"requirement": REQUIREMENT, "workflow_id": "sent_back", "approve": "always"}
        run_id = airflow.trigger("plan_workflow", params)
        await_state(airflow, "plan_workflow", run_id, ("approve", -1), "awaiting_input")
        address = LINKS.plan("plan_workflow", run_id)
        page.goto(address)

        # An edit that breaks the rules is not taken, and nothing that was typed is lost.
        text = page.get_by_label("The plan as YAML")
        text.fill(text.input_value().replace("depends_on: [update_service]", "depends_on: [update_servce]"))
        page.get_by_label("Comment").fill("typed before")
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("The edited plan can't be used")).to_be_visible()
        expect(page.locator(".faults")).to_contain_text("did you mean 'update_service'")
        expect(page.get_by_label("Comment")).to_have_value("typed before")
        assert "update_servce" in text.input_value()
        page.screenshot(path=screenshots / "plan-faults.png")

        # A plan isn't sent back without a word; with one, Claude is asked again.
        page.goto(address)
        page.get_by_role("button", name="Revise").click()
        expect(page.get_by_text("A comment is required")).to_be_visible()
        page.get_by_label("Comment").fill("also add the billing service")
        page.get_by_role("button", name="Revise").click()
        # The page that the person has open shows what comes of it by itself.
        expect(page.get_by_text("admin chose Revise").or_(page.get_by_text("Proposal 2"))).to_be_visible()
        expect(page.get_by_text("Proposal 2")).to_be_visible(timeout=60_000)
        await_state(airflow, "plan_workflow", run_id, ("approve", -1), "awaiting_input")
        expect(page.get_by_text("also add the billing service").first).to_be_visible()
        expect(page.locator("#history-heading + ol li")).to_have_count(3)

        # A form that was opened before shows another plan than the one that waits: it decides nothing.
        page.locator("input[name=digest]").evaluate("field => field.value = '0'.repeat(64)")
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("The plan has changed since you opened this page")).to_be_visible()
        assert airflow.states("plan_workflow", run_id)["approve", -1] == "awaiting_input"

        # Of two who decide at once, one is too late, and is told so.
        late = page.context.new_page()
        late.goto(address)
        late.get_by_label("Comment").fill("half a sen")
        page.goto(address)
        page.get_by_role("button", name="Reject").click()
        expect(
            page.get_by_text("admin chose Reject").or_(page.get_by_text("The plan was rejected"))
        ).to_be_visible()
        # Who is writing is told so, and loses nothing of it.
        expect(late.get_by_text("This page is out of date")).to_be_visible()
        expect(late.get_by_label("Comment")).to_have_value("half a sen")
        late.get_by_role("button", name="Approve", exact=True).click()
        expect(late.get_by_text("Somebody has already decided")).to_be_visible()
        late.close()
        assert airflow.wait_run("plan_workflow", run_id) == "failed"
        page.goto(address)
        expect(page.get_by_text("The plan was rejected")).to_be_visible()


class TestATaskIsAmended:
    def test_one_item_runs_again_by_another_instruction_and_its_page_tells_so(
        self, page: Page, airflow: AirflowDriver, screenshots: Path
    ) -> None:
        dag_id, run_id, state = airflow.plan_and_run(REQUIREMENT, workflow_id="amended_on_page")
        assert state == "success"
        page.goto(LINKS.task(dag_id, run_id, "update_service", 0))
        page.get_by_role("textbox", name="Instruction").fill(
            "Add {product} to {item}, with a waiting period."
        )
        page.get_by_label("Reason").fill("The waiting period was forgotten.")
        page.get_by_role("button", name="Amend and rerun").click()
        expect(page.get_by_role("heading", name="Amendments")).to_be_visible()
        assert airflow.wait_run(dag_id, run_id) == "success"
        page.goto(LINKS.task(dag_id, run_id, "update_service", 0))
        expect(page.locator(".prose")).to_contain_text("with a waiting period")
        expect(page.get_by_text("The waiting period was forgotten.")).to_be_visible()
        expect(page.locator(".change ins").first).to_contain_text("with a waiting period")
        expect(page.locator(".note", has_text="Amended")).to_contain_text("amendment 1")
        page.screenshot(path=screenshots / "task-amended.png", full_page=True)
