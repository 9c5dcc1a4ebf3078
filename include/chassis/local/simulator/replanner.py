"""Changes to a plan that there is: services more or fewer, what a reviewer's comment asks for in plain words.

No model is asked. What isn't understood changes nothing, but for a requirement that says something new: then the first
task is told so or, where no task speaks of the requirement, one more task is planned.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from chassis.local.simulator.planner import (
    PRODUCT,
    Asked,
    named_services,
    new_input,
    new_task,
    numbers_in,
    plan_for,
    read_asked,
    title_of,
)

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest

_MORE = re.compile(
    r"\b(?:also\s+(?:include|add|do|update)|include|add(?=[^.\n]*\bservices?\b))\s+(?P<what>[^.;\n]{1,400})",
    re.IGNORECASE,
)
_FEWER = re.compile(
    r"\b(?:leave\s+out|without|drop|exclude|except(?:\s+for)?)\s+(?P<what>[^.;\n]{1,400})", re.IGNORECASE
)
_INSTRUCTION = re.compile(
    r"\binstruction\s+of\s+(?:task\s+)?[\"'`]?(?P<task>[a-z][a-z0-9_]*)[\"'`]?\s*:\s*(?P<text>[^\n]{1,2000})",
    re.IGNORECASE,
)
_REMOVAL = re.compile(r"\bremove\s+(?:the\s+)?task\s+[\"'`]?(?P<task>[a-z][a-z0-9_]*)", re.IGNORECASE)
_REQUIREMENT = re.compile(r"\brequirement\b", re.IGNORECASE)
_NOW = " The requirement is now: "


def proposal_for(request: ClaudeRequest) -> dict[str, Any]:
    """What a planner's request is answered with: a plan or, where it holds one already, changes to that."""
    current = _current_plan(request)
    return plan_for(request) if current is None else _Changes(request, current).answer()


def _current_plan(request: ClaudeRequest) -> dict[str, Any] | None:
    if request.fence("current_plan") is None:
        return None
    try:
        plan = yaml.safe_load(request.text_of("current_plan"))
    except yaml.YAMLError:
        plan = None
    return plan if isinstance(plan, dict) and isinstance(plan.get("tasks"), list) else {"tasks": []}


class _Changes:
    """The changes that a request asks for, one kind after the other, each on top of those before."""

    def __init__(self, request: ClaudeRequest, current: dict[str, Any]) -> None:
        self.asked: Asked = read_asked(request)
        self.comment = request.text_of("comment")
        self.before = " ".join(str(current.get("requirement", "")).split())
        self.title = str(current.get("title", ""))
        self.declared: dict[str, Any] = current.get("inputs") or {}
        self.tasks: dict[str, dict[str, Any]] = {task["id"]: task for task in current["tasks"]}
        self.changed: dict[str, dict[str, Any]] = {}
        self.added: dict[str, dict[str, Any]] = {}
        self.removed: list[str] = []
        self.inputs: list[dict[str, Any]] = []

    def answer(self) -> dict[str, Any]:
        self._remove_tasks()
        self._set_instructions()
        self._choose_services()
        self._follow_requirement()
        self.inputs += [
            new_input(name, value)
            for name, value in self.asked.given.items()
            if name not in self.declared and all(entry["name"] != name for entry in self.inputs)
        ]
        tasks = [_in_full("changed", task) for task in self.changed.values()]
        return {
            "title": self.title,
            "inputs": self.inputs,
            "removed_inputs": [],
            "tasks": [*tasks, *(_in_full("new", task) for task in self.added.values())],
            "removed": self.removed,
        }

    def _task(self, task_id: str) -> dict[str, Any]:
        """A task of the current plan, to be changed."""
        return self.changed.setdefault(task_id, dict(self.tasks[task_id]))

    def _remove_tasks(self) -> None:
        for match in _REMOVAL.finditer(self.comment):
            gone = match["task"]
            if gone not in self.tasks or len(self.tasks) == 1:
                continue
            before = self.tasks.pop(gone).get("depends_on", [])
            self.changed.pop(gone, None)
            self.removed.append(gone)
            for task_id, task in self.tasks.items():
                waits_for = task.get("depends_on", [])
                if gone in waits_for:
                    kept = [name for name in waits_for if name != gone]
                    self._task(task_id)["depends_on"] = list(dict.fromkeys([*kept, *before]))
                    self.tasks[task_id] = self.changed[task_id]

    def _set_instructions(self) -> None:
        for match in _INSTRUCTION.finditer(self.comment):
            if match["task"] in self.tasks:
                self._task(match["task"])["instruction"] = match["text"].strip()

    def _choose_services(self) -> None:
        """Fan-outs over services go through those that requirement and comment name, old ones first."""
        known = self.asked.services
        product = PRODUCT.search(self.asked.requirement)
        named = named_services(product["services"], known) if product and self._says_something_new() else ()
        more = _clauses(_MORE, self.comment, known)
        text = f"{self.asked.requirement}\n{self.comment}" if self._says_something_new() else self.comment
        fewer = _clauses(_FEWER, text, known)
        for task_id, task in list(self.tasks.items()):
            items = (task.get("for_each") or {}).get("items")
            if not items or not set(items) <= set(known):
                continue
            wanted = [item for item in items if not named or item in named]
            wanted += [service for service in (*named, *more) if service not in wanted]
            wanted = [item for item in wanted if item not in fewer]
            if wanted and wanted != items:
                self._task(task_id)["for_each"] = {"items": wanted}
        if product and self._says_something_new():
            self._name_product(product["product"])

    def _name_product(self, product: str) -> None:
        given = self.declared.get("product")
        if given is not None and given.get("default") != product and "product" not in self.asked.given:
            self.inputs.append(new_input("product", product, "The product to add."))
            self.title = title_of(f"Add the {product} product")

    def _follow_requirement(self) -> None:
        """What a changed requirement means for tasks that speak of it, they are told; else there is one more task."""
        if not self._says_something_new() or self.changed or self.removed or self.inputs:
            return
        numbers = numbers_in(self.asked.requirement)
        now = " and ".join(numbers) if len(numbers) > 1 else title_of(self.asked.requirement)
        now = now.replace("{", "(").replace("}", ")")
        speaking = [
            task_id
            for task_id, task in self.tasks.items()
            if not task.get("depends_on") and _REQUIREMENT.search(task["instruction"])
        ]
        for task_id in speaking:
            instruction = self.tasks[task_id]["instruction"].partition(_NOW)[0]
            self._task(task_id)["instruction"] = f"{instruction}{_NOW}{now}"
        if not speaking:
            awaited = {name for task in self.tasks.values() for name in task.get("depends_on", [])}
            last = [task_id for task_id in self.tasks if task_id not in awaited]
            task_id = _free("do_the_rest", self.tasks)
            instruction = f"Do what the requirement asks for beyond what is done.{_NOW}{now}"
            self.added[task_id] = new_task(task_id, "Do the rest", instruction, self.asked, last)

    def _says_something_new(self) -> bool:
        return " ".join(self.asked.requirement.split()) != self.before


def _clauses(pattern: re.Pattern[str], text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    found = [name for match in pattern.finditer(text) for name in named_services(match["what"], known)]
    return tuple(dict.fromkeys(found))


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


def _free(name: str, taken: dict[str, Any]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
