"""What Claude answers is text: whatever it holds, no page runs it, loads from elsewhere, or is dressed up by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Dialog, Page, Request, Response, expect

from chassis.contract.addresses import Links
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.text import DECEIVING
from tests.system.driver import AirflowDriver
from tests.unit.ui.test_markdown import HOSTILE

LINKS = Links()
WORKFLOW = "hostile_pages"
EVERYTHING = "\n\n".join(f"## {name}\n\n{text}" for name, text in HOSTILE.items())
NAME = "<img src=x onerror=alert(1)>"
BLOCKED = f"{HOSTILE['a script']} {HOSTILE['svg']} {HOSTILE['javascript']} \u202eback"

BROUGHT_IN = """() => {
    const own = 'meta[charset], meta[name=viewport], form[action^="/chassis/"], form:not([action])';
    const kinds = ['IFRAME', 'OBJECT', 'EMBED', 'IMG', 'BASE', 'META', 'FORM', 'STYLE'];
    const files = location.origin + '/chassis/static/';
    return [...document.querySelectorAll('*')].flatMap(each => [
        ...each.getAttributeNames().filter(name => name.startsWith('on') || ['style', 'srcdoc'].includes(name)),
        ...(kinds.includes(each.tagName) && !each.matches(own) ? [each.tagName] : []),
        ...(each.tagName === 'SCRIPT' && !each.src.startsWith(files) ? [each.tagName] : []),
    ]);
}"""
LEADING_ELSEWHERE = """() => [...document.querySelectorAll('a[href]')]
    .map(each => new URL(each.getAttribute('href'), location.href).href)
    .filter(address => !/^(https?|mailto):/.test(address))"""


@dataclass
class Watch:
    """What a page did that text can't do."""

    dialogs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)


def plan() -> dict[str, object]:
    def task(task_id: str, **parts: object) -> dict[str, object]:
        words = {"name": NAME, "instruction": f"Look at {task_id}. {HOSTILE['a handler']}"}
        return {"id": task_id, **words, "agent": "task-executor", "depends_on": [], **parts}

    return {
        "id": WORKFLOW,
        "title": f"<script>alert(1)</script> {NAME}",
        "inputs": [],
        "tasks": [
            task("look", for_each={"items": [HOSTILE["a handler"], HOSTILE["svg"]]}),
            task("join", depends_on=["look"]),
            task("build", output_schema='{"type": "object", "additionalProperties": {"type": "string"}}'),
            task("refuse"),
        ],
    }


@pytest.fixture(scope="module")
def run_id(airflow: AirflowDriver, stack: LocalStack) -> str:
    """A run in which everything that Claude says is hostile."""
    assert stack.simulator_url
    simulator = SimulatorControl(stack.simulator_url)
    simulator.reset()
    simulator.add_answer(plan(), kind="plan")
    done = {"status": "completed", "reason": "", "summary": BLOCKED}
    simulator.add_answer({"status": "blocked", "reason": BLOCKED, "summary": "", "output": ""}, task="refuse")
    simulator.add_answer(done | {"output": HOSTILE}, task="build")
    simulator.add_answer(done | {"output": EVERYTHING}, kind="task")
    workflow_id, run_id, state = airflow.plan_and_run(EVERYTHING, workflow_id=WORKFLOW)
    assert (workflow_id, state) == (WORKFLOW, "failed"), "because of the task that is refused"
    simulator.reset()
    return run_id


@pytest.fixture
def watched(page: Page, stack: LocalStack) -> tuple[Page, Watch]:
    """The signed-in page, and what it does."""
    watch = Watch()
    host = urlsplit(stack.url).netloc

    def on_dialog(dialog: Dialog) -> None:
        watch.dialogs.append(dialog.message)
        dialog.dismiss()

    def on_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            watch.foreign.append(request.url)

    def on_response(response: Response) -> None:
        if "/chassis/" in response.url:
            watch.policies[response.url] = response.headers.get("content-security-policy", "")

    page.on("dialog", on_dialog)
    page.on("request", on_request)
    page.on("response", on_response)
    page.on(
        "console",
        lambda message: watch.blocked.append(message.text) if "Content Security" in message.text else None,
    )
    return page, watch


