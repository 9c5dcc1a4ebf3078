"""Scenario files: what a request looks like and what is answered, turn by turn; which requests fail, and the quota.

docs/reference/simulator.md describes the format. The simulator's own answers are such files, in ``scenarios/``. A test
adds answers and faults to a running simulator in the same words, over its control API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from chassis.local.simulator.claude_request import Kind
from chassis.local.simulator.scenario_templates import check_templates, fill, fill_numbers
from chassis.local.simulator.simulator_errors import SimulatorError

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest

_FILES = resources.files("chassis.local.simulator")
ANSWER_FAULTS = ("malformed_json", "wrong_schema", "wrong_plan", "max_tokens", "refusal", "blocked")
WIRE_FAULTS = ("stall", "reset", "truncate", "exception_frame")


@cache
def error_faults() -> dict[str, dict[str, str]]:
    """Status, type and message of the faults that are an error instead of an answer, by name."""
    found: dict[str, dict[str, str]] = yaml.safe_load(_FILES.joinpath("error_faults.yaml").read_text("utf-8"))
    return found


def fault_names() -> list[str]:
    """The names of all faults, see :mod:`chassis.local.simulator.faults`."""
    return [*error_faults(), *ANSWER_FAULTS, *WIRE_FAULTS]


def _fault_name(name: str) -> str:
    if name not in fault_names():
        raise ValueError(f"there is no fault {name!r}, but {', '.join(fault_names())}")
    return name


_STRICT = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _pattern(value: Any) -> Any:
    try:
        return re.compile(value, re.IGNORECASE) if isinstance(value, str) else value
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None


Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern)]
Source = Literal[
    "requirement", "comment", "instruction", "work", "prompt", "system", "results", "tool_result"
]


class Match(BaseModel):
    """Which requests are meant. What is not given matches everything.

    The texts are regular expressions that are searched for; case doesn't matter. Their named groups are variables.
    """

    model_config = _STRICT

    kind: Kind | None = None
    task: str | None = Field(None, description="Task id, exactly.")
    item: str | None = Field(None, description="Item of a mapped task, exactly.")
    model: str | None = Field(None, description="Bedrock model id; * and ? stand for any characters.")
    turn: int | None = Field(None, ge=1, description="1 plus the answers that the conversation holds.")
    revises: bool | None = Field(None, description="Whether a planner's request holds a current plan.")
    requirement: Pattern | None = None
    comment: Pattern | None = Field(None, description="A person's comment on a plan.")
    instruction: Pattern | None = Field(None, description="A task's instruction.")
    work: Pattern | None = Field(None, description="A task's id as words, and its instruction.")
    prompt: Pattern | None = Field(None, description="All text of the user's turns.")
    system: Pattern | None = Field(None, description="The system prompt.")
    tool_result: Pattern | None = Field(None, description="What the tools of the turn before returned.")

    def captures(self, request: ClaudeRequest) -> dict[str, str | None] | None:
        """The named groups of the texts that were found; None when the request isn't meant."""
        for name in ("kind", "task", "item", "turn", "revises"):
            wanted = getattr(self, name)
            if wanted is not None and wanted != getattr(request, name):
                return None
        if self.model is not None and not fnmatchcase(request.model, self.model):
            return None
        found: dict[str, str | None] = {}
        for name in get_args(Source):
            pattern = getattr(self, name, None)
            if pattern is not None:
                match = pattern.search("\n".join(request.texts(name)))
                if match is None:
                    return None
                found |= match.groupdict()
        return found


class Rule(BaseModel):
    """When a rule applies: to the requests that match, save the first ``after``, at most ``times`` times."""

    model_config = _STRICT

    match: Match = Match()
    times: int | None = Field(None, ge=1, description="How often it applies; None is until it is cleared.")
    after: int = Field(0, ge=0, description="Matching requests that are let through first.")

    def accepts(self, request: ClaudeRequest) -> bool:
        """Whether the request is meant."""
        return self.match.captures(request) is not None


class FaultRule(Rule):
    """A fault on demand, see :mod:`chassis.local.simulator.faults`."""

    fault: Annotated[str, AfterValidator(_fault_name)]
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
        return possible.get(self.fault, True) and super().accepts(request)


class GivenUsage(BaseModel):
    """Tokens that an answer is said to have cost, so that its price is known. None of them is cached."""

    model_config = _STRICT

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class GivenCall(BaseModel):
    """A tool that is called."""

    model_config = _STRICT

    name: str
    input: dict[str, Any] = {}


_FORMS = ("data", "text", "tools", "plan", "changes", "result")


class Turn(BaseModel):
    """What is answered: one form, or a text together with the tools that are called."""

    model_config = _STRICT

    data: Any = Field(None, alias="json", description="Any JSON, sent as it is even if it breaks the schema.")
    text: Any = Field(None, description="Any text, sent as it is.")
    tools: tuple[GivenCall, ...] = Field((), description="Tools to call, after the text if there is one.")
    plan: Any = Field(None, description="A plan, made to fit the request's schema.")
    changes: Any = Field(None, description="Changes to the current plan, made to fit as well.")
    result: Any = Field(
        None,
        description="Parts of a task's answer (status, reason, summary, output); the rest is filled in.",
    )

    @property
    def form(self) -> str | None:
        """The one form that is given."""
        return next(iter(self._forms()), None)

    def _forms(self) -> list[str]:
        given: list[str] = [form for form in _FORMS if form in self.model_fields_set]
        return [form for form in given if form != "text" or "tools" not in given]

    @model_validator(mode="after")
    def _has_one_form(self) -> Turn:
        self._check_forms(len(self._forms()))
        return self

    def _check_forms(self, count: int) -> None:
        if count != 1:
            raise ValueError(
                "give exactly one of json, text, plan, result, changes; or tools, also with a text"
            )


