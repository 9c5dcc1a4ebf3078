"""The documentation: what in it can be checked by code is."""

from __future__ import annotations

import configparser
import json
import re
import runpy
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.file import might_contain_dag

import chassis
from chassis import errors
from chassis.agents import load_agents
from chassis.catalogue import load_catalogue
from chassis.workflow import dump_plan, load_plan
from tests.unit.deployment.compose_file import COMPOSE_FILE, PROJECT
from tests.with_each import Test, with_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCS = PROJECT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), PROJECT / "AGENTS.md", PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md"]
)
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"yaml", "json", "python", "sh", "ini", "text", "cfg"}


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block in a language, with a name for the test report."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match[2] == language:
                line = text.count("\n", 0, match.start()) + 1
                block = re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
                found.append((f"{page.relative_to(PROJECT)}:{line}", block))
    return found


def by_name(found: list[tuple[str, str]]) -> Callable[[Test], Test]:
    return with_each("block", dict(found))


PLANS = [(name, block) for name, block in blocks("yaml") if block.startswith("schema_version")]


@by_name(PLANS)
def test_every_plan_in_the_documentation_is_one(block: str) -> None:
    plan = load_plan(block)
    assert load_plan(dump_plan(plan)) == plan


def test_there_are_plans_to_check() -> None:
    assert PLANS


