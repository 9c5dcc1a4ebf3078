"""Every page can be read and used by everybody: axe finds nothing serious, and the keyboard reaches all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from chassis.contract.addresses import Links
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from tests.system.driver import AirflowDriver, wait_for

LINKS = Links()
WORKFLOW = "for_everybody"
REQUIREMENT = "Add pet insurance product to services pricing and claims"


@pytest.fixture(scope="module")
def runs(airflow: AirflowDriver, stack: LocalStack) -> Iterator[dict[str, str]]:
    """A planner's run that waits for a decision, and a workflow's run with a failed item."""
    assert stack.simulator_url
    simulator = SimulatorControl(stack.simulator_url)
    simulator.reset()
    simulator.add_fault("blocked", task="update_service", item="claims", times=1)
    workflow_id, run_id, state = airflow.plan_and_run(REQUIREMENT, workflow_id=WORKFLOW)
    assert (workflow_id, state) == (WORKFLOW, "failed")
    params = {"requirement": f"{REQUIREMENT} and billing", "workflow_id": WORKFLOW, "approve": "always"}
    planner_run = airflow.trigger("plan_workflow", params)

    def asked() -> bool:
        return airflow.states("plan_workflow", planner_run).get(("approve", -1)) == "awaiting_input"

    wait_for("the plan to wait", asked)
    yield {"run": run_id, "planner": planner_run}
    simulator.reset()


def addresses(runs: dict[str, str]) -> dict[str, str]:
    return {
        "all workflows": LINKS.workflows(),
        "the board": LINKS.board(WORKFLOW, runs["run"]),
        "the plan of a run": LINKS.plan(WORKFLOW, runs["run"]),
        "a plan to decide on": LINKS.plan("plan_workflow", runs["planner"]),
        "a result": LINKS.task(WORKFLOW, runs["run"], "update_service", 0),
        "an error": LINKS.task(WORKFLOW, runs["run"], "update_service", 1),
        "a page that isn't there": LINKS.board(WORKFLOW, "nowhere"),
    }


NAMES = tuple(addresses({"run": "", "planner": ""}))


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody from using the page, with a place of each."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['impact']}: {each['id']}: {each['help']} at {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(page: Page, runs: dict[str, str], name: str, theme: str) -> None:
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.goto(addresses(runs)[name])
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
    assert serious(page) == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_sticks_out_of_a_phone(page: Page, runs: dict[str, str], name: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(addresses(runs)[name])
    width, room = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room


@pytest.mark.parametrize("name", NAMES)
def test_two_different_things_are_never_linked_by_the_same_label(
    page: Page, runs: dict[str, str], name: str
) -> None:
    page.goto(addresses(runs)[name])
    links = page.evaluate(
        """() => [...document.querySelectorAll('a[href]')]
            .map(each => [each.textContent.trim().replace(/\\s+/g, ' '), each.href.baseVal ?? each.href])"""
    )
    assert links
    places: dict[str, set[str]] = {}
    for label, href in links:
        places.setdefault(label, set()).add(href)
    assert {label: hrefs for label, hrefs in places.items() if len(hrefs) > 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_keyboard_reaches_everything_and_it_is_seen_where_one_is(
    page: Page, runs: dict[str, str], name: str
) -> None:
    page.goto(addresses(runs)[name])
    wanted = page.evaluate(
        """() => {
            const kinds = 'a[href], button, input:not([type=hidden]), select, textarea, summary';
            const found = [...document.querySelectorAll(kinds)]
                .filter(each => each.checkVisibility() && !each.disabled);
            found.forEach((each, index) => each.dataset.reached = index);
            return found.length;
        }"""
    )
    assert wanted
    reached = set()
    for _ in range(wanted * 2 + 20):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => {
                const each = document.activeElement, look = getComputedStyle(each);
                const box = each.querySelector('.box') ? getComputedStyle(each.querySelector('.box')) : null;
                const seen = look.outlineStyle !== 'none' || (box && parseFloat(box.strokeWidth) >= 3);
                const html = each.outerHTML.slice(0, 200);
                return each === document.body ? null : [each.dataset.reached ?? '', Boolean(seen), html];
            }"""
        )
        if at is None:
            break
        mark, seen, html = at
        assert seen, f"the focus isn't seen on {html}"
        reached.add(mark)
    assert len(reached - {""}) == wanted, "the Tab key doesn't reach everything"


def test_a_plan_is_decided_on_by_keyboard_alone(
    page: Page, airflow: AirflowDriver, runs: dict[str, str]
) -> None:
    page.goto(addresses(runs)["a plan to decide on"])
    page.get_by_label("Comment").focus()
    page.keyboard.type("not now")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Reject")).to_be_focused()
    page.keyboard.press("Enter")
    assert airflow.wait_run("plan_workflow", runs["planner"]) == "failed"
    page.goto(addresses(runs)["a plan to decide on"])
    expect(page.get_by_text("not now").first).to_be_visible()
