"""What each Claude model takes and refuses on Bedrock: one file in ``models/`` for each, with its sources.

A test may have a model played otherwise for a while (:class:`Play`): support for a form vanishes overnight and comes
back, and reports contradict each other.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from chassis.local.simulator.scenario import parse
from chassis.local.simulator.simulator_errors import ApiError, SimulatorError

DEFAULT = "claude-opus-4-6"  # what an application inference profile is played as, whose ARN names no model

_ARN = r"(?:arn:aws[\w-]*:bedrock:[\w-]*:\d*:(?:inference-profile|foundation-model)/)?"
_ID = re.compile(
    _ARN
    + r"(?:(?P<prefix>[\w-]+)\.)?anthropic\.(?P<family>claude-[a-z]+(?:-\d{1,2})+)(?:-\d{8})?(?:-v\d+)?(?::\d+)?"
)
_APPLICATION_PROFILE = re.compile(r"arn:aws[\w-]*:bedrock:[\w-]+:\d+:application-inference-profile/\w+")

Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["enabled", "adaptive", "disabled", "between_tools"]


class Model(BaseModel):
    """How a model behaves. A file in ``models/`` gives all that has no default here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = Field(description="The model's name inside its ids, such as claude-opus-4-6.")
    prefixes: tuple[str, ...] = Field(
        min_length=1, description="Inference profiles: us, eu, global and so on."
    )
    on_demand: bool = Field(False, description="Whether the bare id is taken, without a profile.")
    versions: tuple[str, ...] = Field(min_length=1, description="Values of anthropic_version that it takes.")
    shape: Literal["aws", "anthropic"] = Field(description="Of an error that the model itself gives.")
    format: Literal["taken", "refused", "too_complex", "runs_away"] = Field(
        description="output_config.format. runs_away: the answer goes on until max_tokens."
    )
    forced_tool: Literal["taken", "unless_thinking", "refused"] = Field(
        description="tool_choice any or tool. unless_thinking: refused where the request asks for thinking."
    )
    asked_for: Literal["plain", "fenced", "prose"] = Field(
        "plain",
        description="JSON that only the prompt asks for: alone, in a code fence, or with prose around.",
    )
    place: Literal["before", "in_stream"] = Field(
        "before",
        description="Where a form is refused: as the answer, or as the first frame of a stream (200).",
    )
    status: int = Field(400, ge=400, le=599, description="HTTP status of a refused form.")
    throttled: Literal["before", "in_stream"] = Field(
        description="Where a quota's refusal stands, when a stream was asked for."
    )
    thinking: tuple[Thinking, ...] = Field(description="Values of thinking.type that it takes.")
    thinks_unasked: bool = Field(description="Whether it thinks when the request says nothing about it.")
    disabled_up_to: Effort | None = Field(
        None, description="Highest effort at which thinking can be switched off; None: at any, if at all."
    )
    shows_thinking: bool = Field(
        description="Whether the text of its thinking is shown, unless asked otherwise."
    )
    thinking_tokens: int | None = Field(
        None, ge=0, description="Tokens that it thinks with; None goes by the effort."
    )
    binds_thinking: bool = Field(description="Whether a thinking block is bound to all that stood before it.")
    efforts: tuple[Effort, ...] = Field(
        description="Values of output_config.effort; empty: it refuses effort."
    )
    default_effort: Effort | None = Field(None, description="What no effort means; None where it has none.")
    cache_minimum: int = Field(ge=1, description="Tokens that a prefix needs to be cached.")
    sources: tuple[str, ...] = Field(min_length=1, description="Where each of this is known from.")

    def refusal(self, message: str) -> ApiError:
        """What the model itself answers to what it doesn't take, in its shape and place."""
        in_stream = self.place == "in_stream"
        return ApiError(self.status, "ValidationException", message, form=self.shape, in_stream=in_stream)


class Play(BaseModel):
    """A model that is played otherwise than its file says, until it is taken back.

    ``behaviour`` has fields of :class:`Model`; ``plays`` is the family that answers in the place of the named one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("*", description="Bedrock model id; * and ? stand for any characters.")
    plays: str | None = Field(None, description="Family that answers, such as claude-opus-5-5.")
    behaviour: dict[str, Any] = {}


@cache
def known_models() -> dict[str, Model]:
    """Every model that has a file, by its family."""
    files = [
        file
        for file in resources.files("chassis.local.simulator").joinpath("models").iterdir()
        if file.name.endswith(".yaml")
    ]
    models = [
        parse(Model, yaml.safe_load(file.read_text("utf-8")), f"The model file {file.name}") for file in files
    ]
    return {model.family: model for model in sorted(models, key=lambda model: model.family)}


class Cast:
    """Which model answers to an id, and how it behaves now."""

    def __init__(self) -> None:
        self._plays: list[Play] = []

    def add(self, play: Play) -> None:
        """Play a model otherwise from now on; what is given last wins.

        :raises SimulatorError: an unknown family or field, or a value that the field doesn't take
        """
        known = known_models()
        if play.plays is not None and play.plays not in known:
            raise SimulatorError(
                f"The play can't be used: no model {play.plays}; there are {', '.join(known)}."
            )
        parse(Model, known[play.plays or DEFAULT].model_dump() | play.behaviour, "The play")
        self._plays.append(play)

    def clear(self) -> None:
        """Back to what the files say."""
        self._plays.clear()

    def model(self, model_id: str) -> Model:
        """The model that answers to the id.

        :raises ApiError: 400, no model has it, or the model wants an inference profile
        """
        plays = [play for play in self._plays if fnmatchcase(model_id, play.model)]
        found = _named(model_id, next((play.plays for play in reversed(plays) if play.plays), None))
        for play in plays:
            found = Model.model_validate(found.model_dump() | play.behaviour)
        return found


def _named(model_id: str, family: str | None) -> Model:
    if family is not None:
        return known_models()[family]
    if _APPLICATION_PROFILE.fullmatch(model_id):
        return known_models()[DEFAULT]
    match = _ID.fullmatch(model_id)
    model = known_models().get(match["family"]) if match else None
    if match is None or model is None or match["prefix"] not in (None, *model.prefixes):
        raise _refusal("The provided model identifier is invalid.")
    if match["prefix"] is None and not model.on_demand:
        bare = model_id.rpartition("/")[2]
        raise _refusal(
            f"Invocation of model ID {bare} with on-demand throughput isn't supported. Retry your request with the ID "
            "or ARN of an inference profile that contains this model."
        )
    return model


def _refusal(message: str) -> ApiError:
    return ApiError(400, "ValidationException", message)
