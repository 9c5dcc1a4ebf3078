from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from chassis.local.stack_environment import (
    StackPlan,
    component_commands,
    component_environment,
    default_dags_folder,
    free_port,
    has_aws_credentials,
    usual_port,
)
from chassis.local.stack_keys import USERNAME, load_keys, password_file, read_password

DEVELOPER = {
    "PATH": "/usr/bin",
    "HOME": "/home/ann",
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_ENDPOINT_URL": "https://elsewhere.example",
    "AIRFLOW_HOME": "/srv/airflow",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
    "AIRFLOW__CORE__DAGS_FOLDER": "/srv/dags",
    "AIRFLOW_CONN_CLAUDE_BEDROCK": "aws://real",
    "AIRFLOW__CHASSIS__MODEL": "eu.anthropic.claude-sonnet-5",
    "AIRFLOW__CHASSIS__PLANS_ROOT": "s3://production/plans",
    "AIRFLOW__CHASSIS__RECORDS_ROOT": "s3://production/records",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "NO_PROXY": ".example",
}


def environment(tmp_path: Path, *, simulator_port: int | None = 7001, **extra: str) -> dict[str, str]:
    plan = StackPlan(tmp_path, tmp_path / "dags", 7000, simulator_port, extra, execution_port=7002)
    return component_environment(plan, load_keys(tmp_path), DEVELOPER)


