"""What a plan is: frozen models that hold only data: no code, templates or import paths.

The models check each part by its own rules (types, sizes, a cron that parses). The rules between the parts
(dependencies that exist, no cycle, declared placeholders) are in ``plan_rules``; ``check_plan`` and ``load_plan``
apply both and are the way to make a plan. Sizes are bounded because a plan is read at every start of one of its
tasks, and is shown to people.

Each field states its meaning here (``Means``): who sets it, its name for people, whether it counts for a task's
fingerprint, whether a plan's page shows it. Everything else derives this, so a new field is added only here.

A default never changes its meaning within a schema version: the text and the digest leave it out.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from chassis import figures
from chassis.workflow import input_values
from chassis.workflow.field_meaning import Means, meanings
from chassis.workflow.field_types import (
    Description,
    Line,
    Part,
    Requirement,
    at_most,
    fault,
    not_blank,
    not_one,
)
from chassis.workflow.schedules import Schedule

SCHEMA_VERSION = 1
MAX_TASKS = 200
MAX_INPUTS = 100
MAX_INSTRUCTION = 20_000
MAX_OUTPUT_SCHEMA = 20_000

InputType = Literal["string", "integer", "number", "boolean", "array"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled"]
Demand = Literal["changed", "always"]
"""When a person must approve a workflow's plans: unless the plan is the newest revision, or always."""

Names = Annotated[tuple[str, ...], at_most(MAX_TASKS)]

_Some = Annotated[int, Field(gt=0)]
_PLANNED = Means("planner")
_BY_PERSON = Means("person")


def _number(value: float) -> str:
    return f"{value:,}"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _some(tasks: tuple[Any, ...]) -> tuple[Any, ...]:
    # A min_length would also report this if there are tasks, but faulty ones.
    if not tasks:
        raise fault("too_few", "must have at least one task")
    return tasks


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise fault("wrong_type", f"must be {SCHEMA_VERSION}, not true or false")
    return value


class ForEach(Part):
    """What a mapped task goes through, item by item, side by side: exactly one source of items."""

    SOURCES: ClassVar = (("items",), ("input",), ("output_of", "path"), ("same_as",))
    """The fields that name a source, each with those that go with it."""

    items: Annotated[
        tuple[str, ...] | None,
        at_most(input_values.MAX_ITEMS),
        Means(label="items", schema={"type": "array", "items": {"type": "string"}}),
    ] = Field(
        None,
        description="The items in this order: at most 1,000 different texts of 1 to 200 characters.",
    )
    input: Annotated[str | None, Means(label="items from input")] = Field(
        None, description="Name of an array input that has the items."
    )
    output_of: Annotated[str | None, Means(label="items from the output of")] = Field(
        None, description="Id of an upstream task, itself without for_each, whose output has them."
    )
    path: Annotated[str, Means(label="path to the items")] = Field(
        "",
        max_length=200,
        description="Where in that output the list of strings is, dotted; empty: it is the list.",
    )
    same_as: Annotated[str | None, Means(label="same items as")] = Field(
        None, description="Id of the task whose items to go through, step by step with it."
    )

    @property
    def words(self) -> str:
        """Where the items are from; the items themselves if the plan lists them."""
        if self.items is not None:
            return ", ".join(self.items)
        if self.output_of is not None:
            return f"output of {self.output_of}" + (f", at {self.path}" if self.path else "")
        return f"input {self.input}" if self.input is not None else f"same as {self.same_as}"

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
        if wrong := not_one(self, tuple(names[0] for names in self.SOURCES)):
            raise fault("for_each_source", wrong)
        if self.path and self.output_of is None:
            raise fault("path_without_output_of", "has a path, which only goes with output_of")
        if self.path and not all(self.path.split(".")):
            raise fault("bad_path", f"path {self.path!r} must be names with single dots between them")
        return self


