"""Thinking and effort against the simulator's models: each is told what it takes, and a refusal ends in an answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude import thinking as module
from chassis.claude.answer_forms import FormMemory
from chassis.claude.conversation import converse
from chassis.claude.reply import call_once
from chassis.claude.thinking import asked_for
from chassis.workflow.spec import TaskSpec
from tests.integration.claude.wire import MODEL, a_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

    WithClient = Callable[[Callable[[Any], Awaitable[Any]]], Any]

LINES = (
    "haiku-4-5 sonnet-4-5 opus-4-5 opus-4-6 sonnet-4-6 opus-4-7 opus-4-8 sonnet-5 opus-5 haiku-5-5 sonnet-5-5"
)
MODELS = [f"us.anthropic.claude-{line}" for line in [*LINES.split(), "opus-5-5", "fable-5-1", "mythos-5-1"]]
SAID: list[dict[str, Any]] = [
    *({"effort": effort} for effort in ("low", "medium", "high", "xhigh", "max")),
    {"thinking": "adaptive"},
    {"thinking": "disabled"},
    {"thinking": "adaptive", "effort": "low"},
]


@pytest.fixture
def do(
    connect: Connect,
    with_client: WithClient,
    simulator: Simulator,
    control: SimulatorControl,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    monkeypatch.setattr(module, "_refused_until", {})
    connect.to(simulator.url)

    def run(*asked: tuple[str, dict[str, Any]]) -> Any:
        async def session(client: Any) -> None:
            for model, said in asked:
                task = TaskSpec(id="a", name="A", instruction="Do.", **said)
                request = a_request(model=model).model_copy(update=asked_for(model, task))
                await converse(
                    partial(call_once, client, subject="a test"),
                    request,
                    check=lambda data: [],
                    repairs=0,
                    memory=FormMemory(),
                )

        return with_client(session)

    return run


def about(control: SimulatorControl) -> list[str]:
    """What was refused because of thinking or effort, and not of an answer's form."""
    bodies = [entry["body"] for entry in control.requests(status=400)]
    return [
        str(body.get("thinking"))
        for body in bodies
        if "tools" not in body and "format" not in (body.get("output_config") or {})
    ]


def test_nothing_is_sent_that_a_model_refuses_for_certain(
    do: Callable[..., Any], control: SimulatorControl
) -> None:
    """Each model, with all that can be said, in each form: an answer every time, and no refusal but of forms."""
    control.play(thinking_tokens=10)  # the greatest effort thinks for longer than this request has room
    do(*((model, said) for model in MODELS for said in SAID))
    assert about(control) == []
    assert module._refused_until == {}
    sent = {str(entry["body"].get("thinking")) for entry in control.requests()}
    assert sent == {"None", *(str({"type": kind}) for kind in ("adaptive", "disabled", "between_tools"))}


@pytest.mark.parametrize("place", ["before", "in_stream"])
def test_what_a_model_refuses_against_all_knowledge_is_left_out_and_answered(
    do: Callable[..., Any], control: SimulatorControl, place: str
) -> None:
    control.play(MODEL, efforts=[], thinking=[], place=place)
    said = {"effort": "low", "thinking": "adaptive"}
    do((MODEL, said), (MODEL, said))
    bodies = [entry["body"] for entry in control.requests()]
    assert ["thinking" in body for body in bodies][-2:] == [False, False]
    assert len(bodies) == 4, "two refusals, the answer, and once more without asking for what was refused"
