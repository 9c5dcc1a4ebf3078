"""Turns the planner's answer into a plan, or says why that is impossible.

Claude proposes tasks, inputs, a title and an id: a new plan, or changes to the workflow's plan. Changes hold new and
changed tasks in full, and removed ones by their ids. Each task is marked ``new`` or ``changed``, so that a misspelt
id is a fault and no new task. What the person gave, now or to the workflow's last plan, is laid over the answer,
which can't change it; see ``given``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from chassis.errors import PlanError, PlanFault
from chassis.workflow.field_meaning import fields_set_by, meanings
from chassis.workflow.given import kept_inputs, lay_over, set_by_person
from chassis.workflow.input_values import kind_of, type_fault
from chassis.workflow.names import shown, suggestion
from chassis.workflow.plan_check import check_plan
from chassis.workflow.planner_schemas import CHANGED, NEW
from chassis.workflow.spec import SCHEMA_VERSION, InputType, TaskSpec, WorkflowSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pydantic import JsonValue

    from chassis.workflow.given import Given

_PLAN_KEYS = fields_set_by(WorkflowSpec, "planner")
_TASK_KEYS = fields_set_by(TaskSpec, "planner")
_CHANGE_KEYS = frozenset({"title", "inputs", "removed_inputs", "tasks", "removed"})


def plan_from_proposal(answer: Any, given: Given, head: WorkflowSpec | None = None) -> dict[str, Any]:
    """The plan that a proposal describes, for ``check_plan`` to check.

    :param head: the workflow's last plan, which keeps what people gave and don't give again; None: there is none
    :raises PlanError: the proposal can't become a plan; also lists what ``check_plan`` would find
    """
    _require_mapping(answer, "the plan", "title, id, inputs and tasks")
    reader = _Reader(given, head)
    reader.refuse_keys(answer, _PLAN_KEYS, "the plan")
    plan = {
        "schema_version": SCHEMA_VERSION,
        **{key: answer[key] for key in ("title", "id") if key in answer},
    }
    plan["inputs"] = reader.inputs(answer.get("inputs", []))
    if "tasks" in answer:
        tasks = answer["tasks"]
        plan["tasks"] = reader.tasks(tasks) if isinstance(tasks, list) else tasks
    return reader.plan(plan | (set_by_person(head) if head else {}))


def plan_from_delta(answer: Any, current: WorkflowSpec, given: Given) -> dict[str, Any]:
    """The current plan with the changes applied, for ``check_plan`` to check.

    :raises PlanError: the changes don't fit the current plan; also lists what ``check_plan`` would find
    """
    _require_mapping(answer, "the changes", ", ".join(sorted(_CHANGE_KEYS)))
    reader = _ChangeReader(given, current)
    reader.refuse_keys(answer, _CHANGE_KEYS, "the changes")
    plan = current.model_dump(mode="json", exclude={"provenance"}, exclude_defaults=True)
    if "title" in answer:
        plan["title"] = answer["title"]
    plan["inputs"] = reader.changed_inputs(answer, plan.get("inputs", {}))
    plan["tasks"] = reader.changed_tasks(answer, {task["id"]: task for task in plan["tasks"]})
    return reader.plan(plan)


def _require_mapping(answer: Any, what: str, keys: str) -> None:
    if not isinstance(answer, dict):
        message = f"must be a mapping with {keys}, not {kind_of(answer)}"
        raise PlanError([PlanFault("wrong_type", what, message)])


class _Reader:
    """Brings inputs and tasks of an answer into a plan's form. What doesn't fit becomes a fault."""

    def __init__(self, given: Given, head: WorkflowSpec | None) -> None:
        self.given = given
        self.kept = kept_inputs(given, head)
        self.set_by_person = {task.id: set_by_person(task) for task in (head.tasks if head else ())}
        self.faults: list[PlanFault] = []

    def plan(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan with what the person gave.

        :raises PlanError: there were faults; also lists what ``check_plan`` would find
        """
        plan = plan | {"requirement": self.given.requirement}
        if self.given.workflow_id is not None:
            plan["id"] = self.given.workflow_id
        if isinstance(plan["inputs"], dict):
            self._give_inputs(plan["inputs"])
        plan = lay_over(plan, self.given)
        if self.faults:
            try:
                check_plan(plan)
            except PlanError as error:
                self.faults += error.faults
            raise PlanError(self.faults)
        return plan

    def inputs(self, proposed: Any) -> Any:
        """The inputs by name; anything but a list stays as it is."""
        if not isinstance(proposed, list):
            return proposed
        inputs: dict[str, Any] = {}
        for index, entry in enumerate(proposed):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                self.fault("wrong_type", f"inputs[{index}]", "must be a mapping with a name")
                continue
            name = entry["name"]
            if name in inputs:
                self.fault("duplicate_id", f"inputs[{index}]", f"the name {shown(name)} is there twice")
            inputs[name] = {key: value for key, value in entry.items() if key != "name" and value is not None}
        return inputs

    def _give_inputs(self, inputs: dict[str, Any]) -> None:
        """Put the values that people gave into the inputs; those of the last plan only if they still fit."""
        for name, value in self.kept.items():
            type_ = inputs.get(name, {}).get("type")
            if type_ in get_args(InputType) and type_fault(value, type_) is None:
                inputs[name] |= {"default": value, "given": True}
        for name, value in self.given.inputs.items():
            if value is not None:
                self._give_input(inputs, name, value)

    def _give_input(self, inputs: dict[str, Any], name: str, value: JsonValue) -> None:
        if name not in inputs:
            message = f"the person gave the input {shown(name)}, which the plan doesn't declare; declare it"
            self.fault("unknown_given_input", "inputs", message)
        elif (type_ := inputs[name].get("type")) in get_args(InputType) and (
            wrong := type_fault(value, type_)
        ):
            message = f"is given by the person and {wrong}; declare it with the type of what was given"
            self.fault("given_input_type", f"input {shown(name)}", message)
        else:
            inputs[name] |= {"default": value, "given": True}

    def tasks(self, proposed: list[Any]) -> list[Any]:
        """The tasks; anything but a mapping stays as it is."""
        return [
            self.task(task, index) if isinstance(task, dict) else task for index, task in enumerate(proposed)
        ]

    def task(self, proposed: dict[str, Any], index: int) -> dict[str, Any]:
        """One task, with what people set for it."""
        task_id = proposed.get("id")
        where = f"task {shown(task_id)}" if isinstance(task_id, str) else f"tasks[{index}]"
        self.refuse_keys(proposed, _TASK_KEYS, where)
        task = dict(self.set_by_person.get(task_id, {})) if isinstance(task_id, str) else {}
        for key, value in proposed.items():
            if key in _TASK_KEYS and isinstance(value, str) and meanings(TaskSpec)[key].json_text:
                try:
                    value = json.loads(value)
                except (ValueError, RecursionError) as error:
                    self.fault(f"bad_{key}", where, f"{key} is not valid JSON text: {error}")
                    continue
            if key in _TASK_KEYS and value is not None:
                task[key] = value
        return task

    def refuse_keys(self, proposed: dict[str, Any], known: frozenset[str], where: str) -> None:
        """Report each unknown key as a fault."""
        for key in proposed:
            if key not in known:
                message = f"{shown(str(key))} is not a valid key of a proposal{suggestion(str(key), known)}"
                self.fault("unknown_key", where, message)

    def fault(self, code: str, where: str, message: str) -> None:
        self.faults.append(PlanFault(code, where, message))