def test_the_tests_that_security_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (DOCS / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [path for path in named if not (PROJECT / path).exists()] == []


@by_name(blocks("json"))
def test_every_json_block_is_json(block: str) -> None:
    json.loads(block)


@by_name(blocks("python"))
def test_every_python_block_compiles(block: str) -> None:
    compile(block, "documentation", "exec")


@by_name(blocks("sh"))
def test_every_shell_block_parses(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block.encode(), check=True)


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(_BLOCK.findall(text)), page
        assert {match[2] for match in _BLOCK.finditer(text)} <= LANGUAGES, page


@with_each("page", PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        assert PROJECT in other.parents, target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


class TestReference:
    @pytest.fixture(scope="class")
    def generator(self) -> dict[str, Any]:
        return runpy.run_path(str(DOCS / "reference" / "generate.py"))

    @with_each("page", PAGES)
    def test_the_tables_are_those_of_the_code(self, page: Path, generator: dict[str, Any]) -> None:
        text = page.read_text(encoding="utf-8")
        assert generator["page"](text) == text, "run: python docs/reference/generate.py"

    def test_every_table_has_its_place(self, generator: dict[str, Any]) -> None:
        text = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
        shown = set(re.findall(r"<!-- generated: (\w+) -->", text))
        assert shown == {*generator["PARTS"], "Errors", "CommandLine", "Models", "Python"}


class TestDependencies:
    """``docs/dependencies.md`` and ``pyproject.toml`` name the same packages under the same headings."""

    @pytest.fixture(scope="class")
    def documented(self) -> dict[str, list[str]]:
        text = (DOCS / "dependencies.md").read_text(encoding="utf-8")
        sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
        named = re.compile(r"^\| `([^`]+)`", re.MULTILINE)
        return {heading: named.findall(rows) for heading, rows in sections.items()}

    @pytest.mark.parametrize(
        ("heading", "path"),
        [
            ("To run", "project.dependencies"),
            ("To keep plans on S3 (extra `s3`)", "project.optional-dependencies.s3"),
            ("To develop and test", "dependency-groups.dev"),
            ("To run in containers (group `image`)", "dependency-groups.image"),
        ],
    )
    def test_each_has_a_line_and_each_line_is_one(
        self, heading: str, path: str, documented: dict[str, list[str]]
    ) -> None:
        part = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
        for key in path.split("."):
            part = part[key]
        names = [re.split(r"[<>=!~; ]", requirement)[0] for requirement in part]
        plain = [name if "s3" in path else name.partition("[")[0] for name in names]
        assert sorted(documented[heading]) == sorted(plain)

    def test_there_is_no_further_extra_or_group(self, documented: dict[str, list[str]]) -> None:
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
        further = [*project["project"]["optional-dependencies"], *project["dependency-groups"]]
        assert len(documented) == 1 + len(further)


class TestExamples:
    """Examples that stand for a file or a setting are taken by what reads these."""

    def test_the_agent_is_one(self, tmp_path: Path) -> None:
        [agent] = [block for name, block in blocks("text") if "write-an-agent" in name]
        (tmp_path / "agent.md").write_text(agent, encoding="utf-8")
        assert list(load_agents(tmp_path)) == ["api-reviewer"]

    def test_the_catalogue_is_one(self, tmp_path: Path) -> None:
        [services] = [block for name, block in blocks("yaml") if "catalogue" in name]
        path = tmp_path / "services.yaml"
        path.write_text(services, encoding="utf-8")
        assert load_catalogue(path).names == ("pricing", "claims")

    @by_name([(name, block) for name, block in blocks("json") if '"conn_type"' in block])
    def test_the_connection_is_read_without_a_fault(
        self, block: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from chassis.claude.hook import ClaudeBedrockHook

        monkeypatch.setenv("AIRFLOW_CONN_CLAUDE_BEDROCK", block)
        hook = ClaudeBedrockHook()
        extra = json.loads(block)["extra"]
        known = {"role_arn", "profile_name", "assume_role_method", "assume_role_kwargs", "aws_session_token"}
        assert hook.region_name == "us-east-1"
        assert {name: getattr(hook.conn_config, name) for name in known & extra.keys()} == {
            name: extra[name] for name in known & extra.keys()
        }
        service = extra.get("service_config", {}).get("bedrock-runtime", {})
        assert hook.conn_config.get_service_endpoint_url("bedrock-runtime") == service.get("endpoint_url")
        assert hook.claude_options.max_retries == 2

    def test_the_configuration_of_ones_own_airflow_names_the_bundle(self) -> None:
        [own] = [block for name, block in blocks("ini") if "own-airflow" in name]
        parser = configparser.ConfigParser()
        parser.read_string(own)
        bundles = json.loads(parser["dag_processor"]["dag_bundle_config_list"])
        assert [bundle["name"] for bundle in bundles] == ["dags-folder", "chassis"]

    @by_name([(name, block) for name, block in blocks("python") if "dag" in block])
    def test_a_dag_file_is_loaded(self, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", str(tmp_path))
        file = tmp_path / "documented.py"
        file.write_text(block, encoding="utf-8")
        assert might_contain_dag(str(file), safe_mode=True), "Airflow passes over a file without its words"
        found = DagBag(file)
        assert found.import_errors == {}
        assert "load_current_dags" in block or (
            all(dag.task_dict for dag in found.dags.values()) and found.dags
        )

    def test_the_dag_files_of_the_project_are_the_documented_ones(self) -> None:
        documented = ["".join(block.split('"""')[2:]) for _, block in blocks("python")]
        for name in ("plan_workflow", "recurring_onboarding", "chassis_upkeep", "workflows"):
            code = (PROJECT / "dags" / f"{name}.py").read_text(encoding="utf-8")
            assert "".join(code.split('"""')[2:]) in documented, name


def test_every_command_in_the_documentation_exists_with_its_options() -> None:
    import typer

    from chassis.cli.main import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    used = set()
    for page in [*PAGES, PROJECT / "docker-compose.yaml"]:
        for name, rest in re.findall(
            r"(?<![\w/.-])chassis (?!import )([a-z]+)([^`\n]*)", page.read_text(encoding="utf-8")
        ):
            used.add(name)
            assert name in commands, f"chassis {name} in {page.name}"
            known = {option for parameter in commands[name].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"chassis {name}{rest} in {page.name}"
    assert {"doctor", "retry", "run", "up"} <= used


def test_the_table_of_errors_names_those_that_a_call_can_end_in() -> None:
    table = (
        (DOCS / "bedrock.md").read_text(encoding="utf-8").split("## What an error means")[1].split("\n## ")[0]
    )
    named = set(re.findall(r"`(\w+Error)`", "\n".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE))))
    assert named == {error.__name__ for error in errors.ClaudeError.__subclasses__()}
    retried = {
        name
        for row in re.findall(r"^\| `.*\| retried.*$", table, re.MULTILINE)
        for name in re.findall(r"\w+Error", row)
    }
    assert retried == {name for name in named if getattr(errors, name).retryable}


def test_the_table_of_make_targets_names_all_of_them() -> None:
    targets = set(
        re.findall(r"^([a-z]+):.*##", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    table = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z]+)`", table)) == targets - {"help"}


def test_the_table_of_the_planners_parameters_names_all_of_them() -> None:
    from chassis.dag.planner import planner_dag

    table = (DOCS / "how-to" / "trigger-by-rest.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", table, re.MULTILINE)
    documented = {
        name: default
        for names, defaults in rows
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=True)
    }
    params = planner_dag("planner").params
    assert documented.keys() == params.keys()
    for name, default in documented.items():
        given = params.get_param(name).value
        is_set = given is None or isinstance(given, str | int | dict)
        assert default == (f"`{json.dumps(given)}`" if is_set else "required"), name


def test_the_version_is_the_same_wherever_it_stands() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert chassis.__version__ == version
    assert f"airflow-chassis:{version}\n" in COMPOSE_FILE.read_text(encoding="utf-8")
    assert re.search(
        rf"^## {re.escape(version)} ", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