def addresses(run_id: str) -> dict[str, str]:
    planner_run = run_id.removeprefix("planned__")
    return {
        "the plan": LINKS.plan(WORKFLOW, run_id),
        "the planner's plan": LINKS.plan("plan_workflow", planner_run),
        "the planner's task": LINKS.task("plan_workflow", planner_run, "plan"),
        "an item": LINKS.task(WORKFLOW, run_id, "look", 0),
        "a result": LINKS.task(WORKFLOW, run_id, "join"),
        "a result in JSON": LINKS.task(WORKFLOW, run_id, "build"),
        "an error": LINKS.task(WORKFLOW, run_id, "refuse"),
        "the board": LINKS.board(WORKFLOW, run_id),
        "all workflows": LINKS.workflows(),
    }


NAMES = tuple(addresses("planned__x"))


@pytest.mark.parametrize("name", NAMES)
def test_no_page_does_what_its_texts_say(watched: tuple[Page, Watch], run_id: str, name: str) -> None:
    page, watch = watched
    answer = page.goto(addresses(run_id)[name])
    assert answer is not None
    assert answer.status == 200
    page.wait_for_load_state()
    page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
    page.mouse.move(300, 300)
    assert watch.dialogs == [], "a script ran"
    assert watch.foreign == [], "something was loaded from another host"
    assert watch.blocked == [], "the policy had to stop something: the page itself should not hold it"
    assert watch.policies
    for address, policy in watch.policies.items():
        assert "default-src 'none'" in policy, address
        assert "unsafe" not in policy, address

    # What a text could bring in, counted by the browser itself; the pages' own scripts and styles are files.
    assert page.evaluate(BROUGHT_IN) == []
    assert page.evaluate(LEADING_ELSEWHERE) == []
    assert not DECEIVING.search(page.locator("main").inner_text().replace("\n", " "))


def test_the_texts_are_there_to_be_read(page: Page, run_id: str) -> None:
    page.goto(addresses(run_id)["a result"])
    result = page.locator(".prose")
    for text in (
        "<script>alert(1)</script>",
        "onerror=alert(1)",
        "javascript:alert(1)",
        "<style>body{background",
    ):
        expect(result).to_contain_text(text)
    expect(page.get_by_role("heading", level=1)).to_contain_text(NAME)
    page.goto(addresses(run_id)["an error"])
    expect(page.locator(".note.bad")).to_contain_text("<script>alert(1)</script>")


def test_a_link_of_a_result_opens_elsewhere_and_tells_nobody_where_it_was(page: Page, run_id: str) -> None:
    page.goto(addresses(run_id)["a result"])
    links = page.locator(".prose a")
    assert links.count() > 0
    for link in links.all():
        assert link.get_attribute("target") == "_blank"
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("title") == link.get_attribute("href")


def test_in_airflows_frame_which_allows_no_new_tabs_a_link_still_opens_one(page: Page, run_id: str) -> None:
    page.context.route("https://good.example/**", lambda route: route.fulfill(body="elsewhere"))
    page.goto(LINKS.airflow_tab(WORKFLOW, run_id))
    tab = page.frame_locator("iframe")
    tab.locator(f"a[href='{addresses(run_id)['a result']}']").first.click()
    # What follows a link out of the frame is a deferred script's: it has run once the page is parsed.
    tab.locator(".prose").first.wait_for()
    next(frame for frame in page.frames if "/tasks/" in frame.url).wait_for_load_state("domcontentloaded")
    with page.context.expect_page() as opened:
        tab.locator(".prose a[href^='https://good.example/']").first.click()
    opened.value.wait_for_url("https://good.example/**")
    assert opened.value.evaluate("() => [window.opener, document.referrer]") == [None, ""]
