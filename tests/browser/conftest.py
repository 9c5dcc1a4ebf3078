"""Chromium beside a real Airflow. Debian's chromium is driven, Playwright brings no browser of its own here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect, sync_playwright

from chassis.local.stack import LocalStack
from tests.system.driver import AirflowDriver, started

# Airflow's own pages take their time while its other components work.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with started(LocalStack(tmp_path_factory.mktemp("chassis-home"))) as stack:
        yield stack


@pytest.fixture(scope="session")
def airflow(stack: LocalStack) -> AirflowDriver:
    return AirflowDriver(stack.url, stack.username, stack.password)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "the system package chromium is missing"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, stack: LocalStack) -> StorageState:
    """What the browser of somebody keeps who has signed in with name and password."""
    page = browser.new_page(base_url=stack.url)
    page.goto("/auth/login")
    page.get_by_label("Username").fill(stack.username)
    page.get_by_label("Password").fill(stack.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "login" not in url)
    kept = page.context.storage_state()
    page.close()
    return kept


@pytest.fixture
def page(browser: Browser, stack: LocalStack, signed_in: StorageState) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, base_url=stack.url, storage_state=signed_in
    )
    page = context.new_page()
    page.goto("/api/v2/version")  # The quickest there: what a browser keeps for this address can be set now.
    yield page
    context.close()


@pytest.fixture
def screenshots() -> Path:
    """Where screenshots are kept; git ignores the folder."""
    folder = Path(__file__).parents[2] / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
