"""A task whose result is there already makes no call; one that a person has cleared always makes one."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from chassis.claude.connection_options import NO_OPTIONS, has_own_endpoint
from chassis.dag.deferred_call import TaskCall, restore_call
from chassis.dag.planned import PlannedTaskOperator
from chassis.files import Files, open_files
from chassis.records.results import Results
from chassis.workflow import TaskSpec

DAG, FIRST, SECOND = "onboard", "manual__1", "manual__2"


class TaskInstance:
    dag_id, task_id, map_index = DAG, "update", 0

    def __init__(self, run_id: str, try_number: int = 1) -> None:
        self.run_id, self.try_number = run_id, try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setenv("AIRFLOW__CHASSIS__RECORDS_ROOT", str(tmp_path))
    monkeypatch.setattr("chassis.claude.connection_options.connection_options", lambda conn_id: NO_OPTIONS)
    monkeypatch.setattr("chassis.dag.reuse_results.has_own_endpoint", lambda conn_id: False)
    return open_files(str(tmp_path), "", what="record store")


def execute(
    run_id: str,
    *,
    carry_over_from: str | None = None,
    instruction: str = "Update {item}.",
    try_number: int = 1,
    clear_number: int = 0,
) -> dict[str, Any] | TaskCall:
    """The task's result, or the call that it makes."""
    operator = PlannedTaskOperator(
        spec=TaskSpec(id="update", name="Update", instruction=instruction),
        requirement="Do it.",
        item="claims",
    )
    context: Any = {
        "params": {"carry_over_from": carry_over_from},
        "ti": TaskInstance(run_id, try_number),
        "dag_run": SimpleNamespace(clear_number=clear_number),
    }
    try:
        result = operator.execute(context)
    except TaskDeferred as deferral:
        call = restore_call(deferral.trigger.serialize()[1]["call"])
        assert isinstance(call, TaskCall)
        return call
    assert result is not None
    return result


def done(files: Files, run_id: str = FIRST, **fields: Any) -> dict[str, Any]:
    """The task's result, kept as one of a run."""
    call = execute(run_id)
    assert isinstance(call, TaskCall)
    result: dict[str, Any] = {
        "task": "update",
        "item": "claims",
        "status": "completed",
        "summary": "Done.",
        "output": "All of it.",
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "calls": 1,
        },
        "cost_usd": 0.5,
        "model": "claude",
        "request_ids": ["r-1"],
        "simulated": False,
        "fingerprint": call.fingerprint,
        "carried_from": "",
        "amendment": None,
        **fields,
    }
    Results(files, DAG, run_id).keep(call.fingerprint, result)
    return result


def test_a_task_that_is_told_the_same_takes_the_result_over_at_no_cost(files: Files) -> None:
    result = done(files)
    found = execute(SECOND, carry_over_from=FIRST)
    assert isinstance(found, dict)
    nothing = dict.fromkeys(result["usage"], 0)
    assert found == result | {"carried_from": FIRST, "usage": nothing, "cost_usd": 0.0}


def test_what_was_taken_over_can_be_taken_over_from_there(files: Files) -> None:
    done(files)
    execute(SECOND, carry_over_from=FIRST)
    third = execute("manual__3", carry_over_from=SECOND)
    assert isinstance(third, dict)
    assert (third["summary"], third["carried_from"]) == ("Done.", SECOND)


@pytest.mark.parametrize("source", [None, "", "no_such_run"])
def test_without_a_run_that_has_it_the_task_is_done(files: Files, source: str | None) -> None:
    done(files)
    assert isinstance(execute(SECOND, carry_over_from=source), TaskCall)


def test_a_task_that_is_told_something_else_is_done_and_the_log_says_so(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    done(files)
    with caplog.at_level(logging.INFO):
        assert isinstance(execute(SECOND, carry_over_from=FIRST, instruction="Update {item} well."), TaskCall)
    assert f"Run '{FIRST}' has no result of task 'update' [claims] as it is told now" in caplog.text


def test_a_task_that_was_cleared_is_done_anew_here_and_for_later_runs(files: Files) -> None:
    done(files)
    execute(SECOND, carry_over_from=FIRST)
    assert isinstance(execute(SECOND, carry_over_from=FIRST, try_number=2, clear_number=1), TaskCall)
    assert isinstance(execute("manual__3", carry_over_from=SECOND), TaskCall), (
        "the new attempt has no result yet"
    )


def test_a_clear_of_another_task_does_not_keep_a_first_try_from_taking_over(files: Files) -> None:
    done(files)
    assert isinstance(execute(SECOND, carry_over_from=FIRST, clear_number=1), dict)


def test_a_retry_takes_over_what_the_try_before_could_not_read(files: Files) -> None:
    done(files)
    assert isinstance(execute(SECOND, carry_over_from=FIRST, try_number=2), dict)


@pytest.mark.parametrize("own_endpoint", [True, False])
def test_a_simulated_result_is_not_taken_for_claudes(
    files: Files, monkeypatch: pytest.MonkeyPatch, own_endpoint: bool
) -> None:
    done(files, simulated=True)
    monkeypatch.setattr("chassis.dag.reuse_results.has_own_endpoint", lambda conn_id: own_endpoint)
    assert isinstance(execute(SECOND, carry_over_from=FIRST), dict if own_endpoint else TaskCall)


@pytest.mark.parametrize(
    ("extra", "own"),
    [
        ("{}", False),
        ('{"region_name": "eu-west-1", "endpoint_url": ""}', False),
        ('{"endpoint_url": "http://127.0.0.1:9"}', True),
        ('{"service_config": {"bedrock-runtime": {"endpoint_url": "http://127.0.0.1:9"}}}', True),
        ('{"service_config": {"s3": {"endpoint_url": "http://127.0.0.1:9"}}}', False),
    ],
)
def test_a_connection_tells_whether_it_asks_another_address_than_aws(
    monkeypatch: pytest.MonkeyPatch, extra: str, own: bool
) -> None:
    from airflow.sdk import Connection

    connection = Connection(conn_id="c", conn_type="aws", extra=extra)
    monkeypatch.setattr("airflow.sdk.BaseHook.get_connection", lambda conn_id: connection)
    assert has_own_endpoint("c") is own
