"""Airflow below a sub-path, with FAB's accounts: a person's way over our pages and Airflow's, and none leads outside.

As Airflow documents it, a proxy passes addresses on as they are, so its API server is asked under the sub-path itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, Request, Response, expect

from chassis.contract.addresses import Links
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.local.stack_environment import LOOPBACK, free_port
from tests.system.driver import AirflowDriver, started, wait_for
from tests.system.fab_accounts import FAB, add_admin

REQUIREMENT = "Add pet insurance product to services pricing and claims"
SUB_PATH = "/tools/airflow"
WORKFLOW = "below"
PLANNER = "plan_workflow"
LINKS = Links(SUB_PATH)


@dataclass
class Traffic:
    """What a browser asked for, and what went wrong."""

    asked: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to a page, and to the frames in it."""
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.said.append(f"{message.text} ({message.location})")


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack below the sub-path."""
    home = tmp_path_factory.mktemp("chassis-home")
    add_admin(home)
    port = free_port()
    address = {"AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{port}{SUB_PATH}"}
    with started(LocalStack(home, env=FAB | address, port=port)) as stack:
        yield stack


@pytest.fixture(scope="module")
def airflow(below: LocalStack) -> AirflowDriver:
    return AirflowDriver(below.url, below.username, below.password)


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def page(browser: Browser, below: LocalStack, traffic: Traffic) -> Iterator[Page]:
    """A page that knows nobody yet."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, base_url=below.url.removesuffix(SUB_PATH)
    )
    page = context.new_page()
    traffic.watch(page)
    yield page
    context.close()


def frame(page: Page) -> FrameLocator:
    """Our page within Airflow's."""
    return page.frame_locator("iframe")


def test_a_persons_way_stays_below_the_sub_path(
    page: Page, below: LocalStack, airflow: AirflowDriver, traffic: Traffic
) -> None:
    asking = {"requirement": REQUIREMENT, "workflow_id": WORKFLOW, "approve": "always"}
    planner_run = airflow.trigger(PLANNER, asking)

    # A page of ours leads somebody who has not signed in to FAB's form, and that to Airflow's first page.
    page.goto(LINKS.workflows())
    page.get_by_role("link", name="Sign in").click()
    page.locator("#username").fill(below.username)
    page.locator("#password").fill(below.password)
    page.locator("input[type=submit]").click()
    page.wait_for_url(f"**{SUB_PATH}/")
    assert {each.partition(" ")[0] for each in traffic.failed} == {"401"}, traffic.failed
    traffic.failed.clear()
    traffic.said.clear()

    # The plan is approved on its page, to which the page of all workflows leads.
    wait_for("the question", lambda: airflow.states(PLANNER, planner_run)["approve", -1] == "awaiting_input")
    page.get_by_role("link", name="Workflows").first.click()
    frame(page).locator(f"a[href='{LINKS.plan(PLANNER, planner_run)}']").click()
    expect(frame(page).get_by_role("heading", name="Decision required")).to_be_visible()
    assert below.simulator_url
    simulator = SimulatorControl(below.simulator_url)
    simulator.set_latency(4)
    frame(page).get_by_role("button", name="Approve", exact=True).click()
    expect(frame(page).get_by_text("Decision required")).to_be_hidden()
    assert airflow.wait_run(PLANNER, planner_run) == "success"
    page.reload()
    expect(frame(page).get_by_text("Approved by admin", exact=True)).to_be_visible()

    # The board of its run, in the run's tab, follows what happens without being loaded again.
    run_id = f"planned__{planner_run}"
    page.goto(LINKS.airflow_run(WORKFLOW, run_id))
    page.get_by_role("link", name="Chassis").or_(page.get_by_role("tab", name="Chassis")).first.click()
    board = frame(page)
    board.locator("body").evaluate("body => { body.dataset.kept = 'yes'; }")
    expect(board.locator("#head .state")).to_have_text("running")
    simulator.set_latency(0)
    expect(board.locator("#head .state")).to_have_text("success", timeout=60_000)
    assert board.locator("body").get_attribute("data-kept") == "yes", "the page was loaded again"
    assert any(f"{LINKS.changes(WORKFLOW, run_id)}?" in each for each in traffic.asked)

    # From a task's page to Airflow's own, and by its button back to the board.
    board.get_by_role("link", name="pricing of update_service", exact=True).click()
    expect(board.get_by_role("heading", level=1)).to_contain_text("pricing")
    board.get_by_role("link", name="Details and clear in Airflow").click()
    page.wait_for_url(f"**{SUB_PATH}/dags/{WORKFLOW}/runs/**/tasks/update_service/mapped/*/details")
    page.get_by_role("link", name="Board", exact=True).click()
    page.wait_for_url(f"**{LINKS.airflow_tab(WORKFLOW, run_id)}")
    expect(frame(page).get_by_role("link", name="claims of update_service", exact=True)).to_be_visible()

    within = (f"{below.url}/", "blob:", "data:")
    assert [each for each in traffic.asked if not each.startswith(within)] == []
    assert traffic.failed == []
    assert traffic.said == []
