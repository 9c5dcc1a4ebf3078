"""Importing what a plan is loads little, and reading a plan loads no more than the plan needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "add_pet_insurance.yaml"
HEAVY = {
    "airflow",
    "anthropic",
    "boto3",
    "botocore",
    "fastapi",
    "jsonschema",
    "croniter",
    "requests",
    "pendulum",
}


def loaded_after(code: str) -> set[str]:
    """The top-level packages that a fresh Python has loaded after some code."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def test_the_import_loads_neither_airflow_nor_a_client_nor_what_few_plans_need() -> None:
    loaded = loaded_after("import chassis.workflow, chassis.agents, chassis.catalogue")
    assert "chassis" in loaded
    assert not loaded & HEAVY


def test_a_plan_without_schedule_and_output_schema_needs_no_more() -> None:
    plan = "{schema_version: 1, id: w, title: W, requirement: R, tasks: [{id: a, name: A, instruction: Do.}]}"
    assert not loaded_after(f"from chassis.workflow import load_plan\nload_plan({plan!r})") & HEAVY


def test_a_plan_with_both_needs_croniter_and_jsonschema() -> None:
    code = f"from chassis.workflow import load_plan\nload_plan(open({str(GOLDEN)!r}, 'rb').read())"
    assert {"croniter", "jsonschema"} <= loaded_after(code)
