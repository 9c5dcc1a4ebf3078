"""Changes to the current plan that a scenario asks for, as the planner's schema wants them: whole tasks.

A scenario's ``changes`` have these keys, in the order in which they are made:

============  =================================================================================================
remove        ids of tasks that go; who waited for one waits for what that had waited for. The last task stays
instructions  list of ``{task, text}``: a task's new instruction
services      ``{only, more, fewer}``: which items the fan-outs over services keep, get and lose
inputs        inputs that are new or changed
title         the plan's title
told          what the requirement is now, where nothing else has changed: tasks at the beginning that speak of the
              requirement are told; if there are none, one more task does the rest
============  =================================================================================================
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chassis.local.simulator.claude_request import ClaudeRequest

_REQUIREMENT = re.compile(r"\brequirement\b", re.IGNORECASE)
_NOW = " The requirement is now: "


def changed_plan(request: ClaudeRequest, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The answer that makes these changes to the request's current plan."""
    edits = _Edits(request)
    edits.remove(changes.get("remove", ()))
    for told in changes.get("instructions", ()):
        if told["task"] in edits.tasks:
            edits.task(told["task"])["instruction"] = told["text"].strip()
    edits.choose_services(**changes.get("services", {}))
    if told := changes.get("told"):
        edits.tell(told.replace("{", "(").replace("}", ")"))
    return {
        "title": changes.get("title") or request.current_plan["title"],
        "inputs": changes.get("inputs", []),
        "removed_inputs": [],
        "tasks": [
            *(_in_full("changed", task) for task in edits.changed.values()),
            *(_in_full("new", task) for task in edits.added),
        ],
        "removed": edits.removed,
    }


class _Edits:
    """The plan's tasks as they are by now, and what was changed, added and removed."""

    def __init__(self, request: ClaudeRequest) -> None:
        self.services, self.agent = request.services, request.facts["agent"]
        self.tasks: dict[str, dict[str, Any]] = {task["id"]: task for task in request.current_plan["tasks"]}
        self.changed: dict[str, dict[str, Any]] = {}
        self.added: list[dict[str, Any]] = []
        self.removed: list[str] = []

    def task(self, task_id: str) -> dict[str, Any]:
        """A task of the current plan, to be changed."""
        return self.changed.setdefault(task_id, dict(self.tasks[task_id]))

    def remove(self, task_ids: Iterable[str]) -> None:
        for gone in task_ids:
            if gone not in self.tasks or len(self.tasks) == 1:
                continue
            before = self.tasks.pop(gone).get("depends_on", [])
            self.changed.pop(gone, None)
            self.removed.append(gone)
            for task_id, task in self.tasks.items():
                waits_for = task.get("depends_on", [])
                if gone in waits_for:
                    kept = [name for name in waits_for if name != gone]
                    self.task(task_id)["depends_on"] = list(dict.fromkeys([*kept, *before]))
                    self.tasks[task_id] = self.changed[task_id]

    def choose_services(
        self, only: Iterable[str] = (), more: Iterable[str] = (), fewer: Iterable[str] = ()
    ) -> None:
        """Services that stay keep their place; a fan-out over other things, or of none that are left, is let alone."""
        for task_id, task in self.tasks.items():
            items = (task.get("for_each") or {}).get("items")
            if not items or not set(items) <= set(self.services):
                continue
            wanted = [item for item in items if not only or item in only]
            wanted += [service for service in (*only, *more) if service not in wanted]
            wanted = [item for item in wanted if item not in fewer]
            if wanted and wanted != items:
                self.task(task_id)["for_each"] = {"items": wanted}

    def tell(self, requirement: str) -> None:
        if self.changed or self.removed:
            return
        for task_id, task in self.tasks.items():
            if not task.get("depends_on") and _REQUIREMENT.search(task["instruction"]):
                instruction = task["instruction"].partition(_NOW)[0]
                self.task(task_id)["instruction"] = f"{instruction}{_NOW}{requirement}"
        if not self.changed:
            awaited = {name for task in self.tasks.values() for name in task.get("depends_on", [])}
            number, task_id = 1, "do_the_rest"
            while task_id in self.tasks:
                number += 1
                task_id = f"do_the_rest_{number}"
            self.added.append(
                {
                    "id": task_id,
                    "name": "Do the rest",
                    "instruction": f"Do what the requirement asks for beyond what is done.{_NOW}{requirement}",
                    "agent": self.agent,
                    "depends_on": [name for name in self.tasks if name not in awaited],
                }
            )


def _in_full(change: str, task: dict[str, Any]) -> dict[str, Any]:
    """A task as the answer has it; an output schema travels as text."""
    schema = task.get("output_schema")
    return {
        "change": change,
        "id": task["id"],
        "name": task["name"],
        "instruction": task["instruction"],
        "agent": task.get("agent", "task-executor"),
        "depends_on": task.get("depends_on", []),
        "for_each": task.get("for_each"),
        "output_schema": schema if schema is None or isinstance(schema, str) else json.dumps(schema),
    }
