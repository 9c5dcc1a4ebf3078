"""What a plan is: frozen models, data only, no code, no templates, no import paths.

The models hold each part to its own rules (types, sizes, a cron that parses). What holds between the parts
(dependencies that exist, no cycle, placeholders that are declared) is in ``rules``, and a plan comes into
being through ``check_plan`` or ``load_plan``, which apply both. Sizes are bounded because a plan is read at
every start of one of its tasks, and is shown to people.

A default never changes its meaning within a schema version: it is left out of the text and of the digest.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from chassis.workflow import input_values
from chassis.workflow.names import has_control_character
from chassis.workflow.schedules import cron_fault, schedule_of, timezone_fault

SCHEMA_VERSION = 1
MAX_TASKS = 200
MAX_INPUTS = 100
MAX_REQUIREMENT = 100_000
MAX_INSTRUCTION = 20_000
MAX_OUTPUT_SCHEMA = 20_000

Preset = Literal["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"]
InputType = Literal["string", "integer", "number", "boolean", "array"]
PRESETS: tuple[str, ...] = get_args(Preset)
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled"]
Demand = Literal["changed", "always"]
"""When a person must approve a workflow's plans: unless the plan is the newest revision, or always."""


def fault(code: str, message: str) -> PydanticCustomError:
    """An error of a validator that keeps its own code and words in the list of faults."""
    return PydanticCustomError(code, "{text}", {"text": message})


def as_tuple(value: Any) -> Any:
    """YAML and JSON give lists. Nothing else is taken: a set would have no stable order."""
    return tuple(value) if isinstance(value, list) else value


def at_most(most: int) -> BeforeValidator:
    """A list, or a mapping, with so many entries at most.

    Counted before the entries are looked at: a hundred thousand wrong ones would be as many errors.
    """

    def bounded(value: Any) -> Any:
        if isinstance(value, list | tuple | dict) and len(value) > most:
            raise fault("too_many", f"has {len(value):,} entries, and at most {most:,} are allowed")
        return as_tuple(value)

    return BeforeValidator(bounded)


def not_blank(text: str) -> str:
    if not text.strip():
        raise fault("blank", "must not be blank")
    return text


def _some(tasks: tuple[Any, ...]) -> tuple[Any, ...]:
    # As a min_length it would also be reported where there are tasks, but faulty ones.
    if not tasks:
        raise fault("too_few", "must have at least one task")
    return tasks


def one_line_only(text: str) -> str:
    if has_control_character(text):
        raise fault("not_one_line", "must be one line without control characters")
    return text


def folded(text: Any) -> Any:
    """A text over several lines, as YAML's ``>`` and ``|`` give it, on one."""
    return " ".join(text.split()) if isinstance(text, str) else text


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise fault("wrong_type", f"must be {SCHEMA_VERSION}, not true or false")
    return value


Line = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(not_blank), AfterValidator(one_line_only)
]
"""One line of text for people or a name: 1 to 200 characters, not blank, no control characters."""

