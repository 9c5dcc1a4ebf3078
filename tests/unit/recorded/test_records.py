"""What is kept of runs: their ledgers, results, amendments, decisions and transcripts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chassis.contract.spending import Spending
from chassis.contract.xcoms import Card
from chassis.dag.deferred_call import restore_call
from chassis.files import Files, open_files
from chassis.ledger.journal import RunLedger
from chassis.records.amendments import Amendments
from chassis.records.decisions import Decisions
from chassis.records.results import Results
from chassis.records.run_records import recorded_dags, recorded_runs
from chassis.records.transcripts import Transcripts
from tests.ledgers import entries_of
from tests.unit.recorded.replay import RECORDED, Deployment, missing, names, recorded


@pytest.fixture
def records(deployment: Deployment) -> Files:
    return open_files(str(deployment.root / "records"), what="record store")


def test_a_ledger_sums_up_to_the_same_money(records: Files) -> None:
    was = recorded("ledger.json")
    ledger = RunLedger(records, was["dag_id"], was["run_id"], clock=lambda: was["now"])
    entries = [entry.model_dump(mode="json") for entry in entries_of(records, was["dag_id"], was["run_id"])]
    assert missing(was["entries"], entries) == [], "every entry is read"
    run = ledger.totals()
    assert missing(was["run"], run.model_dump(mode="json")) == [], "what the run has spent"
    assert (run.tokens, run.spent_usd) == (was["tokens"], was["spent_usd"]), "what counts against a limit"
    for task in was["tasks"]:
        key = task["task"], task["item"]
        totals = ledger.totals(key).model_dump(mode="json")
        assert missing(task["totals"], totals) == [], f"what {key} has spent"


def test_every_run_is_found_by_its_ids(records: Files) -> None:
    """The names of folders are quoted and cut; what was recorded holds the ids themselves."""
    was = recorded("results.json")
    called = {dag: [run.run_id for run in runs if run.called] for dag, runs in recorded_dags(records).items()}
    runs = {dag: run_ids for dag, run_ids in called.items() if run_ids}
    assert {"Ünï.. dag": ["../.."], "d" * 130: ["r" * 300]}.items() <= runs.items()
    assert was["run_id"] in runs[was["dag_id"]]
    for dag_id, run_ids in runs.items():
        for run_id in run_ids:
            assert RunLedger(records, dag_id, run_id).totals().calls, f"{dag_id} {run_id} has its calls"
    assert [run.run_id for run in recorded_runs(records, was["dag_id"])] == was["newest_runs"], (
        "the order by their first call or result"
    )


def test_results_are_found_by_their_fingerprints(records: Files) -> None:
    was = recorded("results.json")
    results = Results(records, was["dag_id"], was["run_id"])
    for kept in was["kept"]:
        found = results.find(kept["fingerprint"], kept["task"], kept["item"])
        assert found == kept, f"the result of {kept['task']} [{kept['item']}]"
        assert results.find("f" * 64, kept["task"], kept["item"]) is None, (
            "one that was made from something else"
        )
    for gone in was["forgotten"]:
        assert results.find(gone["fingerprint"], gone["task"], gone["item"]) is None, "one that was done anew"
    in_order = sorted(was["kept"], key=lambda kept: (kept["task"], str(kept["item"])))
    assert results.all() == in_order, "a planner is told of these"


def test_amendments_hold_as_before_and_the_next_has_the_next_number(records: Files) -> None:
    was = recorded("amendments.json")
    amendments = Amendments(records, was["dag_id"], was["run_id"])
    every = amendments.all()
    assert missing(was["all"], [each.model_dump(mode="json") for each in every]) == []
    for case in was["hold"]:
        holds = amendments.of(case["task"], case["item"]).model_dump(mode="json")
        assert missing(case["amended"], holds) == [], f"what holds for {case['task']} [{case['item']}]"
    assert amendments.add(every[0]) > every[-1].number


def test_decisions_are_read_and_the_last_one_settles(records: Files) -> None:
    was = recorded("decisions.json")
    decisions = Decisions(records, was["dag_id"], was["run_id"])
    read = {str(number): decision.model_dump(mode="json") for number, decision in decisions.all().items()}
    assert missing(was["all"], read) == []
    assert set(read) == set(was["all"])
    assert decisions.settled() == was["settled"], "this plan may be published, and no other"


def test_transcripts_are_read(records: Files) -> None:
    for name in names("transcripts", ".json"):
        was = recorded(f"transcripts/{name}.json")
        who = recorded(f"calls/{name}.json")["outcome"]["trigger_arguments"]["call"]["accounts"]["identity"]
        tries = Transcripts(records, who["dag_id"], who["run_id"]).tries(who["task_id"], who["item"])
        read: list[Any] = [
            {
                **each.model_dump(mode="json"),
                "system": list(each.system),
                "answer_schema": each.answer_schema,
                "request_ids": list(each.request_ids),
                "simulated": each.simulated,
            }
            for each in tries
        ]
        assert missing(was, read) == [], f"the conversation of {name}"
        assert not any(each.unreadable for each in tries), name


def test_a_try_finds_the_answers_that_an_earlier_one_paid_for(deployment: Deployment) -> None:
    """The whole conversation is repeated, its correction included, and nobody is asked: there is nobody."""
    for name in names("answers", ".json"):
        was, left = recorded(f"answers/{name}.json"), recorded(f"calls/{name}.json")["outcome"]
        call = restore_call(deployment.here(left["trigger_arguments"]["call"]))
        outcome = asyncio.run(call.perform(shared=False))
        assert outcome.error is None, f"{name} is asked again, and paid for again: {outcome.error}"
        prices = ("cost_usd",)
        result = {key: value for key, value in was["result"].items() if key not in prices}
        assert missing(result, outcome.result) == [], f"the XCom of {name}"
        spending = {key: was["spending"][key] for key in ("task", "run", "limits")}
        assert outcome.spending is not None
        assert missing(spending, outcome.spending.document()) == [], f"the XCom 'spending' of {name}"
        index = call.accounts.identity.map_index
        card = Card.made(
            result=was["result"], spending=Spending.of(was["spending"]), map_index=index
        ).document()
        assert missing(was["card"], card) == [], f"the board reads the card of {name}"


def test_nothing_that_was_recorded_is_left_unread() -> None:
    """A folder that no test knows of would be a promise that nobody holds."""
    known = {
        "decisions",
        "proposal",
        "ledger",
        "results",
        "amendments",
        "transcripts",
        "answers",
        "run.json",
        "results.json",
    }
    assert {path.name for path in (RECORDED / "records").glob("*/*/*")} == known
