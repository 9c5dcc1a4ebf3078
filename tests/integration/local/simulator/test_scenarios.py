"""A conversation with tools, turn by turn, as a scenario file tells it: the example of the simulator's document."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import psutil
import pytest
from typer.testing import CliRunner

from chassis.cli.main import app
from chassis.local.processes import ProcessId
from chassis.local.simulator import Simulator, SimulatorControl, SimulatorError
from chassis.local.stack_file import StackRecord, write_record
from tests.integration.local.simulator.calls import answer_of, client, send, task_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anthropic.types import Message

DOCUMENT = Path(__file__).parents[4] / "docs" / "reference" / "simulator.md"
OBJECT = {"type": "object"}
TOOLS = [{"name": "Bash", "input_schema": OBJECT}, {"name": "Edit", "input_schema": OBJECT}]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path_factory.mktemp("scenarios") / "repair.yaml"
    file.write_text(example)
    with Simulator(scenario=[file]) as running:
        yield running.url


@pytest.fixture
def call(url: str) -> dict[str, Any]:
    SimulatorControl(url).reset()
    return task_call("repair", "Please repair pricing.") | {"tools": TOOLS}


def go_on(call: dict[str, Any], message: Message, returned: str) -> None:
    """Let the conversation go on with what the tool returned."""
    (used,) = (block for block in message.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": used.id, "content": returned}
    call["messages"] += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
        {"role": "user", "content": [result]},
    ]


def repeated(url: str, call: dict[str, Any], *, stream: bool) -> Message:
    """The answer to a call that is throttled once."""
    with pytest.raises(anthropic.RateLimitError):
        send(client(url), call, stream=stream)
    return send(client(url), call, stream=stream)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "invoke"])
def test_three_turns_with_tools_are_played_as_the_file_says(
    url: str, call: dict[str, Any], stream: bool
) -> None:
    first = send(client(url), call, stream=stream)
    said, used = first.content
    assert (said.type, used.type, first.stop_reason) == ("text", "tool_use", "tool_use")
    assert said.text == "[simulated] Reading pricing first."
    assert (used.name, used.input) == ("Bash", {"command": "cat pricing.py"})
    go_on(call, first, "return 1 # {{ 6 * 7 }}")

    second = repeated(url, call, stream=stream)
    (used,) = second.content
    assert used.type == "tool_use"
    assert (used.name, used.input) == ("Edit", {"old": "return 1 # {{ 6 * 7 }}", "new": "return 2"})
    assert used.id != first.content[1].id  # type: ignore[union-attr]
    go_on(call, second, "Done.")

    last = send(client(url), call, stream=stream)
    assert last.stop_reason == "end_turn"
    expected = {
        "status": "completed",
        "reason": "",
        "summary": "[simulated] Repaired pricing.",
        "output": "Done.",
    }
    assert answer_of(last) == expected
    assert last.usage.input_tokens + last.usage.cache_read_input_tokens > first.usage.input_tokens  # type: ignore[operator]


def test_what_a_tool_returned_chooses_the_answer(url: str, call: dict[str, Any]) -> None:
    go_on(call, send(client(url), call, stream=True), "cat: pricing.py: No such file or directory")
    assert answer_of(repeated(url, call, stream=True))["status"] == "blocked"


def test_a_tool_that_is_not_offered_is_not_called(url: str, call: dict[str, Any]) -> None:
    with pytest.raises(
        anthropic.BadRequestError, match=r"calls 'Bash', which is none of the request's tools"
    ):
        send(client(url), call | {"tools": TOOLS[1:]}, stream=True)


def test_a_tools_result_belongs_behind_its_call(url: str, call: dict[str, Any]) -> None:
    go_on(call, send(client(url), call, stream=True), "return 1")
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.1: `tool_use` ids were found without"):
        send(client(url), call | {"messages": [*call["messages"][:2], call["messages"][0]]}, stream=True)
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.1: unexpected `tool_use_id`"):
        send(client(url), call | {"messages": [call["messages"][0], call["messages"][2]]}, stream=True)


def test_a_running_simulator_takes_a_scenario(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    given = {
        "match": {"work": r"greet\. say (?P<word>\w+)"},
        "result": {"summary": "{{ word | upper }}, {{ item }}"},
    }
    control.add_scenario({"answers": [given]})
    assert (
        answer_of(send(sdk, task_call("greet", "Say hi.", item="you"), stream=True))["summary"] == "HI, you"
    )


def test_an_answer_that_a_test_gives_is_no_template(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    hostile = "{{ 6 * 7 }} {% raw %} {{ 1 +"
    control.add_answer({"summary": hostile}, form="result")
    assert answer_of(send(sdk, task_call(), stream=True))["summary"] == hostile


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"result": {}, "numbers": ["{{ task }}"]}, r"\['add_numbers'\] are no numbers"),
        ({"text": "{{ nosuch }}", "name": "mine"}, r"can't answer \(mine\): nosuch is undefined"),
        (
            {"text": "a {{ ''.__class__.mro() }}"},
            r"access to attribute .*__class__.* is unsafe",
        ),
    ],
    ids=["no number", "a name that isn't known", "a way out of the sandbox"],
)
def test_a_template_that_fails_is_told_to_the_caller(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, answer: dict[str, Any], words: str
) -> None:
    control.add_scenario({"answers": [answer]})
    with pytest.raises(anthropic.BadRequestError, match=words):
        send(sdk, task_call(), stream=True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"text": "{{ 1 +"}, r"answers\.0: '\{\{ 1 \+' is no template"),
        ({"text": "x", "match": {"comment": "("}}, r"match\.comment: is no regular expression"),
        ({"text": "x", "turns": [{"text": "y"}]}, "give exactly one"),
        ({"turns": [{}]}, r"turns\.0: give exactly one"),
    ],
)
def test_a_wrong_scenario_is_refused(control: SimulatorControl, answer: dict[str, Any], words: str) -> None:
    with pytest.raises(SimulatorError, match=words):
        control.add_scenario({"answers": [answer]})


def test_up_gives_a_running_stacks_simulator_the_files_that_it_names(
    sdk: anthropic.AnthropicBedrock,
    control: SimulatorControl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = ProcessId.of(os.getpid())
    record = StackRecord(
        url="http://127.0.0.1:1",
        execution_url="http://127.0.0.1:1",
        simulator_url=control.url,
        username="admin",
        password_file="p",
        booted=psutil.boot_time(),
        supervisor=here,
        components={},
    )
    write_record(tmp_path, record)
    monkeypatch.setattr("chassis.cli.target.start", lambda *_, **__: False)
    file = tmp_path / "hello.yaml"
    file.write_text("answers: [{match: {task: greet}, result: {summary: 'Hello, {{ item }}'}}]")
    done = CliRunner().invoke(app, ["up", "--home", str(tmp_path), "--scenario", str(file)])
    assert done.exit_code == 0, done.output
    assert answer_of(send(sdk, task_call("greet", "Do.", item="you"), stream=True))["summary"] == "Hello, you"
    refused = CliRunner().invoke(app, ["up", "--home", str(tmp_path), "--scenario", str(tmp_path / "nosuch")])
    assert "nosuch can't be read" in " ".join(refused.output.split())
    write_record(tmp_path, record.model_copy(update={"simulator_url": None}))
    refused = CliRunner().invoke(app, ["up", "--home", str(tmp_path), "--scenario", str(file)])
    assert (refused.exit_code, "Amazon Bedrock answers here" in refused.output) == (2, True)