Description = Annotated[str, Field(max_length=2_000), AfterValidator(one_line_only)]
Requirement = Annotated[str, Field(max_length=MAX_REQUIREMENT), AfterValidator(not_blank)]
Names = Annotated[tuple[str, ...], at_most(MAX_TASKS)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ForEach(_Part):
    """What a mapped task goes through, item by item, side by side: exactly one source of items."""

    items: Annotated[tuple[str, ...] | None, at_most(input_values.MAX_ITEMS)] = Field(
        None,
        description="The items in this order: at most 1,000 different texts of 1 to 200 characters.",
    )
    input: str | None = Field(
        None, description="Name of an array input: its items are known when a run starts."
    )
    output_of: str | None = Field(
        None, description="Id of an upstream task that isn't mapped: its output has the items."
    )
    path: str = Field(
        "", max_length=200, description="Where in that output the list is, dotted; empty: it is the list."
    )
    same_as: str | None = Field(
        None, description="Id of a mapped task: this task is a further step for each of that task's items."
    )

    @field_validator("items")
    @classmethod
    def _usable_items(cls, items: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if items is not None:
            if not items:
                raise fault("no_items", "must have at least one item")
            if faults := input_values.check_items(items):
                raise fault("bad_items", f"can't be used: {'; '.join(faults)}")
        return items

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = ("items", "input", "output_of", "same_as")
        given = [source for source in sources if getattr(self, source) is not None]
        if len(given) != 1:
            had = f"has {' and '.join(given)}" if given else "has none of them"
            raise fault("for_each_source", f"must have exactly one of {', '.join(sources)}; it {had}")
        if self.path and self.output_of is None:
            raise fault("path_without_output_of", "has a path, which only goes with output_of")
        if self.path and not all(self.path.split(".")):
            raise fault("bad_path", f"path {self.path!r} must be names with single dots between them")
        return self


def _quoted(value: Any, type_: str) -> str:
    """How to write a text that YAML took for a number."""
    if type_ == "array" and isinstance(value, list):
        value = next((item for item in value if not isinstance(item, str)), None)
    elif type_ != "string":
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"; write it in quotes: {json.dumps(str(value))}" if number else ""


class InputSpec(_Part):
    """One input of a workflow; it becomes a field of the trigger form."""

    type: InputType = Field(description="An array is a list of strings.")
    default: JsonValue = Field(
        None, description="Value when none is given; None: one must be given at trigger."
    )
    description: Description = ""
    given: bool = Field(
        False, description="Whether a person gave the default: planning the workflow again keeps it."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_fits(cls, data: Any) -> Any:
        # Before it becomes a plain value, a number still knows how it was written.
        if isinstance(data, dict) and data.get("type") in get_args(InputType):
            default = data.get("default")
            if default is not None and (wrong := input_values.type_fault(default, data["type"])):
                raise fault("bad_default", f"default {wrong}{_quoted(default, data['type'])}")
        return data


class Schedule(_Part):
    """When a workflow runs by itself: exactly one of cron, preset and asset."""

    cron: str | None = Field(None, description="Five fields: minute, hour, day of month, month, day of week.")
    preset: Preset | None = None
    asset: (
        Annotated[str, Field(max_length=1_500), AfterValidator(one_line_only), AfterValidator(not_blank)]
        | None
    ) = Field(None, description="Name or URI of the Airflow asset whose update starts a run.")
    timezone: str = Field("UTC", description="IANA name of the timezone that cron and preset are meant in.")
    catchup: bool = Field(
        False, description="Whether to make up for runs that were missed since the plan was made."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_people_write_it(cls, data: Any) -> Any:
        """A preset in the place of a cron, a cron in that of a preset, and blanks as there are."""
        if isinstance(data, dict):
            written = [data[name] for name in ("cron", "preset") if data.get(name) is not None]
            if len(written) == 1 and isinstance(written[0], str):
                others = {name: value for name, value in data.items() if name not in ("cron", "preset")}
                return others | schedule_of(written[0])
        return data

    @field_validator("cron")
    @classmethod
    def _usable_cron(cls, cron: str | None) -> str | None:
        if cron is not None and (wrong := cron_fault(cron, PRESETS)):
            raise fault("bad_cron", wrong)
        return cron

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, timezone: str) -> str:
        if wrong := timezone_fault(timezone):
            raise fault("unknown_timezone", wrong)
        return timezone

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        kinds = ("cron", "preset", "asset")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            had = f"has {' and '.join(given)}" if given else "has none of them"
            raise fault("schedule_kind", f"must have exactly one of {', '.join(kinds)}; it {had}")
        if self.asset is not None and (self.timezone != "UTC" or self.catchup):
            raise fault("schedule_kind", "has timezone or catchup, which don't go with asset")
        return self


class TaskSpec(_Part):
    """One task: what one agent is to do, once or for each item."""

    id: str = Field(
        description="Airflow task id: a lower-case letter, then up to 99 of a-z, 0-9 and single _."
    )
    name: Line = Field(description="What grid and graph show.")
    instruction: Annotated[str, Field(max_length=MAX_INSTRUCTION), AfterValidator(not_blank)] = Field(
        description="What to do, complete on its own. {name} of an input, or {item}, is replaced at run time."
    )
    agent: str = Field("task-executor", description="Name of the agent definition that does it.")
    for_each: ForEach | None = None
    depends_on: Names = Field(
        (), description="Ids of the tasks whose results this one waits for and is given."
    )
    output_schema: dict[str, JsonValue] | None = Field(
        None, description="JSON schema of the task's output; None: the output is Markdown."
    )
    model: Line | None = Field(
        None, description="Bedrock model id; None: the agent's, or else the connection's."
    )
    effort: Effort | None = Field(
        None,
        description="How hard Claude tries; None: the agent's, the connection's, or else the model's own.",
    )
    thinking: Thinking | None = Field(
        None,
        description="Whether Claude thinks before it answers: adaptive, as much as it needs; disabled, as little as "
        "its model can be told to. None: the agent's, the connection's, or else the model's own.",
    )
    retries: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="None: the setting task_retries."
    )
    timeout_minutes: Annotated[int, Field(ge=1, le=10_080)] | None = Field(
        None,
        description="Execution timeout in minutes, at most a week; None: the setting task_timeout_minutes.",
    )

    @field_validator("output_schema")
    @classmethod
    def _bounded_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        size = len(json.dumps(schema))
        if size > MAX_OUTPUT_SCHEMA:
            raise fault(
                "too_long", f"has {size:,} characters as JSON, and at most {MAX_OUTPUT_SCHEMA:,} are allowed"
            )
        return schema


class SpendLimits(_Part):
    """What may be spent; None: no limit. Checked before each call, so at most one call goes past it."""

    budget_usd: Annotated[float, Field(gt=0)] | None = Field(None, description="US dollars, at list prices.")
    max_tokens: Annotated[int, Field(gt=0)] | None = Field(
        None, description="Tokens of all calls together: read, written and cached."
    )
    max_calls: Annotated[int, Field(gt=0)] | None = Field(None, description="Calls to Claude.")


class Limits(SpendLimits):
    """What one run may spend, over all tries and clears of its tasks, and how wide it may go."""

    max_minutes: Annotated[int, Field(ge=1, le=43_200)] | None = Field(
        None, description="Minutes that a run may take, at most thirty days; None: no limit."
    )
    max_parallel: int = Field(
        16, ge=1, le=1_000, description="Calls to Claude, and worker slots, that one run may have at a time."
    )
    per_task: SpendLimits = Field(
        SpendLimits(), description="What each task, or each item of a mapped task, may spend in one run."
    )


class Provenance(_Part):
    """Where a plan came from. It is no part of the digest: the same plan made again is the same plan."""

    planner_model: str
    agents: dict[str, str] = Field(
        description="Digest of each agent definition that the plan's tasks use, by name."
    )
    planned_at: str = Field(description="ISO 8601 time.")
    planner_run: str = Field(description="Run id of the planner; empty for a plan that a person wrote.")
    simulated: bool = Field(False, description="Whether the simulator made it instead of Claude.")
    revised: int = Field(0, ge=0, description="Times that Claude had to correct it.")
    approved_by: str = Field("", description="Who approved it; empty when nobody had to be asked.")
    approved_at: str = Field("", description="ISO 8601 time of the approval.")
    edited: bool = Field(False, description="Whether that person changed what Claude had proposed.")

    @field_validator("planned_at")
    @classmethod
    def _is_a_time(cls, planned_at: str) -> str:
        try:
            datetime.fromisoformat(planned_at)
        except ValueError:
            raise fault(
                "bad_time", f"must be a time such as 2026-03-01T06:00:00+00:00, not {planned_at!r}"
            ) from None
        return planned_at


class WorkflowSpec(_Part):
    """A whole plan. Get one from ``check_plan`` or ``load_plan``, which apply the rules between its parts."""

    schema_version: Annotated[Literal[1], BeforeValidator(_no_bool)]
    id: str = Field(description="The DAG id.")
    title: Line
    requirement: Requirement = Field(description="What the person asked for, verbatim.")
    inputs: Annotated[dict[str, InputSpec], at_most(MAX_INPUTS)] = Field(
        {}, description="By name; they become the DAG's params."
    )
    schedule: Schedule | None = None
    owner: Line = "chassis"
    tags: Annotated[tuple[Annotated[Line, Field(max_length=100)], ...], at_most(50)] = Field(
        (), description="Airflow tags, besides those that Chassis sets."
    )
    tasks: Annotated[tuple[TaskSpec, ...], at_most(MAX_TASKS), AfterValidator(_some)]
    limits: Limits = Limits()
    approve: Demand | None = Field(
        None, description="When a person must approve further plans; None: as the planner is configured."
    )
    provenance: Provenance | None = None
