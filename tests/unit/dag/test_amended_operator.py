"""A task that somebody has amended: what it is told, in this run and for this item alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from chassis.claude.connection_options import NO_OPTIONS
from chassis.dag.deferred_call import TaskCall, restore_call
from chassis.dag.planned import PlannedTaskOperator
from chassis.errors import RecordBrokenError
from chassis.files import Files, open_files
from chassis.records.amendments import Amendments, Change
from chassis.workflow import TaskSpec

DAG, RUN = "onboard", "r1"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr("chassis.claude.connection_options.connection_options", lambda conn_id: NO_OPTIONS)
    monkeypatch.setenv("AIRFLOW__CHASSIS__RECORDS_ROOT", str(tmp_path / "records"))
    return open_files(str(tmp_path / "records"), what="record store")


def amend(records: Files, *, items: tuple[str, ...] = ("claims",), **change: Any) -> int:
    who = {"reason": "r", "by": "Ada", "by_id": "7", "at": "2026-11-22T12:00:00+00:00"}
    return Amendments(records, DAG, RUN).add(Change(task_id="update", items=items, **who, **change))


def prepared(item: str = "claims", *, clears: int = 1) -> TaskCall:
    operator = PlannedTaskOperator(
        spec=TaskSpec(id="update", name="Update", instruction="Add {product} to {item}."),
        requirement="Do it.",
        inputs=("product", "market"),
        item=item,
    )
    ti = SimpleNamespace(
        dag_id=DAG, run_id=RUN, task_id="update", map_index=0, try_number=2, xcom_push=lambda *_, **__: None
    )
    params = {"product": "pet insurance", "market": "Germany"}
    context: Any = {"params": params, "ti": ti, "dag_run": SimpleNamespace(clear_number=clears)}
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    call = restore_call(json.loads(json.dumps(deferral.value.trigger.serialize()[1]["call"])))
    assert isinstance(call, TaskCall)
    return call


def prompt(call: TaskCall) -> str:
    return json.dumps([message.model_dump() for message in call.request.messages])


def test_it_is_told_the_amended_instruction_and_inputs_and_names_the_amendment(records: Files) -> None:
    amend(records, instruction="Add {product} to {item} by its short name.")
    last = amend(records, inputs={"product": "pet"})
    call = prepared()
    assert "Add pet to claims by its short name." in prompt(call)
    assert "pet insurance" not in prompt(call)
    assert "Germany" in prompt(call)
    assert call.amendment == last


def test_an_input_that_the_runs_newest_plan_has_no_more_is_not_told(records: Files) -> None:
    amend(records, inputs={"colour": "blue", "product": "pet"})
    assert "blue" not in prompt(prepared())
    assert "Add pet to claims." in prompt(prepared())


def test_another_item_goes_by_the_plan(records: Files) -> None:
    amend(records, instruction="Add nothing.")
    call = prepared("pricing")
    assert "Add pet insurance to pricing." in prompt(call)
    assert call.amendment is None


def test_it_means_something_else_so_no_other_run_takes_it_for_the_same(records: Files) -> None:
    plain = prepared()
    amend(records, instruction="Add {product} to {item} by its short name.")
    first = prepared()
    amend(records, inputs={"market": "France"})
    assert len({plain.fingerprint, first.fingerprint, prepared().fingerprint}) == 3


def test_a_withdrawn_amendment_is_told_to_nobody(records: Files) -> None:
    Amendments(records, DAG, RUN).withdraw(amend(records, instruction="Add nothing."))
    call = prepared()
    assert "Add pet insurance to claims." in prompt(call)
    assert call.amendment is None


def test_it_does_not_run_by_an_amendment_that_somebody_edited(records: Files) -> None:
    amend(records, instruction="Add nothing.")
    records.write(f"{DAG}/{RUN}/amendments/000001.json", b"{}")
    with pytest.raises(RecordBrokenError, match="amendments"):
        prepared()


def test_a_run_in_which_nothing_was_cleared_does_not_look(records: Files, tmp_path: Path) -> None:
    """Amending clears; and to look costs a second on S3, at each start of a task."""
    (tmp_path / "records").write_text("no folder: to look would fail")
    assert prepared(clears=0).amendment is None
