"""No secret gets out: canaries are put wherever secrets are, then everything that Airflow keeps or says is searched.

One run passes (a planned workflow); one has a task that passes and one for each way in which a call fails. Where a
canary belongs by its nature (a run's own configuration, the XCom that holds it) it is let be, and nowhere else.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.simulator.sigv4 import ACCESS_KEY, SECRET_KEY
from chassis.local.stack import LocalStack
from tests.system.conftest import ENVIRONMENT_CANARY, Chassis
from tests.system.driver import AirflowDriver, wait_for

DAG = "canaries"
PROMPT = "canary-prompt-51f0a7c3"
XCOM = "canary-xcom-2b9e64d1"
SECRETS = {
    "session token": "canary-session-token-8c31f0be",
    "secret key": "canary-secret-key-6f2d9e07",
    "bearer token": "canary-bearer-token-f4a81c5d",
    "bearer token with a line end": "canary-broken-token-90be37aa",
    "environment": ENVIRONMENT_CANARY,
    "variable": "canary-variable-1d7b02e9",
}
KEY_ID = "CANARYACCESSKEY7Q2X"
"""The id of a key is no secret: Airflow shows it as a connection's login, there and in its audit log."""

PRIVATE = ("keys.json", "password.json")
"""Where the stack keeps its own secrets, which are canaries everywhere else."""

ENDS = {
    "passes": "success",
    "unrelated": "success",
    "echoed": "AccessDeniedError",
    "expired": "CredentialsRefusedError",
    "reset": "StreamBrokenError",
    "wrong_schema": "AnswerInvalidError",
    "in_a_worker": "AccessDeniedError",
    "refused_keys": "CredentialsRefusedError",
    "refused_token": "CredentialsRefusedError",
    "token_with_a_line_end": "ConnectionSetupError",
    "unexpected": "UnexpectedError",
}


@dataclass
class Runs:
    """What was run, and what the database held while calls were in flight."""

    airflow: AirflowDriver
    home: Path
    planned: tuple[str, str]
    run_id: str
    requests: list[dict[str, Any]]
    trigger_kwargs: list[str] = field(default_factory=list)

    @property
    def secrets(self) -> list[str]:
        """The canaries, what the simulator takes for a secret key, and what signs and encrypts this Airflow."""
        keys = json.loads((self.home / PRIVATE[0]).read_bytes())
        return [*SECRETS.values(), SECRET_KEY, *(str(key) for key in keys.values())]

    @property
    def run_path(self) -> str:
        return f"/dags/{DAG}/dagRuns/{quote(self.run_id, safe='')}"


@pytest.fixture(scope="module")
def runs(airflow: AirflowDriver, stack: LocalStack) -> Iterator[Runs]:
    for conn_id, fields in connections(str(stack.simulator_url)).items():
        answer = airflow.http.post(
            "/connections", json={"connection_id": conn_id, "conn_type": "aws", **fields}
        )
        assert answer.is_success, answer.text
    variable = {"key": "canary_secret", "value": SECRETS["variable"]}
    assert airflow.http.post("/variables", json=variable).is_success
    simulator = SimulatorControl(str(stack.simulator_url))
    simulator.reset()
    for task, fault, message in (
        ("echoed", "access_denied", f"You sent X-Amz-Security-Token: {SECRETS['session token']}"),
        (
            "in_a_worker",
            "access_denied",
            f"You sent authorization: AWS4-HMAC-SHA256 {SECRETS['session token']}",
        ),
        ("expired", "expired_token", f"The token {SECRETS['session token']} is expired"),
        ("reset", "reset", None),
        ("wrong_schema", "wrong_schema", None),
    ):
        simulator.add_fault(fault, message=message, task=task)
    simulator.set_latency(3)
    run_id = airflow.trigger(DAG, {"note": PROMPT, "backwards": XCOM[::-1]})
    kwargs = wait_for("triggers that wait for Claude", lambda: in_flight(stack.home, 5), every=0.2)
    simulator.set_latency(0.3)
    workflow_id, planned_run, state = airflow.plan_and_run(
        "Calculate the sum of 2 and 2", workflow_id="canary_sum"
    )
    assert state == "success"
    assert airflow.wait_run(DAG, run_id) == "failed"
    yield Runs(airflow, stack.home, (workflow_id, planned_run), run_id, simulator.requests(), kwargs)
    simulator.reset()


