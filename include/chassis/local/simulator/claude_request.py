"""What a request asks for: the data that Chassis fenced in its prompt, and the form the answer must have.

A fence is ``<data-HEX name="task" item="pricing">``, a newline, the content, a newline, ``</data-HEX>``. What
looks like a fence inside another one is content, as it is for Claude.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import yaml

Kind = Literal["plan", "task", "other"]

_OPENING = re.compile(r'<data-(?P<mark>[0-9a-f]{12})(?P<attributes>(?: \w+="(?:[^"\\\n]|\\.)*")*)>\n')
_OBJECT = re.compile(r"^[ \t]*\{", re.MULTILINE)
_ATTRIBUTE = re.compile(r'(\w+)=("(?:[^"\\\n]|\\.)*")')


@dataclass(frozen=True)
class Fence:
    """A piece of data in the prompt. ``attributes`` are those beside ``name``."""

    name: str
    content: str
    attributes: dict[str, str]


def read_fences(text: str) -> list[Fence]:
    """The fences of a text, outermost only, in order. An unclosed one is no fence."""
    found: list[Fence] = []
    position = 0
    while opening := _OPENING.search(text, position):
        end = text.find(f"\n</data-{opening['mark']}>", opening.end() - 1)
        attributes = _read_attributes(opening["attributes"])
        if end < 0 or attributes is None:
            position = opening.end()
            continue
        found.append(
            Fence(attributes.pop("name", ""), text[opening.end() : max(end, opening.end())], attributes)
        )
        position = end + 1
    return found


def _read_attributes(text: str) -> dict[str, str] | None:
    """The attributes of an opening line; None when a value is no JSON string."""
    try:
        return {name: str(json.loads(value)) for name, value in _ATTRIBUTE.findall(text)}
    except ValueError:
        return None


def without_fences(text: str) -> str:
    """The text that stands outside of its fences."""
    for fence in read_fences(text):
        text = text.replace(f">\n{fence.content}\n</data-", ">\n</data-", 1)
    return text


def _object_in(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _yaml_in(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _last_schema(text: str) -> dict[str, Any] | None:
    """The last JSON object that begins a line and is the schema of an object."""
    found, position = None, 0
    while opening := _OBJECT.search(text, position):
        position = opening.end()
        try:
            data, end = json.JSONDecoder().raw_decode(text, opening.end() - 1)
        except ValueError:
            continue
        position = end
        if data.get("type") == "object" and isinstance(data.get("properties"), dict):
            found = data
    return found


@dataclass(frozen=True)
class ClaudeRequest:
    """One call: the model id of the path, the body, and whether the answer is to be streamed."""

    model: str
    body: dict[str, Any]
    stream: bool

    @cached_property
    def user_text(self) -> str:
        """All text that the user's turns carry."""
        turns = [turn for turn in self.body.get("messages", []) if turn.get("role") == "user"]
        return "\n".join(text for turn in turns for text in _texts(turn.get("content", "")))

    @cached_property
    def fences(self) -> list[Fence]:
        return read_fences(self.user_text)

    def fence(self, name: str) -> Fence | None:
        """The first fence of that name."""
        return next((fence for fence in self.fences if fence.name == name), None)

    def text_of(self, name: str) -> str:
        """The content of the first fence of that name; empty when there is none."""
        fence = self.fence(name)
        return fence.content if fence else ""

    def json_of(self, name: str) -> dict[str, Any]:
        """The JSON object in the first fence of that name; empty when there is none."""
        return _object_in(self.text_of(name)) or {}

    @cached_property
    def kind(self) -> Kind:
        """A task's request has a ``task`` fence, a planner's the ``catalogue`` or the ``agents``."""
        if self.fence("task"):
            return "task"
        return "plan" if self.fence("catalogue") or self.fence("agents") else "other"

    @property
    def turn(self) -> int:
        """1 before Claude has answered; each answer that the conversation holds makes it one more."""
        return 1 + [turn.get("role") for turn in self.body.get("messages", [])].count("assistant")

    @property
    def revises(self) -> bool:
        """Whether a plan is to be changed."""
        return self.fence("current_plan") is not None

    def texts(self, source: str) -> list[str]:
        """What a scenario searches: a part of what the request says, in one piece or several."""
        match source:
            case "prompt":
                return [self.user_text]
            case "system":
                return _texts(self.body.get("system") or "")
            case "results":
                return [fence.content for fence in self.fences if fence.name == "result"]
            case "tool_result":
                last = self.body["messages"][-1].get("content")
                blocks = last if isinstance(last, list) else []
                return ["\n".join(_texts([block])) for block in blocks if block.get("type") == "tool_result"]
            case "instruction":
                return [self.text_of("task")]
            case "work":
                return [f"{(self.task or '').replace('_', ' ')}. {self.text_of('task')[:2_000]}"]
            case "requirement" if self.kind == "plan":
                return [self.text_of(source) or self.user_text]
        return [self.text_of(source)]

    @cached_property
    def services(self) -> list[str]:
        """The names in the catalogue: a YAML list of names, of entries with a name, or a mapping by name."""
        data = _yaml_in(self.text_of("catalogue"))
        if isinstance(data, dict) and "services" in data:
            data = data["services"]
        entries = list(data) if isinstance(data, (list, dict)) else []
        names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
        return [str(name) for name in names if name]

    @cached_property
    def current_plan(self) -> dict[str, Any]:
        """The plan to be changed; an empty one where it can't be read."""
        plan = _yaml_in(self.text_of("current_plan"))
        known = plan if isinstance(plan, dict) and isinstance(plan.get("tasks"), list) else {}
        return {"title": "", "requirement": "", "tasks": []} | known | {"inputs": known.get("inputs") or {}}

    @property
    def facts(self) -> dict[str, Any]:
        """What the texts of a scenario may name."""
        told = ("requirement", "comment", "instruction", "work", "prompt", "tool_result")
        results = [
            {
                "task": fence.attributes.get("task"),
                "item": fence.attributes.get("item"),
                "text": fence.content,
            }
            for fence in self.fences
            if fence.name == "result"
        ]
        return {name: "\n".join(self.texts(name)) for name in told} | {
            "task": self.task,
            "item": self.item,
            "turn": self.turn,
            "results": results,
            "services": self.services,
            "agent": self._executing_agent(),
            "given": self.json_of("inputs"),
            "plan": self.current_plan,
        }

    def _executing_agent(self) -> str:
        names = re.findall(r"^([a-z][\w-]*):", self.text_of("agents"), re.MULTILINE)
        workers = [name for name in names if "plan" not in name]
        return "task-executor" if "task-executor" in names or not workers else workers[0]

    @property
    def task(self) -> str | None:
        fence = self.fence("task")
        return fence.attributes.get("task") if fence else None

    @property
    def item(self) -> str | None:
        fence = self.fence("task")
        return fence.attributes.get("item") if fence else None

    @property
    def wants_format(self) -> bool:
        """Whether the answer is to be JSON text by ``output_config.format``."""
        config = self.body.get("output_config")
        return isinstance(config, dict) and isinstance(config.get("format"), dict)

    @cached_property
    def forced_tool(self) -> dict[str, Any] | None:
        """The tool that ``tool_choice`` demands, as the request describes it."""
        choice, tools = self.body.get("tool_choice"), self.body.get("tools") or []
        if not isinstance(choice, dict) or choice.get("type") not in ("tool", "any"):
            return None
        named = (tool for tool in tools if choice["type"] == "any" or tool.get("name") == choice.get("name"))
        return next(named, None)

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the answer must satisfy, in whichever form it came; None for a free answer."""
        if self.wants_format:
            schema = self.body["output_config"]["format"].get("schema")
        elif self.forced_tool:
            schema = self.forced_tool.get("input_schema")
        else:
            schema = self.asked_for
        return schema if isinstance(schema, dict) else None

    @cached_property
    def asked_for(self) -> dict[str, Any] | None:
        """The schema that only the prompt asks for: the last one in a fence named so, else in the open text."""
        if self.wants_format or self.forced_tool:
            return None
        text = "\n".join([*_texts(self.body.get("system") or ""), self.user_text])
        named = [fence for fence in read_fences(text) if "schema" in fence.name]
        return _object_in(named[-1].content) if named else _last_schema(without_fences(text))


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    found: list[str] = []
    for block in content:
        if block.get("type") == "text":
            found.append(str(block.get("text", "")))
        elif block.get("type") == "tool_result":
            found.extend(_texts(block.get("content") or ""))
    return found
