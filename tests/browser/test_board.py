"""The board inside Airflow's own page: there, alive, in its colours, on a phone, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from tests.system.driver import AirflowDriver, wait_for

REQUIREMENT = "Add pet insurance product to services pricing and claims"
WORKFLOW = "on_the_board"


@pytest.fixture(scope="module")
def finished(airflow: AirflowDriver) -> str:
    """A finished run of the workflow."""
    _, run_id, state = airflow.plan_and_run(REQUIREMENT, workflow_id=WORKFLOW)
    assert state == "success"
    return run_id


@pytest.fixture
def slow(stack: LocalStack) -> Iterator[SimulatorControl]:
    """A simulator that lets one see what goes on."""
    assert stack.simulator_url
    control = SimulatorControl(stack.simulator_url)
    control.set_latency(4)
    yield control
    control.reset()


def tab(run_id: str) -> str:
    return f"/dags/{WORKFLOW}/runs/{quote(run_id, safe='')}/plugin/chassis"


def board(page: Page) -> FrameLocator:
    """The board within Airflow's page."""
    return page.frame_locator('iframe[title="Chassis"]')


def test_the_tab_shows_the_runs_board_in_airflows_page(page: Page, finished: str, screenshots: Path) -> None:
    page.goto(f"/dags/{WORKFLOW}/runs/{quote(finished, safe='')}")
    page.get_by_role("link", name="Chassis").or_(page.get_by_role("tab", name="Chassis")).first.click()
    shown = board(page)
    expect(shown.get_by_role("heading", level=1)).to_be_visible()
    expect(shown.get_by_role("link", name="pricing of update_service", exact=True)).to_be_visible()
    expect(shown.get_by_text("a local simulator answered")).to_be_visible()
    expect(shown.locator("header.unframed")).to_be_hidden()
    page.screenshot(path=screenshots / "board.png")


def test_states_change_without_a_reload(
    page: Page, airflow: AirflowDriver, slow: SimulatorControl, finished: str, screenshots: Path
) -> None:
    run_id = airflow.trigger(WORKFLOW)
    page.goto(tab(run_id))
    shown = board(page)
    shown.locator("body").evaluate("body => { body.dataset.kept = 'yes'; }")
    expect(shown.locator("#head .state")).to_have_text("running", timeout=30_000)
    pricing = shown.locator('tr[data-key="update_service--0"]')
    expect(pricing).to_have_attribute("data-state", "deferred", timeout=60_000)
    expect(shown.locator('tr[data-key="run_e2e_tests---1"] td.waits')).not_to_be_empty()
    page.screenshot(path=screenshots / "board-live.png")
    slow.set_latency(0)
    assert airflow.wait_run(WORKFLOW, run_id) == "success"
    expect(shown.locator("#head .state")).to_have_text("success", timeout=30_000)
    expect(pricing.locator("td.line")).to_contain_text("[simulated]")
    assert shown.locator("tr[data-index]:not([data-state=success])").count() == 0
    assert shown.locator("body").get_attribute("data-kept") == "yes", "the page was loaded again"


def test_a_link_to_airflows_own_pages_leaves_the_frame(page: Page, finished: str) -> None:
    page.goto(tab(finished))
    row = board(page).locator('tr[data-key="update_service--1"]')
    row.get_by_role("link", name="Log of").click()
    page.wait_for_url(f"**/dags/{WORKFLOW}/runs/**/tasks/update_service/mapped/1**")


def test_the_button_on_a_task_leads_to_the_board(page: Page, finished: str) -> None:
    page.goto(f"/dags/{WORKFLOW}/runs/{quote(finished, safe='')}/tasks/update_service/mapped/0/details")
    page.get_by_role("link", name="Board", exact=True).click()
    page.wait_for_url("**/plugin/chassis")
    expect(board(page).get_by_role("heading", level=1)).to_be_visible()


def test_rows_are_found_by_text_and_by_state(page: Page, finished: str) -> None:
    page.goto(tab(finished))
    shown = board(page)
    shown.get_by_role("searchbox").fill("claims")
    expect(shown.locator("tr[data-index]:visible")).to_have_count(1)
    shown.get_by_role("searchbox").fill("")
    shown.get_by_label("Filter by state").select_option("attention")
    expect(shown.get_by_text("No task matches the filter.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_board_has_airflows_colours(page: Page, finished: str, theme: str, screenshots: Path) -> None:
    page.goto("/")
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    page.goto(tab(finished))
    shown = board(page)
    expect(shown.locator("html")).to_have_attribute("data-theme", theme)
    light = shown.locator("body").evaluate("body => getComputedStyle(body).colorScheme")
    assert light == theme
    page.screenshot(path=screenshots / f"board-{theme}.png")


def test_a_phone_shows_all_without_scrolling_sideways(page: Page, finished: str, screenshots: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name, path in (
        ("board", f"/chassis/dags/{WORKFLOW}/runs/{quote(finished, safe='')}"),
        ("workflows", "/chassis/workflows"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"{name} is {wider} px too wide"
        page.screenshot(path=screenshots / f"{name}-phone.png", full_page=True)


def test_every_row_is_reached_by_keyboard(page: Page, finished: str) -> None:
    page.goto(f"/chassis/dags/{WORKFLOW}/runs/{quote(finished, safe='')}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    wanted = page.locator("#content a, #content input, #content select, #content [tabindex='0']").count()
    reached = set()
    for _ in range(wanted + 10):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('tr')?.dataset.key ?? ''"))
    assert {"update_service--0", "update_service--1", "run_e2e_tests---1"} <= reached


def test_the_page_of_all_workflows_is_in_the_navigation(page: Page, finished: str, screenshots: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name="Workflows").click()
    shown = page.frame_locator('iframe[title="Workflows"]')
    expect(shown.get_by_role("link", name=WORKFLOW, exact=True)).to_be_visible()
    page.screenshot(path=screenshots / "workflows.png")
    shown.locator("tr", has_text=WORKFLOW).get_by_role("link").last.click()
    page.wait_for_url(f"**/dags/{WORKFLOW}/runs/**/plugin/chassis")


def test_a_refresh_is_asked_for_one_at_a_time_and_seldom_when_nothing_goes_on(
    page: Page, finished: str
) -> None:
    open_now, most, asked = [0], [0], [0]

    def begun(request: object) -> None:
        if "/changes" in str(getattr(request, "url", "")):
            open_now[0] += 1
            asked[0] += 1
            most[0] = max(most[0], open_now[0])

    def ended(request: object) -> None:
        if "/changes" in str(getattr(request, "url", "")):
            open_now[0] -= 1

    page.on("request", begun)
    page.on("requestfinished", ended)
    page.clock.install()
    page.goto(f"/chassis/dags/{WORKFLOW}/runs/{quote(finished, safe='')}")
    page.clock.run_for(14_000)
    assert asked[0] == 0
    page.clock.run_for(2_000)
    wait_for("a refresh", lambda: (asked[0] == 1 and open_now[0] == 0) or page.wait_for_timeout(50))
    assert most[0] == 1
