"""The page of a run's plan: what was amended in that run, by whom, when and why, whatever somebody wrote."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.contract.addresses import Links
from chassis.files import open_files
from chassis.plans.refs import PlanRef
from chassis.records.amendments import Amendments, Change
from chassis.settings import Settings
from chassis.ui.amendments_view import RunAmendments, read_run_amendments
from chassis.ui.budget_view import BudgetView
from chassis.ui.page_templates import templates
from chassis.ui.plan_page import Compared
from chassis.ui.plan_view import view_plan
from chassis.ui.run_plans import RunPlan
from chassis.workflow import load_plan, plan_digest

DAG, RUN = "onboard", "r1"
PLAN = load_plan("""
schema_version: 1
id: onboard
title: Onboard
requirement: Onboard a product.
inputs:
  product: {type: string, default: pet insurance}
tasks:
  - {id: update, name: Update, instruction: "Add {product} to {item}.", for_each: {items: [claims, pricing]}}
  - {id: report, name: Report, instruction: Report., depends_on: [update]}
""")
HOSTILE = '<img src=x onerror="alert(1)">\u202egnp'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(records_root=str(tmp_path / "records"))


@pytest.fixture
def amendments(settings: Settings) -> Amendments:
    return Amendments(open_files(settings.records_root), DAG, RUN)


def change(**fields: Any) -> Change:
    who = {"reason": "wrong name", "by": "Ada", "by_id": "7", "at": "2026-11-22T12:34:00+00:00"}
    return Change(**{"task_id": "update", **who, **fields})


def read(settings: Settings, conf: dict[str, Any] | None = None) -> RunAmendments:
    session: Any = None
    run: Any = SimpleNamespace(dag_id=DAG, run_id=RUN, conf=conf)
    return read_run_amendments(session, run, PLAN, settings)


def shown(amended: RunAmendments) -> str:
    """The page."""
    ref = PlanRef(DAG, 1, plan_digest(PLAN)[:12])
    return (
        templates()
        .get_template("workflow_plan.html")
        .render(
            links=Links(),
            dag_id=DAG,
            run_id=RUN,
            found=RunPlan(ref, PLAN, pinned=True),
            plan=view_plan(PLAN),
            compared=Compared(),
            estimate=None,
            budget=BudgetView(),
            approval=None,
            amended=amended,
            sheets=[],
        )
    )


def test_each_is_listed_with_its_items_against_the_plan(settings: Settings, amendments: Amendments) -> None:
    amendments.add(change(items=("claims", "pricing"), instruction="Add {product} to {item} now."))
    amendments.add(change(items=("pricing", "gone"), inputs={"product": "pet"}, reason="short"))
    amendments.add(change(task_id="report", instruction="Report all."))
    found = read(settings, conf={"product": "cat insurance"})
    assert [each.places for each in found.each] == [
        (("claims", 0), ("pricing", 1)),
        (("pricing", 1), ("gone", None)),
        (),
    ]
    gone = ["".join(p.text for p in each.fields[0].pieces if p.kind != "new") for each in found.each]
    assert gone == ["Add {product} to {item}.", "cat insurance", "Report."]
    page = shown(found)
    assert "3 amendments" in page
    for words in ("wrong name", "short", "Ada", "2026-11-22 12:34"):
        assert words in page
    for index in (0, 1):
        assert f'href="/chassis/dags/onboard/runs/r1/tasks/update/{index}"' in page
    assert 'href="/chassis/dags/onboard/runs/r1/tasks/report/-1"' in page
    assert '<span class="item">gone</span>' in page


def test_a_withdrawn_one_is_listed_and_not_counted(settings: Settings, amendments: Amendments) -> None:
    amendments.withdraw(amendments.add(change(items=("claims",), instruction="Another.")))
    found = read(settings)
    assert found.counting == 0
    page = shown(found)
    assert "not in effect" in page
    assert "differs from its plan" not in page


def test_a_run_that_goes_by_its_plan_says_nothing_of_amendments(settings: Settings) -> None:
    found = read(settings)
    assert found == RunAmendments()
    assert "mendment" not in shown(found)


def test_what_people_wrote_is_text_and_in_signs(settings: Settings, amendments: Amendments) -> None:
    texts = {"reason": HOSTILE, "by": HOSTILE, "task_id": HOSTILE, "instruction": HOSTILE}
    amendments.add(change(items=(HOSTILE,), inputs={HOSTILE: HOSTILE}, **texts))
    page = shown(read(settings))
    assert "<img" not in page
    assert "\u202e" not in page
    assert page.count("&lt;img") >= 6


def test_a_record_store_that_can_not_be_read_hides_no_plan(
    settings: Settings, amendments: Amendments
) -> None:
    amendments.add(change(instruction="Another."))
    for file in Path(settings.records_root).rglob("000001.json"):
        file.write_text("[")
    found = read(settings)
    assert "is no entry of a log" in found.unreadable
    page = shown(found)
    assert "The amendments of this run can't be read." in page
    assert "Add {product} to {item}." in page