class _ChangeReader(_Reader):
    def changed_inputs(self, answer: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
        """All inputs, with the changed ones replaced."""
        self._remove(answer, "removed_inputs", current, "unknown_input", "an input")
        proposed = answer.get("inputs", [])
        if not isinstance(proposed, list):
            self.fault("wrong_type", "inputs", f"must be a list, not {kind_of(proposed)}")
            return current
        return current | dict(self.inputs(proposed))

    def changed_tasks(self, answer: dict[str, Any], current: dict[str, Any]) -> list[Any]:
        """All tasks, with the changed ones replaced, and the new ones last."""
        known, seen = tuple(current), set[str]()
        removed = self._remove(answer, "removed", current, "unknown_task", "a task")
        proposed = answer.get("tasks", [])
        if not isinstance(proposed, list):
            self.fault("wrong_type", "tasks", f"must be a list, not {kind_of(proposed)}")
            proposed = []
        for index, task in enumerate(proposed):
            if not isinstance(task, dict) or not isinstance(task.get("id"), str):
                self.fault("wrong_type", f"tasks[{index}]", "must be a mapping with an id")
                continue
            task_id, kind = task["id"], task.get("change")
            for code, message in _wrong_kind(task_id, kind, known, removed, seen):
                self.fault(code, f"task {shown(task_id)}", message)
            seen.add(task_id)
            if task_id in removed:
                self.set_by_person.pop(task_id, None)  # Another task has its id now.
            current[task_id] = self.task({key: task[key] for key in task if key != "change"}, index)
        return list(current.values())

    def _remove(
        self, answer: dict[str, Any], key: str, current: dict[str, Any], code: str, what: str
    ) -> list[str]:
        names = answer.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.fault("wrong_type", key, "must be a list of names")
            return []
        known = tuple(current)
        for name in dict.fromkeys(names):
            if current.pop(name, None) is None:
                near = suggestion(name, known)
                self.fault(code, key, f"{shown(name)} is not {what} of the current plan{near}")
        return names


def _wrong_kind(
    task_id: str, kind: Any, known: Sequence[str], removed: Collection[str], seen: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Why a task can't be what it is marked as: code and message of each fault."""
    if kind not in (NEW, CHANGED):
        yield "wrong_type", f"change must be {NEW} or {CHANGED}, not {kind_of(kind)}"
    if kind == CHANGED and task_id not in known:
        near = suggestion(task_id, known)
        yield "unknown_task", f"is said to be changed, and the current plan has no such task{near}"
    if kind == NEW and task_id in known and task_id not in removed:
        yield "duplicate_id", f"is said to be new, and the current plan has a task of this id; say {CHANGED}"
    if kind == CHANGED and task_id in removed:
        yield "duplicate_id", "is said to be changed, and stands under removed, too"
    if task_id in seen:
        yield "duplicate_id", "is there twice"
