"""``docs/how-to/limit-spending.md``: what it shows is what the commands print, in its order."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from chassis.claude.prices import price_date
from chassis.cli.render import totals
from chassis.contract.spending import RunLimits
from chassis.errors import LimitSpentError
from chassis.files import open_files
from chassis.ledger.journal import RunLedger
from chassis.plans.store import PlanStore
from chassis.workflow import load_plan
from tests.unit.cli.made_up_views import planning, report, row, spent
from tests.unit.cli.test_costs_command import TEN, Records
from tests.unit.deployment.compose_file import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis

PAGE = (PROJECT / "docs" / "how-to" / "limit-spending.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WORKFLOW = "add_pet_insurance"
DAY = 86_400


def blocks(language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(PAGE) if kind == language]


def transcript() -> list[tuple[str, list[str]]]:
    """Each command of the page that is shown with its output."""
    shown = "".join(block for block in blocks("text") if block.startswith("$ "))
    commands = re.split(r"^\$ chassis ", shown, flags=re.MULTILINE)[1:]
    return [
        (command, _filled(output.splitlines()))
        for command, _, output in (c.partition("\n") for c in commands)
    ]


def _filled(lines: list[str]) -> list[str]:
    return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture
def home(chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The page's plan, and runs of it, in the stores of a local stack."""
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    for name in ("BUDGET_USD", "MAX_TOKENS", "MAX_CALLS"):
        monkeypatch.delenv(f"AIRFLOW__CHASSIS__RUN_{name}", raising=False)
    home = tmp_path / "home"
    [plan] = blocks("yaml")
    PlanStore(str(home / "plans")).publish(load_plan(plan))
    records = Records(home / "records")
    for usd in (0.31, 0.27, 0.2512, 0.19):
        records.call(WORKFLOW, "planned__pet-insurance-1", usd)
    records.call(WORKFLOW, "manual__2026-11-29", 0.3, TEN + 7 * DAY)
    records.open(WORKFLOW, "manual__2026-11-29", TEN + 7 * DAY)
    records.call("plan_workflow", "pet-insurance-1", 0.03, TEN - 60)
    return home


def test_every_command_prints_what_the_page_shows(chassis: Chassis, home: Path) -> None:
    shown = transcript()
    assert [command.split()[0] for command, _ in shown] == ["limits", "limits", "costs", "costs"]
    for command, output in shown:
        result = chassis(*shlex.split(command))
        assert result.exit_code == 0
        printed = [line.replace(price_date(), "LIST") for line in _filled(result.stdout.splitlines())]
        expected = [re.sub(r"now: genai-prices \S+, .*\d\.$", "now: LIST.", line) for line in output]
        assert printed == expected, f"chassis {command}"


def test_the_error_is_the_one_that_a_spent_limit_raises(home: Path) -> None:
    ledger = RunLedger(open_files(str(home / "records")), WORKFLOW, "planned__pet-insurance-1")
    [plan] = blocks("yaml")
    budget = load_plan(plan).limits.budget_usd
    assert budget is not None
    spent = ledger.totals().spent_usd
    assert spent >= budget
    error = LimitSpentError(
        scope="run",
        limit_name="budget_usd",
        limit=budget,
        spent=spent,
        workflow_id=WORKFLOW,
        task_id="verify_service",
        item="pricing",
    )
    assert _one_line(f"LimitSpentError: {error}") in [_one_line(block) for block in blocks("text")]


def test_the_line_of_status_is_the_one_that_is_printed() -> None:
    view = {"planning": planning(whole=spent(0.03, 0.03)), "seconds": 95.23}
    whole = spent(1.0212, 1.0212, limits={"budget_usd": 1.0})
    line = totals(report(row("t", "failed"), state="failed", spending=whole, **view)).plain
    money = line.partition(" · ")[2]
    assert money == "$1.0212 of $1.00 · planning: 45 tokens, $0.03 · together: 1,575 tokens, $1.0512 · 95.2 s"
    shown = re.escape(money).replace("45", r"[\d,]+").replace("1,575", r"[\d,]+")
    assert any(re.search(rf"^Run failed: .* · {shown}$", block, re.MULTILINE) for block in blocks("text"))


def test_the_settings_are_those_of_the_ceilings() -> None:
    [block] = blocks("ini")
    names = {line.partition("=")[0].strip() for line in block.splitlines() if "=" in line}
    assert names == {f"run_{name}" for name in RunLimits().deployment.model_fields}


def _one_line(text: str) -> str:
    return " ".join(text.split())
