"""``docker-compose.yaml``, checked without an engine: what only a container could show is not shown here."""

from __future__ import annotations

import ast
import importlib.resources
import json
import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airflow.config_templates
import pytest
import yaml
from airflow.sdk import Connection

from chassis.local.stack_environment import StackPlan, component_environment
from chassis.local.stack_keys import Keys
from chassis.settings import SECTION, Settings
from tests.unit.deployment import compose_file
from tests.unit.deployment.compose_file import AIRFLOW_SERVICES, PROJECT, MissingVariableError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Services = dict[str, dict[str, Any]]

OPERATIONS = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
SECRETS = {
    "CHASSIS_ADMIN_PASSWORD",
    "CHASSIS_API_SECRET_KEY",
    "CHASSIS_CONNECTION",
    "CHASSIS_FERNET_KEY",
    "CHASSIS_JWT_SECRET",
    "CHASSIS_POSTGRES_PASSWORD",
    "CHASSIS_REDIS_PASSWORD",
}
GIVEN = {name: f"the-{name.lower()}" for name in SECRETS}
NEEDED_EVERYWHERE = {
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CHASSIS__PLANS_ROOT",
    "AIRFLOW__CHASSIS__RECORDS_ROOT",
    "AIRFLOW__CORE__AUTH_MANAGER",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__LOAD_EXAMPLES",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
    "AIRFLOW__DAG_PROCESSOR__FILE_PARSING_SORT_MODE",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX",
    "AIRFLOW_CONN_CLAUDE_BEDROCK",
}
"""What Chassis on Celery needs, with one and the same value, in every Airflow service."""