@dataclass(frozen=True)
class GivenAnswer:
    """One turn, its templates filled in. ``form`` is None for the simulator's own answer."""

    form: str | None = None
    content: Any = None
    text: str = ""
    calls: tuple[GivenCall, ...] = ()
    numbers: tuple[float, ...] = ()


class AnswerRule(Rule, Turn):
    """An answer, or one for each turn of a conversation; or the tokens of the simulator's own answer; or both."""

    name: str | None = Field(None, description="For messages.")
    literal: bool = Field(False, description="Whether texts are sent as they are, whatever braces they hold.")
    find: dict[str, dict[Source, Pattern]] = Field(
        {},
        description="Variables with every place where a text has the pattern, as a list of its named groups.",
    )
    values: dict[str, Any] = Field({}, alias="set", description="Further variables, in this order.")
    condition: Any = Field(None, alias="if", description="It applies only where this is true.")
    numbers: Any = Field((), description="Numbers for the fields of a task's output schema.")
    turns: tuple[Turn, ...] = Field(
        (), description="One for each turn; the last one answers all later turns, too."
    )
    usage: GivenUsage | None = Field(None, description="Tokens of the answer; None counts its characters.")

    def _check_forms(self, count: int) -> None:
        given = count + bool(self.turns)
        if given > 1 or (not given and self.usage is None):
            raise ValueError(
                "give exactly one of json, text, plan, result, changes, turns; or tools; or usage alone"
            )

    @model_validator(mode="after")
    def _has_templates_that_can_be_read(self) -> AnswerRule:
        if not self.literal:
            check_templates(self.model_dump(exclude={"match", "find"}))
        return self

    def accepts(self, request: ClaudeRequest) -> bool:
        """Whether the request matches; a plan is for planners only and a result for tasks only."""
        kinds = {"plan": "plan", "changes": "plan", "result": "task"}
        return (
            kinds.get(self.form or "", request.kind) == request.kind and self.variables(request) is not None
        )

    def variables(self, request: ClaudeRequest) -> dict[str, Any] | None:
        """What the texts of this answer may name; None when the request isn't meant.

        :raises ApiError: a template of this answer can't be filled in
        """
        captures = self.match.captures(request)
        if captures is None or self.literal:
            return captures
        known: dict[str, Any] = request.facts | captures
        for name, places in self.find.items():
            known[name] = [
                match.groupdict()
                for source, pattern in places.items()
                for text in request.texts(source)
                for match in pattern.finditer(text)
            ]
        for name, value in self.values.items():
            known[name] = fill(value, known, self.label)
        return known if self.condition is None or fill(self.condition, known, self.label) else None

    @property
    def label(self) -> str:
        return self.name or "an answer without a name"

    def filled(self, request: ClaudeRequest) -> GivenAnswer:
        """What is said at this point of the conversation.

        :raises ApiError: a template of this answer can't be filled in
        """
        said = self.turns[min(request.turn, len(self.turns)) - 1] if self.turns else self
        known = self.variables(request) or {}

        def value(template: Any) -> Any:
            return template if self.literal else fill(template, known, self.label)

        return GivenAnswer(
            form=said.form,
            content=value(getattr(said, said.form)) if said.form and said.form != "tools" else None,
            text=value(said.text) or "",
            calls=tuple(GivenCall(name=call.name, input=value(call.input)) for call in said.tools),
            numbers=fill_numbers(self.numbers, known, self.label),
        )


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


_M = TypeVar("_M", bound=BaseModel)


def parse(kind: type[_M], data: Any, where: str) -> _M:
    """Build a rule or a scenario from data.

    :raises SimulatorError: names every field that is wrong
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise SimulatorError(
            f"{where} can't be used: {faults}.", hint="See docs/reference/simulator.md."
        ) from None


def read_document(path: str | Path) -> Any:
    """What stands in a scenario file, unchecked.

    :raises SimulatorError: the file can't be read, or is no YAML
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SimulatorError(f"The scenario file {path} can't be read: {error}") from None


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file.

    :raises SimulatorError: the file can't be read, is no YAML, or has fields that are wrong
    """
    return parse(Scenario, read_document(path), f"The scenario file {path}")


@cache
def default_answers() -> tuple[AnswerRule, ...]:
    """The simulator's own answers, in the order of their files' names."""
    folder = resources.files("chassis.local.simulator").joinpath("scenarios")
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name
    )
    scenarios = [parse(Scenario, yaml.safe_load(file.read_text("utf-8")), file.name) for file in files]
    return tuple(answer for scenario in scenarios for answer in scenario.answers)


def default_answer(request: ClaudeRequest) -> AnswerRule:
    """The simulator's own answer to a request."""
    return next(answer for answer in default_answers() if answer.accepts(request))
