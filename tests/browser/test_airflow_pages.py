"""A person's way through Airflow's own pages: fill in the form, find the run, open the task, read the result."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.system.driver import AirflowDriver, wait_for

REQUIREMENT = "Add pet insurance product to services pricing and claims"


def test_a_requirement_goes_in_by_the_trigger_form_and_its_workflow_is_found_by_the_link(
    page: Page, airflow: AirflowDriver, screenshots: Path
) -> None:
    page.goto("/dags/plan_workflow")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text("What you want done, in plain words.")).to_be_visible()
    form.locator("textarea[name=element_requirement]").fill(REQUIREMENT)
    form.get_by_role("button", name="More").click()
    form.locator("input[name=element_workflow_id]").fill("by_form")
    page.screenshot(path=screenshots / "trigger-form.png")
    form.get_by_role("button", name="Trigger").click()

    def started() -> str | None:
        runs = airflow.get("/dags/plan_workflow/dagRuns")["dag_runs"]
        return next((run["dag_run_id"] for run in runs if run["conf"].get("workflow_id") == "by_form"), None)

    planner_run = wait_for("the form's run", started)
    assert airflow.wait_run("plan_workflow", planner_run) == "success"
    assert airflow.wait_run("by_form", f"planned__{planner_run}") == "success"

    page.goto(f"/dags/plan_workflow/runs/{planner_run}/tasks/trigger/details")
    page.get_by_role("link", name="Triggered DAG").click()
    page.wait_for_url("**/dags/by_form/runs/**")
    expect(page.get_by_text("Update one service", exact=False).first).to_be_visible()
    page.screenshot(path=screenshots / "workflow-run.png")


def test_each_item_is_a_row_with_its_name_and_its_result(
    page: Page, airflow: AirflowDriver, screenshots: Path
) -> None:
    workflow_id, run_id, state = airflow.plan_and_run(REQUIREMENT, workflow_id="by_item")
    assert state == "success"
    page.goto(f"/dags/{workflow_id}/runs/{run_id}/tasks/update_service/mapped")
    for item in ("pricing", "claims"):
        expect(page.get_by_text(item, exact=True).first).to_be_visible()
    page.screenshot(path=screenshots / "items.png")
    page.goto(f"/dags/{workflow_id}/runs/{run_id}/tasks/update_service/mapped/0/xcom")
    expect(page.get_by_text("return_value", exact=True)).to_be_visible()
    page.get_by_label("Expand all extra JSON").click()
    expect(page.get_by_text("[simulated]", exact=False).first).to_be_visible()
    page.screenshot(path=screenshots / "result.png")
