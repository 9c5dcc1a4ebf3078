"""Agents do a plan's tasks. Each is defined by one Markdown file in Claude Code's format.

Front matter between two lines of ``---`` describes the agent; the text after it is its system prompt::

    ---
    name: task-executor
    description: Does one task of a workflow and reports the result.
    ---
    You do one task ...

Claude Code may use the same folder, so it may hold other files. A file is an agent if it has front matter with a name
or a description, or front matter that can't be read; other files are ignored. A faulty file doesn't block the others:
its faults are reported.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chassis.agent_files import read_front_matter
from chassis.errors import DefinitionError, PlanFault
from chassis.workflow.fault_messages import in_words
from chassis.workflow.field_types import Line, fault, folded, not_blank, one_line_only
from chassis.workflow.model_ids import is_claude_codes
from chassis.workflow.names import is_agent_name, shown, suggestion
from chassis.workflow.spec import Effort, Thinking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLANNER_AGENT = "planning-agent"
"""The agent that makes plans; no task of a plan may name it."""

_CLAUDE_CODES = (
    "background color disallowedTools hooks initialPrompt isolation maxTurns max_turns "
    "mcpServers memory permissionMode skills tools"
)
NOT_USED = frozenset(_CLAUDE_CODES.split())
"""Claude Code's keys that have no effect here: tasks have no tools yet."""


_HINT = "Correct the file, or name another folder as [chassis] agents_folder."


def _agent_name(name: str) -> str:
    if not is_agent_name(name):
        raise fault(
            "bad_name", f"{shown(name)} must be a lower-case letter, then at most 63 of a-z, 0-9 and -"
        )
    return name


class AgentDefinition(BaseModel):
    """One agent."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Annotated[str, AfterValidator(_agent_name)] = Field(description="What plans call it.")
    description: Annotated[
        str,
        BeforeValidator(folded),
        Field(max_length=10_000),
        AfterValidator(not_blank),
        AfterValidator(one_line_only),
    ] = Field(description="What it is for. A planner chooses by it. Several lines become one.")
    prompt: Annotated[str, Field(max_length=100_000), AfterValidator(not_blank)] = Field(
        description="The system prompt: the file's text after the front matter."
    )
    model: Line | None = Field(None, description="Bedrock model id; None: the connection's or the setting's.")
    max_tokens: Annotated[int, Field(ge=256, le=200_000)] | None = Field(
        None, description="Output tokens of one answer; None: the setting max_tokens."
    )
    effort: Effort | None = Field(
        None, description="How hard Claude tries; None: the connection's, or else the model's own."
    )
    thinking: Thinking | None = Field(
        None,
        description="Whether Claude thinks before it answers; None: as the connection says, or else the model.",
    )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole definition, as 64 hex digits. A plan's provenance holds it."""
        canonical = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class AgentFolder:
    """The agents of a folder.

    :ivar agents: usable agents, by name, in the order of their names
    :ivar faults: faults of the other agent files; ``where`` is the file
    :ivar notes: what has no effect in a usable file, such as an unknown key
    :ivar wrong: the agents' names in faulty files, with the faults of each
    """

    folder: str
    agents: Mapping[str, AgentDefinition]
    faults: tuple[PlanFault, ...]
    notes: tuple[PlanFault, ...]
    wrong: Mapping[str, tuple[PlanFault, ...]]

    def get(self, name: str) -> AgentDefinition:
        """The agent with a name.

        :raises DefinitionError: there is none, or its file is faulty
        """
        if name in self.agents:
            return self.agents[name]
        if name in self.wrong:
            raise _wrong(f"The agent {shown(name)} in {self.folder} can't be used", self.wrong[name])
        near = suggestion(name, self.agents)
        raise DefinitionError(
            f"There is no agent {shown(name)} in {self.folder}{near}.", hint="Add a file that defines it."
        )


def load_agents(folder: str | Path) -> dict[str, AgentDefinition]:
    """The usable agents of a folder, by name, in the order of their names.

    :raises DefinitionError: there is none; lists the faults of the others
    """
    return dict(read_agents(folder).agents)


def load_agent(folder: str | Path, name: str) -> AgentDefinition:
    """One agent of a folder. Faults in other agents' files don't matter.

    :raises DefinitionError: there is no agent of this name, or its file is faulty
    """
    return read_agents(folder).get(name)