def _in_quotes(value: Any, type_: str) -> str:
    if type_ == "array" and isinstance(value, list):
        value = next((item for item in value if not isinstance(item, str)), None)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        f"; write it in quotes: {json.dumps(str(value))}" if number and type_ in ("array", "string") else ""
    )


class InputSpec(Part):
    """One input of a workflow; it becomes a field of the trigger form."""

    type: Annotated[InputType, _PLANNED] = Field(description="array: a list of strings.")
    default: Annotated[
        JsonValue,
        Means(
            "planner",
            optional=True,
            schema={
                "description": "The value that the requirement names; null when it names none.",
                "anyOf": [
                    *({"type": type_} for type_ in ("string", "number", "boolean")),
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "null"},
                ],
            },
        ),
    ] = Field(None, description="Value when none is given; None: one must be given at trigger.")
    description: Annotated[Description, Means("planner", optional=True)] = Field(
        "", description="One line for the person who fills in the form."
    )
    given: Annotated[bool, Means(label="given by a person")] = Field(
        False, description="Whether a person gave the default: planning the workflow again keeps it."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_fits(cls, data: Any) -> Any:
        # Before it becomes a plain value, a number still knows how it was written.
        if isinstance(data, dict) and data.get("type") in get_args(InputType):
            default = data.get("default")
            if default is not None and (wrong := input_values.type_fault(default, data["type"])):
                raise fault("bad_default", f"default {wrong}{_in_quotes(default, data['type'])}")
        return data


class TaskSpec(Part):
    """One task: what one agent is to do, once or for each item."""

    id: Annotated[str, _PLANNED] = Field(
        description="A lower-case letter, then a-z, 0-9 and single _. For example update_service."
    )
    name: Annotated[Line, _PLANNED] = Field(description="A few words for people.")
    instruction: Annotated[str, Field(max_length=MAX_INSTRUCTION), AfterValidator(not_blank), _PLANNED] = (
        Field(
            description="What to do, complete on its own. {name} of an input, and {item} under for_each, is replaced."
        )
    )
    agent: Annotated[str, _PLANNED] = Field("task-executor", description="The agent that does it.")
    for_each: Annotated[ForEach | None, Means("planner", optional=True, example="{items: [a, b]}")] = Field(
        None, description="What it is done for, item by item, side by side; null for a task done once."
    )
    depends_on: Annotated[Names, _PLANNED] = Field(
        (), description="Ids of the tasks whose results this task needs or must wait for."
    )
    output_schema: Annotated[
        dict[str, JsonValue] | None,
        Means(
            "planner",
            optional=True,
            json_text=True,
            schema={
                "description": "A JSON schema of the task's output, as JSON text; null for Markdown.",
                "anyOf": [{"type": "string"}, {"type": "null"}],
            },
            fingerprint=True,
            fact=_as_json,
        ),
    ] = Field(None, description="JSON schema of the task's output; None: the output is Markdown.")
    model: Annotated[Line | None, Means("person", fact=str)] = Field(
        None, description="Bedrock model id; None: the agent's, or else the connection's."
    )
    effort: Annotated[Effort | None, Means("person", fingerprint=True, fact=str)] = Field(
        None,
        description="How hard Claude tries; None: the agent's, the connection's, or else the model's own.",
    )
    thinking: Annotated[Thinking | None, Means("person", fingerprint=True, fact=str)] = Field(
        None,
        description="Whether Claude thinks before it answers: adaptive, as much as it needs; disabled, as little as "
        "its model can be told to. None: the agent's, the connection's, or else the model's own.",
    )
    retries: Annotated[Annotated[int, Field(ge=0, le=20)] | None, Means("person", fact=_number)] = Field(
        None, description="None: the setting task_retries."
    )
    timeout_minutes: Annotated[
        Annotated[int, Field(ge=1, le=10_080)] | None,
        Means("person", label="timeout in minutes", fact=_number),
    ] = Field(
        None,
        description="Execution timeout in minutes, at most a week; None: the setting task_timeout_minutes.",
    )

    def fingerprinted(self) -> dict[str, Any]:
        """The task's part of its fingerprint, as in the plan.

        Leaves out fields that aren't set, except the first two: fingerprints stay as recorded when a later version
        adds a field.
        """
        told = {name for name, means in meanings(TaskSpec).items() if means.fingerprint}
        found = self.model_dump(mode="json", include=told, exclude_defaults=True)
        return {"task": self.id, "output_schema": None} | found

    @field_validator("output_schema")
    @classmethod
    def _bounded_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if (size := len(json.dumps(schema))) > MAX_OUTPUT_SCHEMA:
            most = f"at most {MAX_OUTPUT_SCHEMA:,} are allowed"
            raise fault("too_long", f"has {size:,} characters as JSON, and {most}")
        return schema


class SpendLimits(Part):
    """What may be spent; None: no limit. Checked before each call, so at most one call goes past it."""

    budget_usd: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Means(label="budget{each} in US dollars", fact=figures.dollars),
    ] = Field(None, description="US dollars, at list prices.")
    max_tokens: Annotated[_Some | None, Means(label="maximum tokens{each}", fact=_number)] = Field(
        None, description="Tokens of all calls together: read, written and cached."
    )
    max_calls: Annotated[_Some | None, Means(label="maximum calls{each}", fact=_number)] = Field(
        None, description="Calls to Claude."
    )


