"""``chassis retry`` with an amendment, the amendments that ``chassis status`` shows, and ``chassis transcript``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli.render import amendment_lines
from chassis.cli.task_retry import amendment_of
from chassis.errors.client import UsageError
from tests.unit.cli.made_up_runs import RUN, workflow_run
from tests.unit.cli.made_up_views import report
from tests.unit.fake_airflow import FakeAirflow, FakeDag, FakeRun

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Chassis

AMENDMENT = {
    "number": 1,
    "task_id": "update",
    "items": ["claims"],
    "instruction": "Do it by its short name.",
    "inputs": {"product": "pet"},
    "reason": "short names\x1b[2J only",
    "by": "Ada",
    "by_id": "7",
    "at": "2026-11-22T12:34:56+00:00",
    "saved_revision": None,
    "withdrawn": False,
}
DONE = {
    "amendment": 1,
    "items": ["claims"],
    "cleared": [{"task_id": "update", "map_index": 1}, {"task_id": "report", "map_index": -1}],
    "revision": None,
    "save_error": "",
}


@pytest.fixture
def run(fake: FakeAirflow, planner: FakeDag) -> FakeRun:
    """A run in which ``update [claims]`` failed; amended, all is well."""
    run = workflow_run(broken="claims")
    for snapshot in run.snapshots:
        snapshot[0]["rendered_map_index"] = "pricing"
        snapshot[1]["rendered_map_index"] = "claims"
    run.looks = 2
    run.after_clear = workflow_run()
    run.amending = (200, DONE)
    fake.dags["onboard"].runs[RUN] = run
    return run


def both_failed(run: FakeRun) -> None:
    for snapshot in run.snapshots:
        snapshot[0]["state"] = "failed"


def test_a_retry_with_another_instruction_is_sent_with_its_reason_and_followed(
    chassis: Chassis, fake: FakeAirflow, run: FakeRun
) -> None:
    result = chassis(
        *("retry", "onboard", "update", "--item", "claims", "--downstream", "--save"),
        *("--instruction", "Do it.", "--input", "product=pet", "--input", "n:=3", "--reason", "short names"),
    )
    assert result.exit_code == 0, result.output
    assert fake.sent("POST", f"/chassis/dags/onboard/runs/{RUN}/tasks/update/1/amend") == [
        {
            "instruction": "Do it.",
            "inputs": {"product": "pet", "n": 3},
            "reason": "short names",
            "save": True,
            "downstream": True,
            "all_failed": False,
        }
    ]
    assert fake.sent("POST", "/clearTaskInstances") == [], "one request does it all"
    assert "Amendment 1 of this run." in result.stdout
    assert "Again in run planned__p1: update [claims], report" in result.stdout


@pytest.mark.parametrize(
    ("revision", "error", "words"),
    [(4, "", "Saved as revision 4 of onboard."), (None, "the store is away", "not saved")],
)
def test_whether_it_is_in_the_plan_is_said(
    chassis: Chassis, run: FakeRun, revision: int | None, error: str, words: str
) -> None:
    run.amending = (200, {**DONE, "revision": revision, "save_error": error})
    result = chassis(
        *("retry", "onboard", "update", "--no-wait", "--instruction", "x", "--reason", "y", "--save")
    )
    assert result.exit_code == 0
    assert words in result.output


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_refusal_is_told_in_its_own_words_and_is_wrong_usage(
    chassis: Chassis, run: FakeRun, status: int
) -> None:
    run.amending = (status, {"detail": "input 'produkt' is no input; did you mean 'product'?"})
    result = chassis("retry", "onboard", "update", "--input", "produkt=x", "--reason", "y")
    assert result.exit_code == 2
    assert "did you mean 'product'?" in " ".join(result.stderr.split())
    run.amending = (403, {"detail": "Forbidden"})
    assert chassis("retry", "onboard", "update", "--input", "a=x", "--reason", "y").exit_code == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"instruction": "x"}, "needs a reason"),
        ({"inputs": ["a=1"], "reason": " "}, "needs a reason"),
        ({"reason": "because"}, "belong to an amendment"),
        ({"save": True}, "belong to an amendment"),
        ({"instruction": "x", "reason": "y", "latest": True}, "don't go together"),
        ({"inputs": ["a"], "reason": "y"}, "not NAME=TEXT"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_asked(
    given: dict[str, Any], words: str
) -> None:
    options = {"instruction": None, "inputs": [], "reason": None, "save": False, "latest": False} | given
    with pytest.raises(UsageError, match=words):
        amendment_of(options.pop("instruction"), options.pop("inputs"), options.pop("reason"), **options)


def test_without_an_amendment_a_retry_is_what_it_was() -> None:
    assert amendment_of(None, (), None, save=False, latest=True) is None


def test_without_an_item_all_that_failed_are_amended_by_one_request(
    chassis: Chassis, fake: FakeAirflow, run: FakeRun
) -> None:
    both_failed(run)
    cleared = [{"task_id": "update", "map_index": index} for index in (0, 1)]
    run.amending = (200, {**DONE, "items": ["pricing", "claims"], "cleared": cleared})
    result = chassis("retry", "onboard", "update", "--no-wait", "--instruction", "x", "--reason", "y")
    assert result.exit_code == 0, result.output
    [sent] = fake.sent("POST", f"/chassis/dags/onboard/runs/{RUN}/tasks/update/0/amend")
    assert sent["all_failed"] is True
    assert "Amendment 1 of this run, for 2 items." in result.stdout
    assert "update [pricing], update [claims]" in result.stdout


def test_a_refusal_of_several_names_them(chassis: Chassis, run: FakeRun) -> None:
    both_failed(run)
    run.amending = (409, {"detail": "update [claims] is at work now (queued)."})
    result = chassis("retry", "onboard", "update", "--instruction", "x", "--reason", "y")
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert "Not amended: update [pricing], update [claims]. update [claims] is at work now" in told


def test_status_shows_who_amended_what_and_why(chassis: Chassis, run: FakeRun) -> None:
    run.amendments = [AMENDMENT, {**AMENDMENT, "number": 2, "reason": "withdrawn", "withdrawn": True}]
    shown = chassis("status", "onboard").stdout
    assert (
        "Amendment 1: update [claims], instruction, input product. Ada, 2026-11-22 12:34 UTC: short names"
        in shown
    )
    assert "\x1b[2J" not in shown
    assert "Amendment 2" not in shown
    assert ", amended" in shown
    document = json.loads(chassis("status", "onboard", "--json").stdout)
    amended = {(task["id"], task["item"]): task.get("amendment") for task in document["tasks"]}
    assert amended["update", "claims"] == AMENDMENT
    assert [task for task, amendment in amended.items() if amendment] == [("update", "claims")]


def test_an_amendment_of_several_items_is_shown_with_each_of_them_and_listed_once(
    chassis: Chassis, run: FakeRun
) -> None:
    run.amendments = [{**AMENDMENT, "items": ["pricing", "claims"]}]
    shown = chassis("status", "onboard").stdout
    assert "Amendment 1: update [pricing, claims], instruction, input product." in shown
    assert shown.count(", amended") == 2
    tasks = json.loads(chassis("status", "onboard", "--json").stdout)["tasks"]
    amended = [task["item"] for task in tasks if task.get("amendment")]
    assert amended == ["pricing", "claims"]


def test_a_saved_amendment_names_its_revision() -> None:
    [line] = amendment_lines(report(amendments=[{**AMENDMENT, "items": [], "saved_revision": 3}]))
    assert line.startswith("Amendment 1: update, instruction, input product (revision 3). Ada")


def test_of_many_items_the_first_are_named() -> None:
    items = [f"i{number}" for number in range(200)]
    [line] = amendment_lines(report(amendments=[{**AMENDMENT, "items": items}]))
    assert line.startswith("Amendment 1: update [i0, i1, ")
    assert "i9 and 190 more], instruction" in line
    [few] = amendment_lines(report(amendments=[{**AMENDMENT, "items": items[:10]}]))
    assert "i9], instruction" in few


def a_turn(**fields: Any) -> dict[str, Any]:
    return {
        "outcome": "answered",
        "error": "",
        "error_message": "",
        "at": "2026-11-22T12:34:56.789+00:00",
        "seconds": 2.04,
        "model": "opus",
        "usage": {
            "input_tokens": 10,
            "cache_read_tokens": 5,
            "cache_write_tokens": 0,
            "output_tokens": 7,
            "calls": 1,
        },
        "request_id": "r-1",
        "recalled": False,
        "simulated": True,
        "system": [],
        "messages": [],
        "answer": [],
        **fields,
    }


def test_a_transcript_is_shown_turn_by_turn_and_nothing_in_it_passes_for_a_heading(
    chassis: Chassis, run: FakeRun
) -> None:
    turns = [
        a_turn(
            outcome="failed",
            error="ThrottledError",
            error_message="slow down",
            system=["You work."],
            messages=[{"role": "user", "content": [{"type": "text", "text": "Add it.\n== Turn 9: fake"}]}],
        ),
        a_turn(
            recalled=True,
            request_id="r-2",
            messages=[
                {"role": "assistant", "content": [{"type": "tool_use", "name": "answer", "input": {"a": 1}}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "content": [{"type": "text", "text": "a: it is wrong"}]}
                    ],
                },
            ],
            answer=[{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "\x1b[31mDone\u202e."}],
        ),
    ]
    transcript = {"try_number": 2, "turns": turns, "unreadable": 1}
    run.transcripts["update", 1] = {
        "task_id": "update",
        "item": "claims",
        "tries": [2, 1],
        "transcript": transcript,
    }
    result = chassis("transcript", "onboard", "update", "--item", "claims")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Try 2 (with a transcript: 1, 2)",
        "== Turn 1: failed, ThrottledError · 2026-11-22 12:34:56 UTC · 2.0 s · opus · 15 tokens in, 7 out · "
        "request r-1 · simulated: not Claude",
        "    slow down",
        "System:",
        "    You work.",
        "Chassis:",
        "    Add it.",
        "    == Turn 9: fake",
        "== Turn 2: answered · 2026-11-22 12:34:56 UTC · 2.0 s · opus · 15 tokens in, 7 out · request r-2 · "
        "an earlier try's answer, not asked again · simulated: not Claude",
        "Claude:",
        "    (answer)",
        "    {",
        '      "a": 1',
        "    }",
        "Chassis:",
        "    a: it is wrong",
        "Claude answers:",
        "    (thinking)",
        "    hm",
        "    Done�.",
        "1 turn can't be read: edited by hand.",
    ]
    told = chassis("transcript", "onboard", "update", "--item", "claims", "--json")
    assert json.loads(told.stdout)["transcript"] == transcript


def test_without_a_transcript_it_is_said_which_there_are(chassis: Chassis, run: FakeRun) -> None:
    result = chassis("transcript", "onboard", "report", "--try", "4")
    assert result.exit_code == 2
    assert "no transcript of report, try 4" in " ".join(result.stderr.split())
    run.transcripts["report", -1] = {"task_id": "report", "item": None, "tries": [2, 1], "transcript": None}
    told = chassis("transcript", "onboard", "report", "--try", "4")
    assert "these tries: 1, 2" in " ".join(told.stderr.split())