def test_with_the_simulator_nothing_of_the_developers_aws_set_up_is_left(tmp_path: Path) -> None:
    found = environment(tmp_path)
    aws = {name: value for name, value in found.items() if name.startswith("AWS_")}
    assert aws == {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    assert json.loads(found["AIRFLOW_CONN_CLAUDE_BEDROCK"]) == {
        "conn_type": "aws",
        "login": "SIMULATED",
        "password": "simulated-not-claude",
        "extra": {
            "region_name": "us-east-1",
            "service_config": {"bedrock-runtime": {"endpoint_url": "http://127.0.0.1:7001"}},
        },
    }


def test_with_real_bedrock_the_developers_aws_set_up_and_connection_are_used(tmp_path: Path) -> None:
    found = environment(tmp_path, simulator_port=None)
    assert found["AWS_PROFILE"] == "production"
    assert found["AIRFLOW_CONN_CLAUDE_BEDROCK"] == "aws://real"
    assert "simulator" not in component_commands(StackPlan(tmp_path, tmp_path, 7000, None))


def test_nothing_of_the_developers_own_airflow_reaches_the_stack(tmp_path: Path) -> None:
    found = environment(tmp_path)
    database = found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert database.startswith(f"sqlite:///{tmp_path}/airflow/airflow.db?")
    assert found["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert found["AIRFLOW__CORE__DAGS_FOLDER"] == str(tmp_path / "dags")
    assert found["AIRFLOW__CHASSIS__PLANS_ROOT"] == str(tmp_path / "plans")
    assert found["AIRFLOW__CHASSIS__RECORDS_ROOT"] == str(tmp_path / "records")
    assert found["AIRFLOW__CHASSIS__MODEL"] == "eu.anthropic.claude-sonnet-5", "Chassis's own options stay"


def test_all_addresses_agree_and_are_loopback(tmp_path: Path) -> None:
    found = environment(tmp_path)
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__API__PORT"] == "7000"
    assert found["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:7000"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:7002/execution/"
    assert found["NO_PROXY"] == found["no_proxy"] == ".example,127.0.0.1,localhost"
    assert found["HTTPS_PROXY"] == "http://proxy.example:3128"


def test_below_a_sub_path_all_addresses_have_it(tmp_path: Path) -> None:
    extra = {"AIRFLOW__API__BASE_URL": "https://tools.example/team/airflow/"}
    plan = StackPlan(tmp_path, tmp_path, 7000, None, extra, execution_port=7002)
    found = component_environment(plan, load_keys(tmp_path), DEVELOPER)
    assert plan.url == "http://127.0.0.1:7000/team/airflow"
    assert plan.execution_url == "http://127.0.0.1:7002/team/airflow"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{plan.execution_url}/execution/"
    assert found["AIRFLOW__API__BASE_URL"] == extra["AIRFLOW__API__BASE_URL"]


def test_no_log_server_opens_a_port_on_all_interfaces(tmp_path: Path) -> None:
    commands = component_commands(StackPlan(tmp_path, tmp_path, 7000, 7001))
    components = ["simulator", "api-server", "execution-api", "scheduler", "dag-processor", "triggerer"]
    assert list(commands) == components
    for name in ("scheduler", "triggerer"):
        assert "--skip-serve-logs" in commands[name]


def test_the_triggerer_is_warm_and_a_slow_start_of_its_triggers_is_no_deadlock(tmp_path: Path) -> None:
    commands = component_commands(StackPlan(tmp_path, tmp_path, 7000, 7001))
    assert commands["triggerer"][1:] == ["-m", "chassis.local.warm_triggerer", "--skip-serve-logs"]
    assert float(environment(tmp_path)["AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD"]) > 60


def test_plans_become_visible_in_seconds(tmp_path: Path) -> None:
    found = environment(tmp_path)
    bundles = json.loads(found["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert [bundle["name"] for bundle in bundles] == ["dags-folder", "chassis"]
    assert bundles[0]["kwargs"] == {"path": str(tmp_path / "dags"), "refresh_interval": 30}
    assert bundles[1]["classpath"] == "chassis.plans.bundle.PlanBundle"
    assert bundles[1]["kwargs"] == {"refresh_interval": 2}
    assert found["AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL"] == "0"
    assert found["AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL"] == "1"


def test_every_option_is_one_that_this_airflow_has(tmp_path: Path) -> None:
    from airflow.configuration import retrieve_configuration_description

    known = retrieve_configuration_description()
    unknown = []
    for name in environment(tmp_path):
        section, _, option = name.removeprefix("AIRFLOW__").lower().partition("__")
        ours = not name.startswith("AIRFLOW__") or section == "chassis"
        if not ours and option not in known.get(section, {"options": {}})["options"]:
            unknown.append(name)
    assert unknown == []


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    from sqlalchemy import create_engine, text

    home = tmp_path / "airflow"
    home.mkdir()
    url = environment(tmp_path)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    with create_engine(url).connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 5_000
    assert (home / "airflow.db").exists()


def test_what_is_given_wins_over_everything(tmp_path: Path) -> None:
    found = environment(tmp_path, AIRFLOW__API__HOST="::1", AIRFLOW__CHASSIS__SHARDS="2")
    assert found["AIRFLOW__API__HOST"] == "::1"
    assert found["AIRFLOW__CHASSIS__SHARDS"] == "2"


def test_users_sign_in_with_a_generated_password(tmp_path: Path) -> None:
    found = environment(tmp_path)
    assert found["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    assert found["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == f"{USERNAME}:admin"
    passwords = json.loads(Path(found["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).read_text())
    assert passwords == {USERNAME: read_password(tmp_path)}


def test_secrets_are_the_owners_alone_and_survive_a_restart(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    assert load_keys(tmp_path) == keys
    for file in (tmp_path / "keys.json", password_file(tmp_path)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len({keys.fernet_key, keys.jwt_secret, keys.api_secret_key, keys.password}) == 4


def test_two_homes_share_no_secret(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = load_keys(tmp_path / "a"), load_keys(tmp_path / "b")
    assert not set(one.model_dump().values()) & set(other.model_dump().values())


def test_a_taken_port_is_not_chosen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert free_port(preferred=taken) not in (taken, 0)
    assert free_port(preferred=taken) == taken


def test_a_home_has_its_own_usual_port(tmp_path: Path) -> None:
    ports = {usual_port(tmp_path / str(number)) for number in range(20)}
    assert usual_port(tmp_path / "1") == usual_port(tmp_path / "1")
    assert len(ports) > 15
    assert all(8080 <= port < 8980 for port in ports)


def test_the_checkouts_dags_are_the_default() -> None:
    assert (default_dags_folder() / "plan_workflow.py").exists()


@pytest.fixture
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any AWS set-up; the file where credentials would be."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("AIRFLOW_CONN_CLAUDE_BEDROCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path / "credentials"


def test_a_user_without_any_set_up_has_no_credentials(no_aws: Path) -> None:
    assert not has_aws_credentials()


@pytest.mark.parametrize(
    "variables",
    [
        {"AIRFLOW_CONN_CLAUDE_BEDROCK": "aws://"},
        {"AWS_BEARER_TOKEN_BEDROCK": "token"},
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        {"AWS_PROFILE": "not_there"},
    ],
)
def test_credentials_in_the_environment_count_even_if_they_do_not_work(
    no_aws: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_aws_credentials()


def test_credentials_in_a_file_count(no_aws: Path) -> None:
    no_aws.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert has_aws_credentials()
