"""What people give to a workflow: planning again keeps it until a person changes it.

Claude makes the tasks. People own the schedule, the limits, the values of inputs, the demand for approval, the owner
and the tags: they give these with a requirement, by ``chassis limits``, or by editing a plan. When a workflow is
planned again, what isn't given stays as in its last plan, and what is given as None is removed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_serializer,
)

from chassis.errors import PlanError, PlanFault
from chassis.workflow.fault_messages import fault_of
from chassis.workflow.field_meaning import fields_set_by
from chassis.workflow.field_types import Line, Requirement, fault
from chassis.workflow.input_values import kind_of, type_fault
from chassis.workflow.names import shown
from chassis.workflow.plan_check import unwritable
from chassis.workflow.plan_rules import input_name_fault, workflow_id_fault
from chassis.workflow.schedules import Schedule, timezone_fault
from chassis.workflow.spec import MAX_INPUTS, Demand, InputType, Limits, TaskSpec, WorkflowSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


_WHOLE = fields_set_by(WorkflowSpec, "person") - {"schedule", "limits"}
"""Fields of a plan that a person gives as a whole; of the others, they may give a part."""


class Given(BaseModel):
    """What the person gave this time. An unset field was not given; one set to None is removed.

    The same holds for the fields of ``schedule`` and ``limits``: an unset limit stays.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    requirement: Requirement
    workflow_id: str | None = Field(None, description="Id of the workflow; None: the planner names it.")
    inputs: dict[str, JsonValue] = Field(
        {}, description="Values of inputs by name; they become the plan's defaults. None: no longer given."
    )
    schedule: Schedule | None = None
    timezone: str | None = Field(
        None, description="Of the schedule that the workflow has, without another cron."
    )
    limits: Limits | None = None
    approve: Demand | None = None
    owner: Line = "chassis"

    @field_validator("workflow_id")
    @classmethod
    def _usable_id(cls, workflow_id: str | None) -> str | None:
        if workflow_id is not None and (wrong := workflow_id_fault(workflow_id)):
            raise fault("bad_id", wrong)
        return workflow_id

    @field_validator("inputs")
    @classmethod
    def _usable_inputs(cls, inputs: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in inputs.items() if value is not None}
        wrong = [message for name in inputs if (message := input_name_fault(name))]
        if len(inputs) > MAX_INPUTS:
            wrong.append(f"there are {len(inputs):,}, and at most {MAX_INPUTS} are allowed")
        wrong += [
            f"{shown(name)} must be text, a number, true, false or a list of texts, not {kind_of(value)}"
            for name, value in given.items()
            if all(type_fault(value, type_) for type_ in get_args(InputType))
        ]
        wrong += [f"{shown(name)} {what}" for name, value in given.items() if (what := unwritable(value))]
        if wrong:
            raise fault("bad_given_input", f"can't be used: {'; '.join(wrong)}")
        return inputs

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, timezone: str | None) -> str | None:
        if timezone is not None and (wrong := timezone_fault(timezone)):
            raise fault("unknown_timezone", wrong)
        return timezone

    @model_serializer(mode="wrap")
    def _what_was_given(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # After the round trip, too, what wasn't given must not look like what was removed.
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}

    @field_serializer("schedule", "limits")
    def _part_as_given(self, part: Schedule | Limits | None) -> dict[str, Any] | None:
        return None if part is None else part.model_dump(mode="json", exclude_unset=True)


def wrong_input(*faults: PlanFault) -> PlanError:
    """The error for what a person gave to the planner."""
    return PlanError(faults, subject="Your input", hint="Correct it and start the planner again.")


def check_given(data: Mapping[str, Any]) -> Given:
    """What the person gave, from the parameters of a run or the options of a command.

    :raises PlanError: lists all faults
    """
    try:
        return Given.model_validate(dict(data))
    except ValidationError as error:
        faults = [fault_of(each, data, root=Given) for each in error.errors(include_url=False)]
        raise wrong_input(*faults) from None


def size_fault(inputs: Mapping[str, Any], most: int) -> str | None:
    """Why values of inputs don't fit into a prompt whole; None if they do.

    :param most: characters that a prompt has for them as JSON; see the setting ``context_chars``
    """
    sizes = {name: len(json.dumps(value, ensure_ascii=False)) for name, value in inputs.items()}
    total = sum(sizes.values())
    if total <= most:
        return None
    biggest = max(sizes, key=lambda name: sizes[name])
    return (
        f"the inputs have {total:,} characters, most of them in {shown(biggest)}, and at most {most:,} fit into a "
        "prompt; shorten them, or give the place of the text instead of the text"
    )


def check_inputs_size(inputs: Mapping[str, Any], most: int) -> None:
    """Check that values of inputs fit into a prompt whole.

    :raises PlanError: they don't
    """
    if wrong := size_fault(inputs, most):
        raise wrong_input(PlanFault("too_long", "inputs", wrong))


def check_timezone(given: Given, head: WorkflowSpec | None) -> None:
    """Check that a timezone given alone has a schedule to apply to.

    :param head: the workflow's last plan; None if there is none
    :raises PlanError: there is no schedule
    """
    if given.timezone is not None and (
        head is None or head.schedule is None or head.schedule.asset is not None
    ):
        message = "is given without a schedule, and the workflow has none of its own; give a schedule, too"
        raise wrong_input(PlanFault("timezone_alone", "timezone", message))


def set_by_person(part: WorkflowSpec | TaskSpec) -> dict[str, Any]:
    """The fields of a plan or task that people set and planning again keeps, as data."""
    names = set(fields_set_by(type(part), "person"))
    return part.model_dump(mode="json", include=names, exclude_defaults=True)


def kept_inputs(given: Given, head: WorkflowSpec | None) -> dict[str, JsonValue]:
    """Input values that people gave to the workflow's last plan, and don't give again."""
    if head is None:
        return {}
    return {
        name: each.default
        for name, each in head.inputs.items()
        if each.given and each.default is not None and name not in given.inputs
    }


def lay_over(plan: dict[str, Any], given: Given) -> dict[str, Any]:
    """The plan with what the person gave laid over it, except the values of inputs."""
    new = {name: getattr(given, name) for name in _WHOLE & given.model_fields_set}
    old = plan.get("schedule", {})
    if "schedule" in given.model_fields_set:
        new["schedule"] = given.schedule and _schedule(old, given.schedule)
    elif given.timezone is not None and old and "asset" not in old:
        new["schedule"] = old | {"timezone": given.timezone}
    if given.limits is not None:
        limits = plan.get("limits", {}) | given.limits.model_dump(mode="json", exclude_unset=True)
        new["limits"] = {name: value for name, value in limits.items() if value is not None} or None
    return {name: value for name, value in (plan | new).items() if name not in new or value is not None}


def _schedule(old: dict[str, Any], new: Schedule) -> dict[str, Any]:
    stays = () if new.asset is not None else ("timezone", "catchup")
    kept = {name: old[name] for name in stays if name in old}
    return kept | new.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def with_given_inputs(spec: WorkflowSpec, before: WorkflowSpec) -> WorkflowSpec:
    """A person's edit of the plan ``before``, with the inputs marked whose values they changed."""
    changed = {
        name: each.model_copy(update={"given": True})
        for name, each in spec.inputs.items()
        if each.default is not None and name in before.inputs and before.inputs[name].default != each.default
    }
    return spec.model_copy(update={"inputs": {**spec.inputs, **changed}})