def connections(url: str) -> dict[str, dict[str, str]]:
    """Connections whose secrets are canaries, but for the one pair of keys that the simulator takes."""

    def extra(**parts: Any) -> str:
        endpoint = {"bedrock-runtime": {"endpoint_url": url}}
        return json.dumps(
            {"region_name": "us-east-1", "service_config": endpoint, "claude": {"max_retries": 0}, **parts}
        )

    session = SECRETS["session token"]
    return {
        "canary_keys": {
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": extra(aws_session_token=session),
        },
        "canary_wrong_keys": {
            "login": KEY_ID,
            "password": SECRETS["secret key"],
            "extra": extra(aws_session_token=session),
        },
        "canary_token": {"extra": extra(bearer_token=SECRETS["bearer token"])},
        "canary_broken_token": {"extra": extra(bearer_token=SECRETS["bearer token with a line end"] + "\n")},
    }


def in_flight(home: Path, count: int) -> list[str] | None:
    """The arguments of the triggers in the database, once there are so many."""
    with sqlite3.connect(f"file:{home / 'airflow/airflow.db'}?mode=ro", uri=True, timeout=30) as database:
        found = [str(kwargs) for (kwargs,) in database.execute("select kwargs from trigger")]
    return found if len(found) >= count else None


def forms(canary: str) -> list[bytes]:
    """A canary as it is, turned around, in base64 and escaped: how it could lie in a file."""
    raw = canary.encode()
    coded = [base64.b64encode(raw[at:])[:-4] for at in range(3)]
    return [
        raw,
        raw[::-1],
        quote(canary).encode(),
        raw.hex().encode(),
        *(part for part in coded if len(part) > 12),
    ]


def found_in(content: bytes, canaries: Iterable[str]) -> list[str]:
    return [canary for canary in canaries if any(form in content for form in forms(canary))]


def test_each_task_ended_as_it_was_meant_to(runs: Runs) -> None:
    """Else the searches below would have nothing to find."""
    ends = {ti["task_id"]: ti["state"] for ti in runs.airflow.instances(DAG, runs.run_id)}
    for task, state in list(ends.items()):
        if state == "failed":
            path = f"{runs.run_path}/taskInstances/{task}/xcomEntries/error"
            ends[task] = runs.airflow.get(path, deserialize=True)["value"]["class"]
    assert ends == ENDS


def test_the_components_have_the_canary_of_the_environment(runs: Runs, stack: LocalStack) -> None:
    """Workers, too: the task ``unrelated`` looks. (The API server writes its title over its environment.)"""
    for name in ("scheduler", "dag-processor", "triggerer", "simulator"):
        assert ENVIRONMENT_CANARY in psutil.Process(stack.processes[name]).environ().values(), name


def test_the_search_finds_a_canary_in_each_form() -> None:
    canary = SECRETS["environment"]
    for text in (canary, f"x{canary}y", canary[::-1], quote(canary)):
        assert found_in(text.encode(), [canary])
        assert found_in(base64.b64encode(text.encode()), [canary]) or text != canary
    assert not found_in(b"nothing", [canary])


def test_no_file_under_the_home_holds_a_secret_or_a_prompt(runs: Runs, figure: Callable[[str], None]) -> None:
    """But for transcripts, which are there to hold prompts."""
    leaks, count, size, told = [], 0, 0, 0
    for path in runs.home.rglob("*"):
        if not path.is_file() or path.is_symlink() or path.name.startswith("airflow.db"):
            continue
        content = path.read_bytes()
        count, size = count + 1, size + len(content)
        searched = SECRETS.values() if path.name in PRIVATE else runs.secrets
        transcript = path.is_relative_to(runs.home / "records") and "transcripts" in path.parts
        told += transcript
        prompts = [] if transcript else [PROMPT]
        leaks += [(canary, str(path)) for canary in found_in(content, [*searched, KEY_ID, *prompts, XCOM])]
    assert not leaks
    assert told >= len(ENDS), "each call has a transcript, which is searched, too"
    assert list(runs.home.glob("records/plan_workflow/*/transcripts/plan/_/0001-001.json"))
    assert {"records", "plans", "logs", "bundles"} <= {
        part for path in runs.home.rglob("*") for part in path.relative_to(runs.home).parts
    }
    figure(f"secrets: {count} files under the home searched, {size / 1e6:.1f} MB")


def test_the_database_never_held_a_secret(runs: Runs, figure: Callable[[str], None]) -> None:
    """Its file is searched byte by byte: what was stored once, and deleted, is still there."""
    files = [runs.home / "airflow" / name for name in ("airflow.db", "airflow.db-wal")]
    content = b"".join(path.read_bytes() for path in files if path.exists())
    assert not found_in(content, runs.secrets)
    figure(f"secrets: {len(content) / 1e6:.1f} MB of database searched")


