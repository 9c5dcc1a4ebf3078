"""Planning again: the planner answers with changes to the current plan, and everything else stays as it is.

Tasks that are new or changed come in full, those that go by their ids. What can't be told apart otherwise is said:
a task is declared ``new`` or ``changed``, so that a misspelt id is a fault and no new task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.errors import PlanError, PlanFault
from chassis.workflow.given import lay_over
from chassis.workflow.input_values import kind_of
from chassis.workflow.names import shown, suggestion
from chassis.workflow.planner_schemas import CHANGED, NEW
from chassis.workflow.proposal import AnswerReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from chassis.workflow.given import Given
    from chassis.workflow.spec import WorkflowSpec

_KEYS = frozenset({"title", "inputs", "removed_inputs", "tasks", "removed"})


def plan_from_delta(answer: Any, current: WorkflowSpec, given: Given) -> dict[str, Any]:
    """The plan that the changes make of the current one, for ``check_plan`` to check.

    What the person gave is laid over it. What they left open stays as the current plan has it.

    :raises PlanError: the changes don't fit the current plan; what else ``check_plan`` would find is listed, too
    """
    if not isinstance(answer, dict):
        message = f"must be a mapping with {', '.join(sorted(_KEYS))}, not {kind_of(answer)}"
        raise PlanError([PlanFault("wrong_type", "the changes", message)])
    return _Delta(answer, current, given).plan()


class _Delta(AnswerReader):
    """Changes on their way into the current plan."""

    def __init__(self, answer: Mapping[str, Any], current: WorkflowSpec, given: Given) -> None:
        super().__init__(given, current)
        self.answer = answer
        self.base = current.model_dump(mode="json", exclude={"provenance"}, exclude_defaults=True)

    def plan(self) -> dict[str, Any]:
        self.refuse_keys(dict(self.answer), _KEYS, "the changes")
        plan = self.base | {"requirement": self.given.requirement}
        if "title" in self.answer:
            plan["title"] = self.answer["title"]
        if self.given.workflow_id is not None:
            plan["id"] = self.given.workflow_id
        plan["inputs"] = self._changed_inputs()
        self.lay_over(plan["inputs"])
        plan["tasks"] = self._changed_tasks()
        return self.checked(lay_over(plan, self.given))

    def _changed_inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = dict(self.base.get("inputs", {}))
        for name in self._names("removed_inputs"):
            if inputs.pop(name, None) is None:
                message = f"{shown(name)} is not an input of the current plan{suggestion(name, inputs)}"
                self.fault("unknown_input", "removed_inputs", message)
        proposed = self.answer.get("inputs", [])
        if not isinstance(proposed, list):
            self.fault("wrong_type", "inputs", f"must be a list, not {kind_of(proposed)}")
            return inputs
        inputs |= self.inputs(proposed)
        return inputs

    def _changed_tasks(self) -> list[Any]:
        tasks: dict[str, Any] = {task["id"]: task for task in self.base["tasks"]}
        known = tuple(tasks)
        removed = self._names("removed")
        for task_id in removed:
            if tasks.pop(task_id, None) is None:
                message = f"{shown(task_id)} is not a task of the current plan{suggestion(task_id, known)}"
                self.fault("unknown_task", "removed", message)
        seen: set[str] = set()
        for index, proposed in self._proposed_tasks():
            task_id = proposed["id"]
            place = f"task {shown(task_id)}"
            kind = proposed.pop("change", None)
            for code, message in _wrong_kind(task_id, kind, known, removed, seen):
                self.fault(code, place, message)
            seen.add(task_id)
            if task_id in removed:
                self.set_by_person.pop(task_id, None)  # It is another task that has its id.
            tasks[task_id] = self.task(proposed, index)
        return list(tasks.values())

    def _proposed_tasks(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The tasks that can be told from others; a fault for each that can't."""
        proposed = self.answer.get("tasks", [])
        if not isinstance(proposed, list):
            self.fault("wrong_type", "tasks", f"must be a list, not {kind_of(proposed)}")
            return
        for index, task in enumerate(proposed):
            if isinstance(task, dict) and isinstance(task.get("id"), str):
                yield index, dict(task)
            else:
                self.fault("wrong_type", f"tasks[{index}]", "must be a mapping with an id")

    def _names(self, key: str) -> list[str]:
        """A list of names, each once; what isn't one is a fault."""
        names = self.answer.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.fault("wrong_type", key, "must be a list of names")
            return []
        return list(dict.fromkeys(names))


def _wrong_kind(
    task_id: str, kind: Any, known: Sequence[str], removed: Collection[str], seen: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What keeps a task from being what it is said to be: code and message of each fault."""
    if kind not in (NEW, CHANGED):
        yield "wrong_type", f"change must be {NEW} or {CHANGED}, not {kind_of(kind)}"
    if kind == CHANGED and task_id not in known:
        yield (
            "unknown_task",
            f"is said to be changed, and the current plan has no such task{suggestion(task_id, known)}",
        )
    if kind == NEW and task_id in known and task_id not in removed:
        yield "duplicate_id", f"is said to be new, and the current plan has a task of this id; say {CHANGED}"
    if kind == CHANGED and task_id in removed:
        yield "duplicate_id", "is said to be changed, and stands under removed, too"
    if task_id in seen:
        yield "duplicate_id", "is there twice"
