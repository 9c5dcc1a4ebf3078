from __future__ import annotations

import re
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
import sys, time
start = time.process_time()
import chassis
print(f"{(time.process_time() - start) * 1e6:.0f}", *sys.modules)
for name in chassis.__all__: getattr(chassis, name)
"""


def test_the_public_names_are_imported_when_they_are_asked_for(figure: Callable[[str], None]) -> None:
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True)
    microseconds, *modules = done.stdout.splitlines()[-1].split()
    assert [
        name for name in modules if name.startswith(("chassis.", "airflow", "pydantic", "anthropic"))
    ] == []
    figure(f"import chassis: {microseconds} µs")


def test_a_type_checker_knows_the_public_names_from_the_same_modules() -> None:
    import chassis

    source = Path(chassis.__file__).read_text(encoding="utf-8")
    typed = re.findall(r"^    from chassis\.(\S+) import (\w+) as \2$", source, re.MULTILINE)
    assert {name: module for module, name in typed} == chassis._MODULES
    assert (Path(chassis.__file__).parent / "py.typed").exists()
