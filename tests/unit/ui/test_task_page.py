"""The page of a task: what its form to amend the task offers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chassis.contract.addresses import Links
from chassis.ui import task_page
from chassis.ui.page_templates import templates


def rendered(*, failed_items: int = 0, refused: str = "") -> str:
    """The page of ``update [<b>claims]``, which failed and was never amended."""
    instance = SimpleNamespace(state="failed", try_number=1, start_date=None, duration=None)
    nothing = {"result": None, "error": None, "spending": None, "transcript": None, "is_planner": False}
    return (
        templates()
        .get_template("task.html")
        .render(
            links=Links(),
            dag_id="w",
            run_id="r",
            task_id="update",
            map_index=1,
            item="<b>claims",
            title="Update",
            instance=instance,
            begun=True,
            causes=[],
            outdated=False,
            task=SimpleNamespace(instruction="Do it."),
            tries=[],
            turns=[],
            number=None,
            amendments=[],
            form={"instruction": "Do it.", "inputs": [], "again": False},
            failed_items=failed_items,
            refused=refused,
            sheets=[],
            **nothing,
        )
    )


def test_where_several_items_failed_all_of_them_can_be_amended_at_once() -> None:
    page = rendered(failed_items=3)
    assert 'name="all_failed" value="1"> Apply to all 3 failed items of this task' in page
    assert "<b>claims" not in page


@pytest.mark.parametrize("failed_items", [0, 1])
def test_where_no_other_item_failed_nothing_is_offered(failed_items: int) -> None:
    page = rendered(failed_items=failed_items)
    assert 'name="downstream"' in page
    assert "all_failed" not in page


def test_who_may_not_amend_is_offered_nothing() -> None:
    page = rendered(failed_items=3, refused="To amend takes a right.")
    assert "To amend takes a right." in page
    assert "all_failed" not in page


@pytest.mark.parametrize(
    ("state", "index", "count"),
    [("failed", 1, 2), ("upstream_failed", 1, 2), ("success", 1, 0), ("failed", -1, 0), (None, 1, 0)],
)
def test_only_a_failed_item_has_others_that_failed_with_it(
    monkeypatch: pytest.MonkeyPatch, state: str | None, index: int, count: int
) -> None:
    monkeypatch.setattr(task_page, "failed_instances", lambda *_: [1, 2])
    session: Any = None
    instance: Any = SimpleNamespace(dag_id="w", run_id="r", task_id="update", map_index=index, state=state)
    assert task_page._failed_items(session, instance) == count
