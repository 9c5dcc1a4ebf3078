"""Whatever is written behind ``chassis``, the answer is a sentence and one of four exit codes, never a traceback.

The commands, options and arguments are read from the tree that Typer builds, so a new one is tried by itself. Nothing
is started: Airflow is the fake one, and what would start or end a process is replaced.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from chassis.cli.main import app
from chassis.errors.client import StackError
from chassis.plans.store import PlanStore
from chassis.workflow import check_plan
from tests.unit.cli.made_up_runs import RUN, SPEC, workflow_run
from tests.unit.fake_airflow import FakeDag, task
from tests.with_each import with_each

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
EXIT_CODES = {0, 1, 2, 3}

NUMBERS = (
    "inf",
    "-inf",
    "nan",
    "1e999",
    "0",
    "-1",
    "12e4567",
    "9" * 400,
    "9" * 5_000,
    "1_0",
    "٣",
    "0x10",
    "",
    " 1 ",
)
DEEP = "[" * 50_000
HOSTILE = (
    *(
        "caf\udce9",
        "\udcff\udcfe",
        "\x1b[31m",
        "\x1b]0;t\x07",
        "\x7f",
        "\x85",
        "\u202e",
        "\ufeff",
        "\u2028",
        "\n",
    ),
    *(
        "",
        " ",
        "-",
        "--",
        "=",
        ":=",
        "a=",
        "a:=",
        "=a",
        "none",
        "latest",
        "~",
        ".",
        "..",
        "/",
        "%",
        "a/../b",
        "\t",
    ),
    *(
        f"a:={text}"
        for text in ("NaN", "9" * 5_000, "1e999", DEEP, '{"a":' * 2_000, '["a",1]', "null", "1.10")
    ),
    *(
        DEEP,
        "{" * 3_000,
        "a" * 600,
        "a" * 120_000,
        "é",
        "e\u0301",
        "🏴\U000e0067\U000e007f",
        "{{ 7 * 7 }}",
        "[bold]x",
    ),
    *(
        "'",
        '"',
        "\\",
        "$(id)",
        "/dev/null",
        "/dev/null/x",
        "/proc/self/mem",
        "/nonexistent/plan.yaml",
        "x" * 300 + "/y",
    ),
)
GOOD = {"requirement": "Onboard", "workflow": "onboard", "task": "report", "a": "1", "b": "1"}
"""Arguments by their names that get a command past its first look, so that what is tried is reached."""


def texts(parameter: Any) -> st.SearchStrategy[str]:
    """What may be written for a parameter: mostly what is a trap for its kind."""
    free = st.text(
        st.characters(exclude_characters="\x00"), max_size=12
    )  # surrogates: an argument in Latin-1
    hostile = st.sampled_from(HOSTILE) | free
    numeric = parameter.type_descriptor.annotation in (int, float) or "N" in str(
        parameter.metavar or ""
    ).split("|")
    return (st.sampled_from(NUMBERS) | st.floats().map(str) | hostile) if numeric else hostile


def written(parameter: Any) -> st.SearchStrategy[list[str]]:
    """What may stand on the line for a parameter."""
    if parameter.param_type_name == "argument":
        return texts(parameter).map(lambda text: [text])
    name = st.sampled_from([*parameter.opts, *parameter.secondary_opts])
    if parameter.is_flag:
        return name.map(lambda option: [option])
    pair = st.tuples(name, texts(parameter))
    return pair.map(list) | pair.map(lambda both: ["=".join(both)])


def lines(command: Any, tried: Any) -> st.SearchStrategy[list[str]]:
    """Command lines in which one parameter is a trap, beside good arguments and perhaps another option."""
    arguments = [
        written(each) if each is tried else st.just([GOOD.get(each.name, "onboard")])
        for each in command.params
        if each.param_type_name == "argument"
    ]
    options = [each for each in command.params if each.param_type_name == "option"]
    mine = [written(tried)] if tried in options else []
    another = st.just([]) | st.sampled_from(options).flatmap(written) if options else st.just([])
    return st.tuples(*arguments, *mine, another).map(lambda parts: list(chain(*parts)))


@pytest.fixture
def world(fake: FakeAirflow, chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home with a plan, an Airflow with its run, and nothing that would start or wait."""
    PlanStore(str(tmp_path / "home" / "plans")).publish(check_plan(SPEC))
    run = workflow_run(broken="claims")
    run.looks = 1
    tasks = [task("update", "report", mapped=True), task("report")]
    fake.dags["onboard"] = FakeDag(tasks, {RUN: run}, ("chassis", "revision:1"))
    fake.dags["plan_workflow"] = FakeDag(refuses="not in this test")

    def none(*_: Any, **__: Any) -> Any:
        return None

    def nobody(*_: Any, **__: Any) -> Any:
        raise StackError("No process is started in this test.")

    monkeypatch.setattr("subprocess.Popen", nobody)
    monkeypatch.setattr("chassis.local.stack.LocalStack.start", nobody)
    monkeypatch.setattr("chassis.local.simulator.runner.serve", none)
    monkeypatch.setattr("chassis.cli.doctor.examine", lambda home: [])
    monkeypatch.setattr("time.sleep", none)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@with_each(
    "name, parameter",
    {f"{name} {each.name}": (name, each) for name, command in COMMANDS.items() for each in command.params},
)
def test_no_argument_ends_in_a_traceback(
    name: str, parameter: Any, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["CHASSIS_AIRFLOW_URL"]

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(lines(COMMANDS[name], parameter), st.booleans())
    def tried(line: list[str], local: bool) -> None:
        monkeypatch.setenv("CHASSIS_AIRFLOW_URL", "" if local else url)
        result = CliRunner().invoke(app, [name, *line], input="")
        expected = result.exception is None or isinstance(result.exception, SystemExit)
        assert expected, f"{name} {line}: {result.exception!r}"
        assert result.exit_code in EXIT_CODES, line
        if result.exit_code in (2, 3):
            assert result.stderr.strip(), f"{line}: refused without a word"
        assert "Traceback" not in result.output

    tried()


@pytest.mark.parametrize("options", [["--nonsense"], ["nonsense"], ["--version", "\udce9"], ["\x1b"], ["-x"]])
def test_neither_does_what_stands_before_the_command(options: list[str]) -> None:
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert result.stderr.strip()
