"""Rules that a test or a scenario file gives: which requests fail and how, which get a given answer,
and the quota that all of them share.

A scenario file is YAML (or JSON)::

    latency: 0.1
    quota: {requests_per_second: 10, in_flight: 20}
    answers:
      - match: {kind: plan, requirement: onboarding}
        plan: {title: Onboarding, id: onboarding, inputs: [], tasks: [...]}
      - match: {task: discover}
        result: {output: {services: [pricing, claims]}}
        usage: {input_tokens: 1000, output_tokens: 500}
    faults:
      - match: {task: update_service, item: pricing}
        fault: throttle
        times: 2
        retry_after: 1
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chassis.local.simulator.claude_request import Kind
from chassis.local.simulator.simulator_errors import SimulatorError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.local.simulator.claude_request import ClaudeRequest

FaultName = Literal[
    "throttle",
    "internal",
    "unavailable",
    "overloaded",
    "too_many_tokens",
    "tokens_per_day",
    "too_many_connections",
    "model_not_ready",
    "model_error",
    "access_denied",
    "expired_token",
    "unknown_model",
    "use_case",
    "marketplace",
    "agreement_pending",
    "legacy",
    "not_for_account",
    "not_allowed",
    "data_retention",
    "on_demand",
    "bearer_key",
    "clock",
    "no_structured_output",
    "stall",
    "reset",
    "truncate",
    "exception_frame",
    "malformed_json",
    "wrong_schema",
    "wrong_plan",
    "max_tokens",
    "refusal",
    "blocked",
]

_STRICT = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Match(BaseModel):
    """Which requests a rule is about. What is not given matches everything."""

    model_config = _STRICT

    kind: Kind | None = None
    task: str | None = Field(None, description="Task id, exactly.")
    item: str | None = Field(None, description="Item of a mapped task, exactly.")
    model: str | None = Field(None, description="Bedrock model id; * and ? stand for any characters.")
    requirement: str | None = Field(
        None, description="Words that the requirement contains; case doesn't matter."
    )

    def accepts(self, request: ClaudeRequest) -> bool:
        """Whether the request is meant."""
        pairs = ((self.kind, request.kind), (self.task, request.task), (self.item, request.item))
        return (
            all(wanted is None or wanted == found for wanted, found in pairs)
            and (self.model is None or fnmatchcase(request.model, self.model))
            and (
                self.requirement is None
                or self.requirement.casefold() in request.text_of("requirement").casefold()
            )
        )


class Rule(BaseModel):
    """When a rule applies: to the requests that match, save the first ``after``, at most ``times`` times."""

    model_config = _STRICT

    match: Match = Match()
    times: int | None = Field(None, ge=1, description="How often it applies; None is until it is cleared.")
    after: int = Field(0, ge=0, description="Matching requests that are let through first.")


class FaultRule(Rule):
    """A fault on demand, see :mod:`chassis.local.simulator.faults`."""

    fault: FaultName
    retry_after: float | None = Field(
        None, ge=0, description="throttle, unavailable: seconds in the retry-after header."
    )
    seconds: float | None = Field(
        None, gt=0, description="stall: length of the silence; None is until the caller gives up."
    )
    message: str | None = Field(
        None, description="The server's words, for faults that are an error answer or frame."
    )
    in_stream: bool = Field(
        False, description="For an error answer: it is the first frame of a stream whose status is 200."
    )
    form: Literal["aws", "anthropic"] = Field(
        "aws", description="Shape of an error answer: AWS's own, or Anthropic's, which newer models give."
    )

    def accepts(self, request: ClaudeRequest) -> bool:
        """Whether the request matches and the fault can happen to it: an invoke has no stream to cut."""
        possible = {
            "truncate": request.stream,
            "exception_frame": request.stream,
            "no_structured_output": request.wants_format,
            "wrong_plan": request.kind == "plan",
            "blocked": request.kind == "task",
        }
        return possible.get(self.fault, True) and self.match.accepts(request)


class GivenUsage(BaseModel):
    """Tokens that an answer is said to have cost, so that its price is known. None of them is cached."""

    model_config = _STRICT

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class AnswerRule(Rule):
    """An answer given beforehand, in one form, or the tokens of the simulator's own answer, or both."""

    data: Any = Field(None, alias="json", description="Any JSON, sent as it is even if it breaks the schema.")
    text: str | None = Field(None, description="Any text, sent as it is.")
    plan: dict[str, Any] | None = Field(None, description="A plan, made to fit the request's schema.")
    result: dict[str, Any] | None = Field(
        None,
        description="Parts of a task's answer (status, reason, summary, output); the rest is filled in.",
    )
    usage: GivenUsage | None = Field(None, description="Tokens of the answer; None counts its characters.")

    @model_validator(mode="after")
    def _has_one_form(self) -> AnswerRule:
        given = {"data", "text", "plan", "result"} & self.model_fields_set
        if len(given) > 1 or (not given and self.usage is None):
            raise ValueError("give exactly one of json, text, plan, result; or usage alone")
        return self

    def accepts(self, request: ClaudeRequest) -> bool:
        """Whether the request matches; a plan is for planners only and a result for tasks only."""
        fits = (self.plan is None or request.kind == "plan") and (
            self.result is None or request.kind == "task"
        )
        return fits and self.match.accepts(request)