def test_prompts_and_foreign_results_lie_in_the_database_only_where_they_belong(runs: Runs) -> None:
    """A run's configuration and the audit log of who gave it, both Airflow's own, and the XCom of the task."""
    places: dict[str, set[str]] = {PROMPT: set(), XCOM: set()}
    rows = 0
    with sqlite3.connect(
        f"file:{runs.home / 'airflow/airflow.db'}?mode=ro", uri=True, timeout=30
    ) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                rows += 1
                for canary in places:
                    if found_in(repr(row).encode(), [canary]):
                        places[canary].add(table)
    assert rows > 100
    assert places == {PROMPT: {"dag_run", "log"}, XCOM: {"dag_run", "log", "xcom"}}


def test_a_call_that_lies_in_the_database_while_claude_is_asked_holds_no_secret(runs: Runs) -> None:
    """It holds the prompt, in clear: Airflow 3.3 encrypts the arguments of triggers of assets, not those of tasks."""
    assert len(runs.trigger_kwargs) >= 5
    for kwargs in runs.trigger_kwargs:
        assert not found_in(kwargs.encode(), [*runs.secrets, KEY_ID, XCOM])
    assert PROMPT in runs.trigger_kwargs[0], (
        "docs/security.md says so, and may be corrected when this changes"
    )


def test_no_prompt_holds_a_secret_or_a_foreign_result(runs: Runs) -> None:
    assert [request for request in runs.requests if PROMPT in json.dumps(request["body"])]
    for request in runs.requests:
        assert not found_in(json.dumps(request["body"]).encode(), [*runs.secrets, KEY_ID, XCOM])


def answers(runs: Runs) -> Iterator[tuple[str, str]]:
    """Every answer of Airflow's API that could repeat what a run held, by its path."""
    workflow_id, planned_run = runs.planned
    planner_run = planned_run.removeprefix("planned__")
    paths = list(GLOBAL)
    for dag_id, run_id in ((DAG, runs.run_id), (workflow_id, planned_run), ("plan_workflow", planner_run)):
        base = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
        paths += [
            f"/dags/{dag_id}",
            f"/dags/{dag_id}/details",
            f"/dags/{dag_id}/tasks",
            f"/dagSources/{dag_id}",
        ]
        paths += [base, f"{base}/taskInstances", f"/dags/{dag_id}/dagVersions"]
        for ti in runs.airflow.instances(dag_id, run_id):
            one = f"{base}/taskInstances/{ti['task_id']}"
            paths += [
                one,
                f"{one}/tries",
                f"{one}/links",
                f"{one}/xcomEntries",
                f"{one}/logs/{ti['try_number']}",
            ]
            for entry in runs.airflow.get(f"{one}/xcomEntries")["xcom_entries"]:
                paths += [f"{one}/xcomEntries/{entry['key']}?deserialize={way}" for way in ("true", "false")]
    for path in paths:
        answer = runs.airflow.http.get(path)
        assert answer.is_success, f"{path}: {answer.status_code}"
        yield path, answer.text


GLOBAL = (
    *("/eventLogs?limit=100&order_by=-when", "/importErrors", "/connections", "/variables", "/pools"),
    *("/dagWarnings", "/plugins", "/jobs", "/dags", "/dagTags", "/assets"),
)


def belongs(canary: str, path: str, runs: Runs) -> bool:
    """Whether Airflow itself shows it there: a run's configuration, who gave it, an XCom to who asks for it."""
    if path.startswith("/eventLogs"):
        return canary in (PROMPT, XCOM, KEY_ID)
    if path == "/connections":
        return canary == KEY_ID
    return (path == runs.run_path and canary in (PROMPT, XCOM)) or (
        path.find("/unrelated/xcom") > 0 and canary == XCOM
    )


def test_no_answer_of_airflows_api_holds_a_secret_or_a_prompt(
    runs: Runs, figure: Callable[[str], None]
) -> None:
    leaks, count = [], 0
    for path, text in answers(runs):
        count += 1
        for canary in found_in(text.encode(), [*runs.secrets, KEY_ID, PROMPT, XCOM]):
            if not belongs(canary, path, runs):
                leaks.append((canary, path))
    assert not leaks
    assert count > 100
    figure(f"secrets: {count} answers of Airflow's API searched")


def test_the_command_line_shows_no_secret_and_no_prompt(runs: Runs, chassis: Chassis) -> None:
    told = [chassis("status", DAG, "--json"), chassis("status", DAG), chassis("logs", DAG, "unexpected")]
    text = "".join(done.stdout + done.stderr for done in told)
    assert "AccessDeniedError" in text
    assert "UnexpectedError" in text
    assert not found_in(text.encode(), [*runs.secrets, KEY_ID, PROMPT, XCOM])