def read_agents(folder: str | Path) -> AgentFolder:
    """All agents of a folder and its subfolders (``*.md``).

    :raises DefinitionError: none is usable; lists the faults of each
    """
    found: dict[str, list[tuple[str, AgentDefinition]]] = {}
    faults: list[PlanFault] = []
    notes: list[PlanFault] = []
    wrong: dict[str, list[PlanFault]] = {}
    for path in _markdown_files(folder):
        read = _read_file(path)
        where = path.relative_to(folder).as_posix()
        notes += [PlanFault("agent_note", where, each) for each in read.notes]
        its_faults = [PlanFault("agent_file", where, each) for each in read.faults]
        faults += its_faults
        if read.agent is not None:
            found.setdefault(read.agent.name, []).append((where, read.agent))
        elif its_faults and read.name:
            wrong.setdefault(read.name, []).extend(its_faults)
    for name, definitions in found.items():
        where, first = definitions[0]
        if any(other.digest != first.digest for _, other in definitions):
            message = f"name {shown(name)} is the name of the agent in {where}, too; keep one of them"
            twice = [PlanFault("agent_twice", other, message) for other, _ in definitions[1:]]
            faults += twice
            wrong.setdefault(name, []).extend(twice)
    agents = {name: found[name][0][1] for name in sorted(found) if name not in wrong}
    if not agents:
        raise _none(folder, faults)
    return AgentFolder(
        str(folder),
        agents,
        tuple(faults),
        tuple(notes),
        {name: tuple(each) for name, each in wrong.items()},
    )


def _markdown_files(folder: str | Path) -> Iterator[Path]:
    """All in the folder and its subfolders, except hidden ones; links to folders aren't followed."""
    for here, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if path.suffix.lower() == ".md" and (path.is_file() or path.is_symlink()):
                yield path


@dataclass(frozen=True)
class _File:
    """One file: an agent, a faulty agent (with faults), or no agent at all (with neither)."""

    agent: AgentDefinition | None = None
    name: str = ""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _read_file(path: Path) -> _File:
    front = read_front_matter(path)
    if front.faults or not front.keys:
        return _File(name=front.name, faults=front.faults)
    return _define(front.keys, front.text, front.name)


def _define(front: dict[str, Any], prompt: str, name: str) -> _File:
    notes = [f"{key} is not used yet" for key in front if key in NOT_USED]
    known = AgentDefinition.model_fields.keys() - {"prompt"}
    for key in front.keys() - known - NOT_USED - {"prompt"}:
        notes.append(f"{shown(key)} is not a known key{suggestion(key, known | NOT_USED)}")
    given = {key: value for key, value in front.items() if key in known}
    if isinstance(model := given.get("model"), str) and is_claude_codes(model):
        # Claude Code's names mean whatever model is current, and Bedrock knows none of them.
        del given["model"]
        if model != "inherit":
            notes.append(f"model {model} is not used yet: Bedrock doesn't know this name")
    faults = []
    if "prompt" in front:
        faults.append("'prompt' can't be in the front matter; the prompt is the text after it")
    if not prompt:
        faults.append("has no text after the front matter; it becomes the prompt")
        prompt = "-"
    try:
        agent = AgentDefinition.model_validate(given | {"prompt": prompt})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        faults += [in_words(each, each["loc"], AgentDefinition)[1] for each in errors]
    if faults:
        return _File(name=name, faults=tuple(faults), notes=tuple(notes))
    return _File(agent, name, notes=tuple(sorted(notes)))


def _none(folder: str | Path, faults: list[PlanFault]) -> DefinitionError:
    if faults:
        return _wrong(f"No agent definition in {folder} can be used", faults)
    return DefinitionError(
        f"The folder {folder} has no agent files (*.md with front matter that names the agent).",
        hint="Add an agent definition, or name another folder as [chassis] agents_folder.",
    )


def _wrong(what: str, faults: list[PlanFault] | tuple[PlanFault, ...]) -> DefinitionError:
    lines = "\n".join(f"- {each}" for each in faults)
    return DefinitionError(f"{what}:\n{lines}\n", hint=_HINT)