KEYS = {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return compose_file.read(GIVEN)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> Services:
    return compose["services"]


def environment(services: Services, name: str) -> dict[str, str]:
    return services[name]["environment"]


class TestCompose:
    @pytest.fixture(scope="class")
    def schema(self) -> Validator:
        from jsonschema.validators import validator_for

        found = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
        schema = json.loads(found.read_text())
        return validator_for(schema)(schema)

    def test_the_file_keeps_composes_own_schema(self, schema: Validator) -> None:
        assert [error.message for error in schema.iter_errors(yaml.safe_load(compose_file.text()))] == []

    def test_the_schema_would_notice_a_misspelt_key(self, schema: Validator) -> None:
        wrong = yaml.safe_load(compose_file.text())
        wrong["services"]["redis"]["heathcheck"] = wrong["services"]["redis"].pop("healthcheck")
        assert any("heathcheck" in error.message for error in schema.iter_errors(wrong))

    def test_an_override_for_many_machines_as_documented_only_publishes_ports_of_services_that_exist(
        self, schema: Validator, services: Services
    ) -> None:
        block = re.search(r"```yaml\n(services:.*?)```", OPERATIONS, re.DOTALL)
        assert block
        override = yaml.safe_load(block[1])
        assert list(schema.iter_errors(override)) == []
        assert override["services"].keys() == {"api-server", "postgres", "redis"} <= services.keys()

    def test_it_describes_all_services_of_a_celery_deployment(self, services: Services) -> None:
        assert services.keys() == {*AIRFLOW_SERVICES, "postgres", "redis", "simulator"}
        assert services["simulator"]["profiles"] == ["simulator"]
        assert not [name for name in services if name != "simulator" and "profiles" in services[name]]

    def test_every_service_that_one_waits_for_exists_and_can_meet_the_condition(
        self, services: Services
    ) -> None:
        for name, service in services.items():
            for other, how in service.get("depends_on", {}).items():
                assert other in services, f"{name} waits for {other}, which doesn't exist"
                condition = how["condition"]
                if condition == "service_completed_successfully":
                    assert services[other]["restart"] == "no", f"{other} never ends"
                else:
                    assert condition == "service_healthy"
                    assert "healthcheck" in services[other], f"{name} would wait for {other} for ever"

    def test_everything_but_the_set_up_waits_until_the_set_up_has_ended(self, services: Services) -> None:
        for name in AIRFLOW_SERVICES[1:]:
            assert services[name]["depends_on"]["init"] == {"condition": "service_completed_successfully"}

    def test_every_service_that_stays_has_a_health_check_and_comes_back(self, services: Services) -> None:
        for name, service in services.items():
            if name != "init":
                assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
                assert service["restart"] == "unless-stopped", name

    def test_all_airflow_services_run_one_image_that_is_built_here(self, services: Services) -> None:
        version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
        for name in (*AIRFLOW_SERVICES, "simulator"):
            assert services[name]["image"] == f"airflow-chassis:{version}"
            assert (PROJECT / services[name]["build"] / "Dockerfile").is_file()

    def test_foreign_images_name_a_version(self, services: Services) -> None:
        for name in ("postgres", "redis"):
            assert re.fullmatch(rf"{name}:\d+(\.\d+)?-bookworm", services[name]["image"])

    def test_volumes_are_declared_and_used(self, compose: dict[str, Any], services: Services) -> None:
        used = {mount.split(":")[0] for service in services.values() for mount in service.get("volumes", [])}
        assert used == compose["volumes"].keys()

    def test_airflow_services_share_plans_records_and_logs(self, services: Services) -> None:
        for name in AIRFLOW_SERVICES:
            shared = {f"{folder}:/opt/airflow/{folder}" for folder in ("plans", "records", "logs")}
            assert shared <= set(services[name]["volumes"])

    def test_a_folder_of_aws_profiles_is_mounted_read_only(self) -> None:
        given = {**GIVEN, "CHASSIS_AWS_FOLDER": "~/.aws"}
        mounts = compose_file.read(given)["services"]["worker"]["volumes"]
        assert "~/.aws:/home/airflow/.aws:ro" in mounts


class TestSecrets:
    def test_secrets_must_be_given_and_nothing_else_must(self) -> None:
        required = {name for name, operator in compose_file.variables().items() if operator == ":?"}
        assert required == SECRETS

    @pytest.mark.parametrize("name", sorted(SECRETS))
    def test_without_one_of_them_nothing_starts(self, name: str) -> None:
        with pytest.raises(MissingVariableError, match=name):
            compose_file.read({key: value for key, value in GIVEN.items() if key != name})

    def test_git_ignores_the_files_that_hold_them(self) -> None:
        ignored = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
        assert {".env", "airflow.env", "docker-compose.override.yaml"} <= set(ignored)

    def test_no_value_in_the_file_is_a_secret_of_its_own(self, services: Services) -> None:
        for name, service in services.items():
            for key, value in (service.get("environment") or {}).items():
                if re.search(r"PASSWORD|SECRET|FERNET|BROKER_URL|SQL_ALCHEMY_CONN|REDISCLI_AUTH", key):
                    given = value is None or any(secret in value for secret in GIVEN.values())
                    assert given, f"{key} of {name} has a value of its own"

    def test_nothing_listens_beyond_this_machine(self, services: Services) -> None:
        published = {name: service["ports"] for name, service in services.items() if "ports" in service}
        assert published == {"api-server": ["127.0.0.1:8080:8080"]}

    def test_all_components_but_workers_share_the_keys(self, services: Services) -> None:
        for name in AIRFLOW_SERVICES:
            has = {key: value for key, value in environment(services, name).items() if key in KEYS}
            wanted = {
                "AIRFLOW__CORE__FERNET_KEY": GIVEN["CHASSIS_FERNET_KEY"],
                "AIRFLOW__API_AUTH__JWT_SECRET": GIVEN["CHASSIS_JWT_SECRET"],
            }
            assert has == ({} if name == "worker" else wanted), name

    def test_the_simulator_gets_no_secrets(self, services: Services) -> None:
        assert not {"environment", "env_file", "volumes"} & services["simulator"].keys()

    def test_airflow_can_gain_no_privileges(self, services: Services) -> None:
        for name in (*AIRFLOW_SERVICES, "simulator"):
            assert services[name]["cap_drop"] == ["ALL"]
            assert services[name]["security_opt"] == ["no-new-privileges:true"]
            assert "user" not in services[name], "the image's own user is not root"


class TestSettings:
    @pytest.fixture(scope="class")
    def options(self) -> set[tuple[str, str]]:
        """Every option of Airflow, of the Celery provider and of Chassis."""
        templates = importlib.resources.files(airflow.config_templates)
        own = yaml.safe_load((templates / "config.yml").read_text())
        found = {(section, name) for section, described in own.items() for name in described["options"]}
        providers = (templates / "provider_config_fallback_defaults.cfg").read_text()
        section = ""
        for line in providers.splitlines():
            if header := re.fullmatch(r"\[(\w+)\]", line):
                section = header[1]
            elif option := re.match(r"(\w+) =", line):
                found.add((section, option[1]))
        return found | {(SECTION, name) for name in Settings.model_fields}

    def test_every_option_exists(self, services: Services, options: set[tuple[str, str]]) -> None:
        for name in AIRFLOW_SERVICES:
            for key in environment(services, name):
                if key.startswith("AIRFLOW__"):
                    section, option = key.removeprefix("AIRFLOW__").lower().split("__", 1)
                    assert (section, option) in options, f"{key} of {name} is no option of Airflow 3.3"

    def test_every_option_in_the_documentation_exists(self, options: set[tuple[str, str]]) -> None:
        pages = "".join(page.read_text(encoding="utf-8") for page in (PROJECT / "docs").rglob("*.md"))
        named = re.findall(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)", pages.replace("AIRFLOW__SECTION__NAME", ""))
        named += re.findall(r"\[([a-z_]+)\] ([a-z_]+)", pages)
        assert len(named) > 10
        assert {(section.lower(), option.lower()) for section, option in named} <= options

    def test_an_option_that_airflow_has_dropped_would_be_noticed(self, options: set[tuple[str, str]]) -> None:
        assert ("webserver", "secret_key") not in options
        assert ("celery", "broker_url") in options

    @pytest.mark.parametrize("name", AIRFLOW_SERVICES)
    def test_each_service_has_what_chassis_needs(self, name: str, services: Services) -> None:
        assert environment(services, name).keys() >= NEEDED_EVERYWHERE

    def test_the_services_agree(self, services: Services) -> None:
        for key in NEEDED_EVERYWHERE:
            assert len({environment(services, name)[key] for name in AIRFLOW_SERVICES}) == 1, key

    def test_it_sets_what_the_local_stack_sets_for_plans_to_become_dags(self, services: Services) -> None:
        keys = Keys(fernet_key="", jwt_secret="", api_secret_key="", password="")
        plan = StackPlan(home=Path("/home"), dags_folder=Path("/dags"), port=8080, simulator_port=None)
        local, ours = component_environment(plan, keys, {}), environment(services, "scheduler")
        for key in (
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL",
            "AIRFLOW__DAG_PROCESSOR__FILE_PARSING_SORT_MODE",
        ):
            assert ours[key] == local[key], key
        name = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
        theirs = json.loads(local[name])
        for bundle in theirs:
            # The image's DAG files are where Airflow looks for them anyway.
            bundle["kwargs"].pop("path", None)
        assert json.loads(ours[name]) == theirs
        assert "chassis.plans.bundle.PlanBundle" in [bundle["classpath"] for bundle in theirs]

    @pytest.mark.parametrize("root", ["PLANS_ROOT", "RECORDS_ROOT"])
    def test_plans_and_records_may_be_on_s3_by_one_variable_each(self, root: str) -> None:
        given = {**GIVEN, f"CHASSIS_{root}": "s3://bucket/prefix"}
        services = compose_file.read(given)["services"]
        roots = {environment(services, name)[f"AIRFLOW__CHASSIS__{root}"] for name in AIRFLOW_SERVICES}
        assert roots == {"s3://bucket/prefix"}

    def test_a_further_machine_needs_one_variable_to_find_the_main_one(self) -> None:
        services = compose_file.read({**GIVEN, "CHASSIS_MAIN_HOST": "10.0.0.5"})["services"]
        worker = environment(services, "worker")
        assert worker["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://10.0.0.5:8080/execution/"
        assert "@10.0.0.5:6379/" in worker["AIRFLOW__CELERY__BROKER_URL"]
        assert "@10.0.0.5/airflow" in worker["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]

    def test_below_a_sub_path_everyone_asks_there(self) -> None:
        """Airflow's API server answers nowhere else then, see ``tests/browser/test_sub_path.py``."""
        given = {**GIVEN, "CHASSIS_URL": "https://tools.example", "CHASSIS_PATH": "/airflow"}
        services = compose_file.read(given)["services"]
        worker = environment(services, "worker")
        assert worker["AIRFLOW__API__BASE_URL"] == "https://tools.example/airflow"
        assert (
            worker["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/airflow/execution/"
        )
        assert services["api-server"]["healthcheck"]["test"][-1].startswith(
            "http://localhost:8080/airflow/api/"
        )

    def test_on_one_machine_the_addresses_are_services(self, services: Services) -> None:
        worker = environment(services, "worker")
        hosts = set(re.findall(r"(?:@|http://)([a-z-]+)", " ".join(worker[key] for key in NEEDED_EVERYWHERE)))
        assert hosts - {"localhost"} == {"api-server", "postgres", "redis"} <= services.keys()


class TestSetUp:
    """The script of the service ``init``, run with an ``airflow`` that writes down what it was asked."""

    @pytest.fixture
    def script(self, services: Services) -> list[str]:
        return services["init"]["command"]

    @pytest.fixture
    def run(self, script: list[str], tmp_path: Path) -> Any:
        log = tmp_path / "asked"

        def run(fails_on: str) -> tuple[int, list[str]]:
            stand_in = tmp_path / "airflow"
            stand_in.write_text(f'#!/bin/sh\necho "$*" >> {log}\ncase "$*" in "{fails_on}"*) exit 1;; esac\n')
            stand_in.chmod(stat.S_IRWXU)
            env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CHASSIS_ADMIN_PASSWORD": "a b"}
            code = subprocess.run(script, env=env, check=False).returncode
            return code, log.read_text(encoding="utf-8").splitlines()

        return run

    def test_the_first_time_it_makes_database_account_and_pool(self, run: Any) -> None:
        code, asked = run(fails_on="pools get")
        assert code == 0
        steps = [line.split(" --")[0] for line in asked]
        assert steps == ["db migrate", "users create", "pools get bedrock", "pools set"]
        assert "--password a b --role Admin" in asked[1]

    def test_the_pool_is_the_one_of_airflow_settings(self, run: Any) -> None:
        settings = yaml.safe_load((PROJECT / "airflow_settings.yaml").read_text())["airflow"]
        [pool] = settings["pools"]
        assert pool["pool_include_deferred"] is True
        facts = f"{pool['pool_name']} {pool['pool_slot']} {pool['pool_description']}"
        assert run(fails_on="pools get")[1][-1] == f"pools set --include-deferred {facts}"
        assert pool["pool_name"] == Settings().pool
        others = [*settings["connections"], *settings["variables"]]
        assert not any(value for entry in others for value in entry.values()), "Compose applies pools only"

    def test_a_pool_that_is_there_keeps_its_slots(self, run: Any) -> None:
        code, asked = run(fails_on="nothing")
        assert (code, asked[-1]) == (0, "pools get bedrock")

    def test_it_fails_when_the_database_cannot_be_made(self, run: Any) -> None:
        code, asked = run(fails_on="db migrate")
        assert (code, len(asked)) == (1, 1)


class TestDocumentation:
    def test_every_variable_is_documented_and_every_documented_one_is_used(self) -> None:
        table = OPERATIONS.split("## Variables")[1].split("\n## ")[0]
        rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
        documented = set(re.findall(r"`([A-Z_]+)`", " ".join(rows)))
        assert documented == compose_file.variables().keys() | compose_file.passed_on()

    def test_the_documentation_says_which_must_be_given_and_the_defaults_of_the_others(self) -> None:
        used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", compose_file.text()))
        for name, operator in compose_file.variables().items():
            row = next(line for line in OPERATIONS.splitlines() if line.startswith(f"| `{name}` |"))
            default = row.split("|")[2].strip()
            if operator == ":?":
                assert default == "required", name
            elif default.startswith("`"):
                assert default == f"`{used[name]}`", name

    def test_the_documented_commands_write_a_file_that_starts_it(self, tmp_path: Path) -> None:
        block = re.search(r"```sh\n(secret\(\).*?)```", OPERATIONS, re.DOTALL)
        assert block
        subprocess.run(["bash", "-euc", block[1]], cwd=tmp_path, check=True)
        written = tmp_path / ".env"
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
        given = dict(line.split("=", 1) for line in written.read_text().splitlines())
        assert len(set(given.values())) == len(given), "each secret is another one"
        services = compose_file.read(given)["services"]
        key = environment(services, "api-server")["AIRFLOW__CORE__FERNET_KEY"]
        from cryptography.fernet import Fernet

        assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
        address = environment(services, "worker")["AIRFLOW_CONN_CLAUDE_BEDROCK"]
        ours = Connection.from_uri(address, "claude_bedrock")
        assert (ours.conn_type, ours.login, ours.host) == ("aws", None, "")

    def test_the_documented_connection_reaches_the_simulator_with_the_pair_that_it_accepts(
        self, services: Services
    ) -> None:
        from chassis.local.simulator import sigv4

        address = re.search(r"CHASSIS_CONNECTION='(aws://.*?)'", OPERATIONS)
        assert address
        connection = Connection.from_uri(address[1], "claude_bedrock")
        command = services["simulator"]["command"]
        options = dict(zip(command[::2], command[1::2], strict=True))
        assert connection.extra_dejson == {
            "region_name": "us-east-1",
            "endpoint_url": f"http://simulator:{options['--port']}",
        }
        assert options["--host"] == "0.0.0.0"
        assert str(options["--port"]) in services["simulator"]["healthcheck"]["test"][-1]
        source = ast.unparse(ast.parse(Path(sigv4.__file__).read_text()))
        assert repr(connection.login) in source
        assert repr(connection.password) in source
