"""``chassis doctor --bedrock`` against the simulator: what it asks, what it may cost, and what its report holds.

The simulator plays each model as it is known. What the check is for, only a run against AWS shows.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from chassis.claude import live_check
from chassis.claude.live_check import MOST_USD, Finding, LiveCheck
from chassis.cli.main import app
from chassis.errors import PriceUnknownError
from chassis.local.simulator import ACCESS_KEY, BEARER_TOKEN, SECRET_KEY
from tests.integration.claude.wire import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

    WithClient = Callable[[Callable[[Any], Any]], Any]

NO_FORMS = "us.anthropic.claude-opus-5-5"
VERSION = "bedrock-2023-05-31"


@pytest.fixture(autouse=True)
def this_machines_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Airflow of one's own, which isn't asked: the connection is this machine's."""
    monkeypatch.setenv("CHASSIS_AIRFLOW_URL", "http://127.0.0.1:1")


def doctor(path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "--bedrock", "--report", str(path), *options])


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def answers(report: dict[str, Any]) -> dict[str, str]:
    return {each["question"]: each["answer"] for each in report["findings"]}


def test_the_report_tells_what_was_asked_and_counted_and_whose_account_it_was_to_nobody(
    connect: Connect, simulator: Simulator, control: SimulatorControl, tmp_path: Path
) -> None:
    connect.to(simulator.url)
    result = doctor(tmp_path / "report.md", "--yes", "--json")
    assert result.exit_code == 0, result.output
    report = document(result)
    sent = control.requests()
    assert report["calls"] == len(sent)
    assert {each["request_id"] for each in report["findings"]} - {""} == {each["request_id"] for each in sent}
    assert report["simulated"]
    assert 0 < report["usd"] <= MOST_USD
    assert report["usd"] == pytest.approx(sum(each["usd"] for each in report["findings"]))
    assert {answer for question, answer in answers(report).items() if "version" not in question} == {
        "yes",
        "not asked",
    }
    assert [each["question"] for each in report["findings"] if each["answer"] == "not asked"] == [
        "Bedrock's words when it throttles"
    ]
    cache = [each for each in report["findings"] if each["usage"]["cache_write_tokens"]]
    assert len(cache) == 1
    assert 4096 <= cache[0]["usage"]["cache_write_tokens"] <= 1.25 * 4096, "just above the model's minimum"
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Simulated: this proves nothing about AWS" in text
    for secret in (ACCESS_KEY, SECRET_KEY, simulator.url, simulator.url.partition("//")[2]):
        assert secret not in text + result.stdout
    for finding in report["findings"]:
        assert finding["request_id"] in text


def test_nothing_is_sent_without_a_yes(
    connect: Connect, simulator: Simulator, control: SimulatorControl, tmp_path: Path
) -> None:
    connect.to(simulator.url)
    path = tmp_path / "report.md"
    nobody = doctor(path)
    assert nobody.exit_code == 2, "there is no terminal to ask on"
    parent, child = pty.openpty()
    os.write(parent, b"n\n")
    command = [sys.executable, "-m", "chassis.cli.main", "doctor", "--bedrock", "--report", str(path)]
    done = subprocess.run(command, stdin=child, capture_output=True, text=True, check=False, timeout=60)
    os.close(parent)
    os.close(child)
    assert done.returncode == 1, done.stderr
    assert MODEL in done.stderr
    assert f"at most ${MOST_USD:.2f}" in done.stderr
    assert "Nothing was sent." in done.stderr
    assert control.requests() == []
    assert not path.exists()


@pytest.mark.parametrize("known", [True, False], ids=["wrong keys", "no keys"])
def test_wrong_credentials_are_one_clear_error_and_a_report(
    connect: Connect, simulator: Simulator, control: SimulatorControl, tmp_path: Path, known: bool
) -> None:
    keys = {"login": "AKIAWRONG0WRONG0WRON", "password": "wrong"} if known else {}
    extra = {
        "region_name": "us-east-1",
        "service_config": {"bedrock-runtime": {"endpoint_url": simulator.url}},
    }
    connect(extra=extra, **keys)
    result = doctor(tmp_path / "report.md", "--yes")
    assert result.exit_code == 3
    assert result.stderr.count("Error: ") == 1
    assert "credentials" in result.stderr
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert ("CredentialsRefusedError" if known else "CredentialsMissingError") in text
    assert "AKIAWRONG" not in text
    assert len(control.requests()) <= int(known), "after the first call nothing else is asked"


