"""Models played apart, and otherwise for a while, over HTTP and the real SDK."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anthropic
import pytest

from chassis.local.simulator import SimulatorError
from tests.integration.local.simulator.calls import answer_of, send, task_call

if TYPE_CHECKING:
    from chassis.local.simulator import SimulatorControl

NO_FORMAT = "output_config.format: Extra inputs are not permitted"


def test_a_newer_model_refuses_in_anthropics_shape(sdk: anthropic.AnthropicBedrock, stream: bool) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        send(sdk, task_call() | {"model": "us.anthropic.claude-opus-4-8"}, stream=stream)
    error = {"type": "invalid_request_error", "message": NO_FORMAT}
    assert refused.value.response.json() == {"type": "error", "error": error}
    assert "x-amzn-errortype" not in refused.value.response.headers


@pytest.mark.parametrize(
    ("shape", "type_"), [("aws", "validationException"), ("anthropic", "invalid_request_error")]
)
def test_a_form_can_be_refused_inside_the_stream(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, shape: Literal["aws", "anthropic"], type_: str
) -> None:
    control.play(format="refused", place="in_stream", shape=shape)
    with pytest.raises(anthropic.APIStatusError, match=NO_FORMAT) as refused:
        send(sdk, task_call(), stream=True)
    assert isinstance(refused.value.body, dict)
    assert (refused.value.status_code, refused.value.body["error"]["type"]) == (200, type_)
    (entry,) = control.requests()
    assert (entry["status"], entry["usage"], entry["task"]) == (200, None, "add_numbers")
    with pytest.raises(anthropic.BadRequestError, match=NO_FORMAT):
        send(sdk, task_call(), stream=False)


def test_support_vanishes_and_comes_back(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    def takes() -> dict[str, bool]:
        found = {}
        for form in ("output_config", "tool"):
            try:
                send(sdk, task_call(form=form), stream=stream)
            except anthropic.BadRequestError:
                found[form] = False
            else:
                found[form] = True
        return found

    assert takes() == {"output_config": True, "tool": True}
    control.play("us.anthropic.claude-opus-4-6-v1", format="refused")
    assert takes() == {"output_config": False, "tool": True}
    control.play(plays="claude-fable-5-1")
    assert takes() == {"output_config": False, "tool": False}
    control.play_as_known()
    assert takes() == {"output_config": True, "tool": True}


def test_native_output_can_run_to_max_tokens_and_is_paid(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.play(format="runs_away")
    message = send(sdk, task_call(), stream=stream)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 1_000)
    assert answer_of(send(sdk, task_call(form="tool"), stream=stream))["status"] == "completed"


def test_a_play_that_no_model_could_give_is_refused(control: SimulatorControl) -> None:
    wrong: dict[str, Any] = {"format": "maybe"}
    with pytest.raises(SimulatorError, match="format: Input should be 'taken'"):
        control.play(**wrong)


def test_the_documents_example_runs() -> None:
    text = (Path(__file__).parents[4] / "docs" / "reference" / "simulator.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "simulator.md", "exec"), names)
    assert names["control"].url == names["simulator"].url
