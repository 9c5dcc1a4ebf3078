from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[3]
HEAVY = ("anthropic", "boto3", "botocore", "fastapi", "uvicorn", "genai_prices", "httpx2", "aiohttp")
"""What Chassis keeps out of parsing. (jsonschema is not among them: Airflow's own Param imports it.)"""

PARSE = """
import runpy, sys, time
before = set(sys.modules)
started = time.perf_counter()
{code}
print(time.perf_counter() - started, *sorted(name for name in {heavy!r} if name in sys.modules and name not in before))
"""


def _run(code: str) -> tuple[float, list[str]]:
    """Seconds that the code took in a fresh process, and the heavy modules that it loaded there."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE.format(code=code, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    seconds, *heavy = done.stdout.splitlines()[-1].split()
    return float(seconds), heavy


def test_the_measure_sees_a_heavy_import() -> None:
    assert "anthropic" in _run("import airflow.sdk; import anthropic")[1]


def test_parsing_dag_files_and_plugins_imports_nothing_heavy(figure: Callable[[str], None]) -> None:
    files = [file for folder in ("dags", "plugins", "examples") for file in PROJECT.glob(f"{folder}/*.py")]
    assert len(files) >= 9
    airflow = "import airflow.sdk, airflow.triggers.base, airflow.plugins_manager"
    ours = "\n".join(f"runpy.run_path({str(file)!r})" for file in files)
    everything = f"{airflow}\n{ours}\nimport chassis.provider, chassis.plans.bundle"
    seconds, heavy = _run(everything)
    assert heavy == []
    figure(
        f"import of all DAG files and plugins: {seconds:.2f} s, of it Airflow itself {_run(airflow)[0]:.2f} s"
    )


NAMES = """
import sys
import chassis
print(*sorted(name for name in sys.modules if name.startswith(("chassis.", "airflow", "pydantic"))))
print(*(f"{getattr(chassis, name).__module__}.{name}" for name in chassis.__all__ if name != "__version__"))
"""


def test_the_public_names_are_imported_when_they_are_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True)
    before, names = done.stdout.splitlines()[-2:]
    assert before == ""
    assert names.split() == [
        "chassis.dag.operators.ClaudeTaskOperator",
        "chassis.workflow.spec.Limits",
        "chassis.plans.bundle.PlanBundle",
        "chassis.workflow.spec.SpendLimits",
        "chassis.workflow.spec.TaskSpec",
        "chassis.workflow.spec.WorkflowSpec",
        "chassis.dag.planner.planner_dag",
    ]
