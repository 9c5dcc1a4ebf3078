"""The log, given answers, and who may control the simulator."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from chassis.local.simulator import Simulator, SimulatorControl, SimulatorError
from tests.integration.local.simulator.calls import answer_of, plan_call, send, task_call

if TYPE_CHECKING:
    from pathlib import Path

    import anthropic


def test_the_log_says_what_was_asked_and_answered(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    before = time.time()
    send(sdk, plan_call(), stream=True)
    message = send(sdk, task_call("update", "Do.", item="claims"), stream=False)
    plan, task = control.requests()
    assert (plan["kind"], plan["task"], plan["stream"], task["stream"]) == ("plan", None, True, False)
    assert (task["kind"], task["task"], task["item"], task["fault"]) == ("task", "update", "claims", None)
    assert task["n"] == plan["n"] + 1
    assert before <= plan["started"] <= plan["ended"] <= task["started"] <= task["ended"] <= time.time()
    assert task["body"]["messages"] == task_call("update", "Do.", item="claims")["messages"]
    assert task["usage"]["output_tokens"] == message.usage.output_tokens
    assert (plan["in_flight"], plan["peak"]) == (1, 1)
    control.clear_requests()
    assert control.requests() == []


def test_entries_are_selected_by_their_fields(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    for item in ("claims", "pricing", "claims"):
        send(sdk, task_call("update", "Do.", item=item), stream=False)
    assert len(control.requests(kind="task", item="claims")) == 2
    assert control.requests(kind="plan") == []


@pytest.mark.parametrize(
    ("form", "given", "expected"),
    [
        ("json", {"of": "any shape"}, {"of": "any shape"}),
        ("json", None, None),
        ("text", '{"as": "text"}', {"as": "text"}),
        (
            "result",
            {"summary": "Found.", "output": ["a", "b"], "unknown": 1},
            {"status": "completed", "reason": "", "summary": "Found.", "output": '["a", "b"]'},
        ),
    ],
)
def test_answers_can_be_given(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, form: Any, given: Any, expected: Any
) -> None:
    control.add_answer(given, form=form, task="discover", times=1)
    assert answer_of(send(sdk, task_call("discover", "Find."), stream=True)) == expected
    assert "[simulated]" in answer_of(send(sdk, task_call("discover", "Find."), stream=True))["summary"]


def test_a_given_plan_is_made_to_fit(sdk: anthropic.AnthropicBedrock, control: SimulatorControl) -> None:
    control.add_answer(
        {"title": "T", "id": "t", "tasks": [{"id": "a"}], "unknown": 1}, form="plan", requirement="the sum"
    )
    tasks = [{"id": "a", "depends_on": [], "note": None}]
    assert answer_of(send(sdk, plan_call(), stream=True)) == {"title": "T", "id": "t", "tasks": tasks}
    assert answer_of(send(sdk, plan_call("Something else"), stream=True))["id"] == "something_else"


def test_the_latency_can_be_set_and_a_reset_takes_everything_back(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.set_latency(0.3)
    control.add_fault("blocked")
    control.add_answer({})
    send(sdk, task_call(), stream=True)
    (entry,) = control.requests()
    assert entry["ended"] - entry["started"] >= 0.3
    assert control.health()["latency"] == 0.3
    control.reset()
    assert control.requests() == []
    assert control.health()["latency"] == 0
    message = send(sdk, task_call(), stream=True)
    assert answer_of(message)["status"] == "completed"
    assert message.usage.cache_read_input_tokens == 0


def test_cleared_faults_and_answers_are_gone(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("internal")
    control.add_answer({"given": True})
    control.clear_faults()
    assert answer_of(send(sdk, task_call(), stream=True)) == {"given": True}
    control.clear_answers()
    assert answer_of(send(sdk, task_call(), stream=True))["status"] == "completed"


def test_a_wrong_rule_is_refused_with_the_reason(control: SimulatorControl) -> None:
    with pytest.raises(SimulatorError, match="fault: there is no fault 'nosuch', but throttle"):
        control.add_fault("nosuch")
    with pytest.raises(SimulatorError, match=r"match\.itme: Extra inputs are not permitted"):
        control.add_fault("throttle", itme="claims")
    with pytest.raises(SimulatorError, match="latency: Input should be greater than or equal to 0"):
        control.set_latency(-1)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://example.com"}, {"Host": "rebound.example.com"}],
    ids=["a web page", "a name that points at loopback"],
)
def test_the_browser_of_this_machine_may_not_control_it(
    control: SimulatorControl, headers: dict[str, str]
) -> None:
    request = urllib.request.Request(f"{control.url}/_simulator/requests", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
    assert refused.value.code == 403


def test_a_body_that_is_no_json_is_refused(control: SimulatorControl) -> None:
    request = urllib.request.Request(f"{control.url}/_simulator/scenario", data=b"{", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
    assert (refused.value.code, json.load(refused.value)) == (400, {"error": "The body is no JSON."})


def test_the_peak_is_of_the_selected_requests(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.set_latency(60)
    calls = [task_call("update", "Do.", item=item) for item in ("a", "b", "c")] + [task_call("other", "Do.")]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send, sdk, call, stream=True) for call in calls]
        control.wait_for_requests(4)
        control.set_latency(0)
        assert [answer.result().model for answer in answers] == ["simulated"] * 4
    assert control.peak_in_flight() == 4
    assert control.peak_in_flight(task="update") == 3
    assert control.peak_in_flight(task="nosuch") == 0


def test_waiting_for_requests_that_do_not_come_says_how_many_did(control: SimulatorControl) -> None:
    with pytest.raises(
        SimulatorError, match=r"2 requests with .*'task': 'update'.* did not come in 0\.1 s, but 0"
    ):
        control.wait_for_requests(2, timeout=0.1, task="update")


def test_a_stopped_simulator_is_told_as_such() -> None:
    with Simulator() as stopped:
        control = stopped.control
    with pytest.raises(SimulatorError, match="does not answer"):
        control.health()


def test_a_port_in_use_is_told_with_the_way_out(simulator: Simulator) -> None:
    port = int(simulator.url.rpartition(":")[2])
    with pytest.raises(SimulatorError, match=rf"can't listen on 127\.0\.0\.1:{port}.*Choose another port"):
        Simulator(port=port).start()


def test_a_port_that_is_none_is_told_as_such() -> None:
    with pytest.raises(SimulatorError, match="65535"):
        Simulator(port=70_000).start()


def test_a_scenario_file_rules_from_the_start_and_after_a_reset(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(
        "latency: 0.05\nanswers: [{match: {kind: other}, text: '[simulated] by scenario', times: 1}]\n"
    )
    with Simulator(scenario=file, log_file=tmp_path / "log.jsonl") as scripted:
        from tests.integration.local.simulator.calls import client

        def ask() -> str:
            asked = {
                "model": "us.anthropic.claude-opus-4-8",
                "max_tokens": 20,
                "messages": [{"role": "user", "content": "Hi"}],
            }
            return str(send(client(scripted.url), asked, stream=False).content[0].text)

        assert [ask(), ask()] == ["[simulated] by scenario", "[simulated] This is the simulator, not Claude."]
        scripted.control.reset()
        assert ask() == "[simulated] by scenario"
        assert scripted.control.health()["latency"] == 0.05
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
