from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]
HEAVY = ("anthropic", "boto3", "botocore", "fastapi", "uvicorn", "genai_prices", "httpx2", "aiohttp")
"""What Chassis keeps out of parsing. (jsonschema is not among them: Airflow's own Param imports it.)"""

PARSE = """
import runpy, sys
before = set(sys.modules)
{code}
print(*sorted(name for name in {heavy!r} if name in sys.modules and name not in before))
"""


def _heavy_after(code: str) -> list[str]:
    """Which heavy modules a fresh process holds after running the code that Airflow itself had not loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE.format(code=code, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    return done.stdout.splitlines()[-1].split()


def test_the_measure_sees_a_heavy_import() -> None:
    assert "anthropic" in _heavy_after("import airflow.sdk; import anthropic")


def test_parsing_dag_files_and_plugins_imports_nothing_heavy() -> None:
    files = [*PROJECT.glob("dags/*.py"), *PROJECT.glob("plugins/*.py")]
    assert len(files) >= 4
    code = "\n".join(f"runpy.run_path({str(file)!r})" for file in files)
    assert _heavy_after(f"{code}\nimport chassis.provider, chassis.plans.bundle") == []