def test_an_api_key_and_the_model_behind_a_profile(
    connect: Connect, simulator: Simulator, control: SimulatorControl, tmp_path: Path
) -> None:
    profile = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3"
    services = {"bedrock-runtime": {"endpoint_url": simulator.url}}
    claude = {"model": profile, "model_behind": {profile: MODEL}}
    control.play("*a1b2c3*", plays="claude-opus-4-6")
    connect(
        extra={
            "region_name": "us-east-1",
            "service_config": services,
            "bearer_token": BEARER_TOKEN,
            "claude": claude,
        }
    )
    result = doctor(tmp_path / "report.md", "--yes", "--json")
    report = document(result)
    assert (report["model"], report["model_behind"]) == ("(an ARN)", MODEL)
    assert report["credentials"] == "a Bedrock API key"
    text = (tmp_path / "report.md").read_text(encoding="utf-8") + result.stdout
    assert "a1b2c3" not in text
    assert "111122223333" not in text
    assert BEARER_TOKEN not in text


def check(with_client: WithClient, model: str = MODEL) -> LiveCheck:
    told: list[Finding] = []

    async def run(client: Any) -> LiveCheck:
        check = LiveCheck(client, model, model, VERSION, told.append)
        await check.run()
        return check

    done: LiveCheck = with_client(run)
    assert done.findings == told
    return done


def test_a_model_that_refuses_forms_is_reported_as_it_answers(
    connect: Connect, simulator: Simulator, control: SimulatorControl, with_client: WithClient
) -> None:
    connect.to(simulator.url)
    done = check(with_client, NO_FORMS)
    forms = {each.question: each for each in done.findings if each.question.startswith("an answer comes by")}
    assert [each.answer for each in forms.values()] == ["no", "no", "yes"]
    refused = forms["an answer comes by a forced tool"]
    assert (refused.status, refused.usd) == (400, 0)
    assert "tool_choice" in refused.detail
    assert done.purse.calls == len(control.requests())


def test_a_model_without_a_price_is_not_asked(
    connect: Connect, simulator: Simulator, control: SimulatorControl, with_client: WithClient
) -> None:
    connect.to(simulator.url)
    with pytest.raises(PriceUnknownError, match="nothing was sent") as caught:
        check(with_client, "ours")
    assert "model_behind" in caught.value.hint
    assert control.requests() == []


def test_no_call_is_made_that_could_pass_what_is_left(
    connect: Connect,
    simulator: Simulator,
    control: SimulatorControl,
    with_client: WithClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect.to(simulator.url)
    monkeypatch.setattr(live_check, "MOST_USD", 0.02)
    done = check(with_client)
    by_question = {finding.question: finding for finding in done.findings}
    dear = by_question["a prefix above 4,096 tokens is written to the cache"]
    assert dear.answer == "not asked"
    assert "it could cost $0.0" in dear.detail
    assert "it is read by the next call" not in by_question, "what was not written can't be read"
    assert done.purse.spent <= 0.02
    assert all(len(json.dumps(entry["body"])) < 4_000 for entry in control.requests())


def test_a_call_whose_end_nobody_saw_counts_at_its_bound(
    connect: Connect, simulator: Simulator, control: SimulatorControl, with_client: WithClient
) -> None:
    connect.to(simulator.url)
    control.add_fault("truncate", times=1, after=1)
    done = check(with_client)
    broken = next(finding for finding in done.findings if "StreamBrokenError" in finding.error)
    assert broken.answer == "unclear"
    assert broken.usd > 0.005, "its bound, and not what came"


def test_a_throttling_that_comes_is_reported_in_bedrocks_words(
    connect: Connect, simulator: Simulator, control: SimulatorControl, with_client: WithClient
) -> None:
    connect.to(simulator.url)
    control.add_fault("throttle", times=1, after=2, retry_after=7)
    done = check(with_client)
    slowed = next(each for each in done.findings if each.question == "Bedrock's words when it throttles")
    assert (slowed.answer, slowed.status, slowed.retry_after) == ("yes", 429, 7)
    assert "Too many requests" in slowed.detail
    assert done.failure is None, "the rest is still asked"
