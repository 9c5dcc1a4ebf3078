from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.scenario import AnswerRule, FaultRule, Quota, load_scenario, parse
from chassis.local.simulator.server_state import RuleBook
from chassis.local.simulator.simulator_errors import SimulatorError
from chassis.prompts import run_message, task_message

if TYPE_CHECKING:
    from pathlib import Path


def task(
    task_id: str = "update",
    item: str | None = "claims",
    *,
    stream: bool = True,
    model: str = "us.anthropic.x",
) -> ClaudeRequest:
    text = run_message(requirement="Onboard Acme now", inputs={}, limit=99) + task_message(
        task_id=task_id, item=item, instruction="Do.", service=None, results=[], limit=99
    )
    return ClaudeRequest(model, {"messages": [{"role": "user", "content": text}]}, stream)


def fault(name: str = "throttle", **fields: Any) -> FaultRule:
    return parse(FaultRule, {"fault": name, **fields}, "The fault")


@pytest.mark.parametrize(
    ("match", "meant"),
    [
        ({}, True),
        ({"kind": "task"}, True),
        ({"kind": "plan"}, False),
        ({"task": "update", "item": "claims"}, True),
        ({"task": "updat"}, False),
        ({"item": "pricing"}, False),
        ({"model": "us.anthropic.*"}, True),
        ({"model": "eu.*"}, False),
        ({"requirement": "onboard ACME"}, True),
        ({"requirement": "offboard"}, False),
    ],
    ids=str,
)
def test_a_rule_hits_the_requests_that_it_describes(match: dict[str, str], meant: bool) -> None:
    assert fault(match=match).accepts(task()) is meant


def test_a_rule_lets_the_first_pass_and_is_used_up_after_its_times() -> None:
    book = RuleBook([fault(after=2, times=2)])
    assert [book.pick(task()) is not None for _ in range(6)] == [False, False, True, True, False, False]


def test_only_matching_requests_are_counted() -> None:
    book = RuleBook([fault(times=1, match={"item": "pricing"})])
    assert book.pick(task(item="claims")) is None
    assert book.pick(task(item="pricing")) is not None
    assert book.pick(task(item="pricing")) is None


def test_the_first_rule_that_is_not_used_up_applies() -> None:
    book = RuleBook([fault("throttle", times=1), fault("internal")])
    picked = [book.pick(task()) for _ in range(3)]
    assert [rule.fault for rule in picked if rule] == ["throttle", "internal", "internal"]


def test_cleared_rules_apply_no_more() -> None:
    book = RuleBook([fault()])
    book.clear()
    assert book.pick(task()) is None


@pytest.mark.parametrize(
    ("name", "stream", "possible"),
    [
        ("truncate", True, True),
        ("truncate", False, False),
        ("exception_frame", False, False),
        ("stall", False, True),
        ("wrong_plan", True, False),
        ("blocked", True, True),
        ("no_structured_output", True, False),
    ],
)
def test_a_fault_hits_only_requests_to_which_it_can_happen(name: str, stream: bool, possible: bool) -> None:
    assert fault(name).accepts(task(stream=stream)) is possible


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"fault": "nosuch"}, "fault: "),
        ({"fault": "throttle", "item": "claims"}, "item: Extra inputs"),
        ({"fault": "throttle", "match": {"itme": "claims"}}, "match.itme: Extra inputs"),
        ({"fault": "throttle", "times": 0}, "times: "),
        ({"times": "x"}, "fault: Field required; times: "),
    ],
    ids=["name", "field", "match", "times", "all at once"],
)
def test_a_wrong_rule_is_refused_with_the_field(data: dict[str, Any], words: str) -> None:
    with pytest.raises(SimulatorError) as refused:
        parse(FaultRule, data, "The fault")
    message = refused.value.message
    assert all(part in message for part in words.split("; ")), message


@pytest.mark.parametrize("forms", [{}, {"json": 1, "text": "x"}], ids=["none", "two"])
def test_an_answer_has_exactly_one_form(forms: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError, match="exactly one of json, text, plan, result, changes, turns"):
        parse(AnswerRule, forms, "The answer")


def test_a_usage_may_stand_alone_or_with_a_form() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5}
    for form in ({}, {"text": "x"}):
        rule = parse(AnswerRule, {"usage": usage, **form}, "The answer")
        assert rule.accepts(task())
        assert rule.usage is not None
        assert rule.usage.model_dump() == usage
    with pytest.raises(SimulatorError, match=r"usage\.output_tokens: Field required"):
        parse(AnswerRule, {"usage": {"input_tokens": 10}}, "The answer")


def test_an_answer_of_null_is_an_answer() -> None:
    assert parse(AnswerRule, {"json": None}, "The answer").accepts(task())


def test_a_plan_is_no_answer_to_a_task_nor_a_result_to_a_planner() -> None:
    assert not parse(AnswerRule, {"plan": {}}, "The answer").accepts(task())
    assert parse(AnswerRule, {"result": {}}, "The answer").accepts(task())


def test_a_scenario_file_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(
        "latency: 0.1\nquota: {requests_per_second: 10, in_flight: 20}\n"
        "answers:\n- match: {task: discover}\n  result: {output: [a]}\n"
        "faults:\n- {fault: throttle, times: 2, retry_after: 1, match: {item: pricing}}\n"
    )
    scenario = load_scenario(file)
    assert scenario.latency == 0.1
    assert scenario.quota == Quota(requests_per_second=10, in_flight=20)
    assert scenario.answers[0].result == {"output": ["a"]}
    assert (scenario.faults[0].fault, scenario.faults[0].retry_after) == ("throttle", 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("faults: [{fault: nosuch}]", "faults.0.fault"),
        ("answer: []", "answer: Extra inputs"),
        ("a: [", "can't be read"),
        ("- 1", "the whole"),
    ],
    ids=["value", "key", "no yaml", "no mapping"],
)
def test_a_wrong_scenario_file_is_named_with_its_fault(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    with pytest.raises(SimulatorError) as refused:
        load_scenario(file)
    assert words in refused.value.message
    assert str(file) in refused.value.message


def test_a_missing_scenario_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match=r"nosuch\.yaml can't be read"):
        load_scenario(tmp_path / "nosuch.yaml")