class Limits(SpendLimits):
    """What one run may spend, over all tries and clears of its tasks, and how wide it may go."""

    max_minutes: Annotated[
        Annotated[int, Field(ge=1, le=43_200)] | None, Means(label="maximum minutes", fact=_number)
    ] = Field(None, description="Minutes that a run may take, at most thirty days; None: no limit.")
    max_parallel: Annotated[int, Means(label="maximum parallel calls", fact=_number)] = Field(
        16, ge=1, le=1_000, description="Calls to Claude, and worker slots, that one run may have at a time."
    )
    per_task: Annotated[SpendLimits, Means(each=" per task")] = Field(
        SpendLimits.model_construct(),
        description="What each task, or each item of a mapped task, may spend in one run.",
    )


class Provenance(Part):
    """Where a plan came from. Not part of the digest: the same plan made again is the same plan."""

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
            message = f"must be a time such as 2026-03-01T06:00:00+00:00, not {planned_at!r}"
            raise fault("bad_time", message) from None
        return planned_at


class WorkflowSpec(Part):
    """A whole plan. Get one from ``check_plan`` or ``load_plan``, which apply the rules between its parts."""

    schema_version: Annotated[Literal[1], BeforeValidator(_no_bool), Means(example="schema_version: 1")]
    id: Annotated[str, _PLANNED] = Field(description="The DAG id.")
    title: Annotated[Line, _PLANNED]
    requirement: Requirement = Field(description="What the person asked for, verbatim.")
    inputs: Annotated[
        dict[str, InputSpec], at_most(MAX_INPUTS), Means("planner", example="{product: {type: string}}")
    ] = Field({}, description="By name; they become the DAG's params.")
    schedule: Annotated[Schedule | None, Means("person", example='{cron: "0 6 * * 1"}')] = None
    owner: Annotated[Line, _BY_PERSON] = "chassis"
    tags: Annotated[tuple[Annotated[Line, Field(max_length=100)], ...], at_most(50), _BY_PERSON] = Field(
        (), description="Airflow tags, besides those that Chassis sets."
    )
    tasks: Annotated[tuple[TaskSpec, ...], at_most(MAX_TASKS), AfterValidator(_some), _PLANNED]
    limits: Annotated[Limits, Means("person", example="{max_parallel: 8}")] = Limits.model_construct()
    approve: Annotated[Demand | None, Means("person", label="approval required")] = Field(
        None, description="When a person must approve further plans; None: as the planner is configured."
    )
    provenance: Provenance | None = None
