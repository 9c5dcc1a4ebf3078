"""Kept results: found by who is told the same, and by nobody once the task was done anew. In a folder and on S3."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import RunLimits
from chassis.dag.deferred_call import TaskCall, restore_call
from chassis.errors import StoreError
from chassis.files import Files, open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.records.results import Results
from chassis.work.account import Account
from chassis.work.verdict import answer_schema
from tests.integration.claude.wire import a_request
from tests.integration.s3 import CONN_ID

if TYPE_CHECKING:
    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

DAG, RUN = "onboard", "manual__2026-11-22T12:00:00+00:00"
ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def files(root: str) -> Files:
    return open_files(root, CONN_ID, what="record store")


@pytest.fixture
def results(files: Files) -> Results:
    return Results(files, DAG, RUN)


def a_result(task: str = "update", item: str | None = "claims", **fields: Any) -> dict[str, Any]:
    return {"task": task, "item": item, "summary": "Done.", "output": {"n": 1.5, "t": "ü\u2028"}, **fields}


def test_a_result_is_found_again_by_its_fingerprint(files: Files, results: Results) -> None:
    results.keep(ONE, a_result())
    assert Results(files, DAG, RUN).find(ONE, "update", "claims") == a_result()


@pytest.mark.parametrize(
    ("run", "fingerprint", "task", "item"),
    [
        (RUN, OTHER, "update", "claims"),
        (RUN, ONE, "updat", "claims"),
        (RUN, ONE, "update", "pricing"),
        (RUN, ONE, "update", None),
        ("another run", ONE, "update", "claims"),
    ],
)
def test_nobody_else_finds_it(
    files: Files, results: Results, run: str, fingerprint: str, task: str, item: str | None
) -> None:
    results.keep(ONE, a_result())
    assert Results(files, DAG, run).find(fingerprint, task, item) is None


def test_only_the_newest_result_of_a_task_counts(results: Results) -> None:
    results.keep(ONE, a_result())
    results.keep(OTHER, a_result(summary="Done anew."))
    assert results.find(ONE, "update", "claims") is None
    found = results.find(OTHER, "update", "claims")
    assert found is not None
    assert found["summary"] == "Done anew."


def test_a_forgotten_result_is_not_found_until_there_is_another(
    results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    results.forget("update", "claims")
    results.keep(ONE, a_result())
    results.forget("update", "claims")
    assert results.find(ONE, "update", "claims") is None
    assert results.all() == []
    assert caplog.text == "", "nothing is wrong with it"
    results.keep(ONE, a_result())
    assert results.find(ONE, "update", "claims") == a_result()


@pytest.mark.parametrize("damage", [b"", b"{}", b"not JSON", "cut", "edited", "renamed"])
def test_a_damaged_result_counts_as_none_and_is_told(
    files: Files, results: Results, caplog: pytest.LogCaptureFixture, damage: bytes | str
) -> None:
    results.keep(ONE, a_result())
    (name,) = files.names(f"{RunPaths(DAG, RUN).folder}/results/update")
    whole = files.read(name)
    harm = {
        "cut": whole[:-5],
        "edited": whole.replace(b"Done", b"Gone"),
        "renamed": whole.replace(b"1" * 64, b"2" * 64),
    }
    files.write(name, harm[damage] if isinstance(damage, str) else damage)
    assert results.find(ONE, "update", "claims") is None
    assert results.find(OTHER, "update", "claims") is None
    assert results.all() == []
    assert "is no kept result" in caplog.text


def test_all_results_of_a_run_are_listed_by_task_and_item(results: Results) -> None:
    kept = [a_result("b", None), a_result("a", "y"), a_result("a", "x"), a_result("a", None)]
    for number, result in enumerate(kept):
        results.keep(f"{number:064}", result)
    assert [(each["task"], each["item"]) for each in results.all()] == [
        ("a", None),
        ("a", "x"),
        ("a", "y"),
        ("b", None),
    ]
    assert results.all()[-1] == kept[0]


class TestATasksCall:
    """As the triggerer performs it, from plain data."""

    @pytest.fixture
    def call(self, root: str, connect: Connect, simulator: Simulator, control: SimulatorControl) -> TaskCall:
        connect.to(simulator.url)
        return TaskCall(
            conn_id="claude_bedrock",
            request=a_request(schema=answer_schema(None)),
            accounts=Account(
                identity=CallIdentity(
                    dag_id=DAG, run_id=RUN, clear_number=0, task_id="update", item="claims"
                ),
                limits=RunLimits(),
                timeout_seconds=60,
                records_root=root,
                storage_conn_id=CONN_ID,
                trace_content=False,
            ),
            repairs=0,
            fingerprint=ONE,
        )

    def test_keeps_the_result_that_it_gives(self, call: TaskCall, results: Results) -> None:
        outcome = asyncio.run(restore_call(call.model_dump(mode="json")).perform(shared=False))
        assert outcome.result is not None, outcome.error
        assert outcome.result["fingerprint"] == ONE
        assert results.find(ONE, "update", "claims") == outcome.result

    def test_that_fails_keeps_nothing(
        self, call: TaskCall, results: Results, control: SimulatorControl
    ) -> None:
        control.add_fault("access_denied")
        assert asyncio.run(call.perform(shared=False)).error is not None
        assert results.all() == []

    def test_that_is_told_nothing_of_fingerprints_keeps_nothing(
        self, call: TaskCall, results: Results
    ) -> None:
        plain = call.model_copy(update={"fingerprint": ""})
        assert asyncio.run(plain.perform(shared=False)).result is not None
        assert results.all() == []

    def test_gives_its_result_also_when_it_can_not_be_kept(
        self, call: TaskCall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(*_: Any) -> None:
            raise StoreError("The record store is away.")

        monkeypatch.setattr("chassis.records.results.Results.keep", away)
        monkeypatch.setattr("chassis.ledger.run_gate._STORE_PATIENCE", 0.0)
        assert asyncio.run(call.perform(shared=False)).result is not None
        assert "no later run can take its result over: The record store is away." in caplog.text