class Quota(BaseModel):
    """What the account may ask for; None is no limit. What is over is refused: 429 ``ThrottlingException``."""

    model_config = _STRICT

    requests_per_second: int | None = Field(None, ge=1, description="Requests admitted in any one second.")
    in_flight: int | None = Field(None, ge=1, description="Requests answered at once.")
    tokens_per_minute: int | None = Field(
        None,
        ge=0,
        description="Tokens of one model in any one minute; a call reserves its prompt and max_tokens.",
    )
    tokens_per_day: int | None = Field(None, ge=0, description="The same for a day.")
    retry_after: float | None = Field(
        None, ge=0, description="Seconds in the refusal's retry-after header; None sends none, as Bedrock."
    )


class Scenario(BaseModel):
    """The contents of a scenario file."""

    model_config = _STRICT

    latency: float | None = Field(None, ge=0, description="Seconds before each answer begins.")
    quota: Quota | None = None
    answers: tuple[AnswerRule, ...] = ()
    faults: tuple[FaultRule, ...] = ()


_R = TypeVar("_R", FaultRule, AnswerRule)
_M = TypeVar("_M", bound=BaseModel)


class RuleBook(Generic[_R]):
    """Rules in force, oldest first; the first that accepts a request and is not used up applies."""

    def __init__(self, rules: Iterable[_R] = ()) -> None:
        self._rules: list[tuple[_R, list[int]]] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: _R) -> None:
        self._rules.append((rule, [0]))

    def clear(self) -> None:
        self._rules.clear()

    def pick(self, request: ClaudeRequest) -> _R | None:
        """The rule that applies to this request, which counts as one use."""
        for rule, seen in self._rules:
            if not rule.accepts(request) or (rule.times is not None and seen[0] >= rule.after + rule.times):
                continue
            seen[0] += 1
            if seen[0] > rule.after:
                return rule
        return None


def parse(kind: type[_M], data: Any, where: str) -> _M:
    """Build a rule or a scenario from data.

    :raises SimulatorError: names every field that is wrong
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'the whole'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise SimulatorError(
            f"{where} can't be used: {faults}.", hint="See chassis.local.simulator.scenario for the fields."
        ) from None


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file.

    :raises SimulatorError: the file can't be read, is no YAML, or has fields that are wrong
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SimulatorError(f"The scenario file {path} can't be read: {error}") from None
    return parse(Scenario, data or {}, f"The scenario file {path}")
