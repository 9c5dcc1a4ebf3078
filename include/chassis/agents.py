"""Agents: who does a plan's tasks, each defined by one Markdown file in Claude Code's format.

Front matter between two lines of ``---`` says who the agent is; the text after it is its system prompt::

    ---
    name: task-executor
    description: Does one task of a workflow and reports the result.
    ---
    You do one task ...
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chassis.errors import DefinitionError
from chassis.workflow.messages import in_words
from chassis.workflow.names import is_agent_name, shown, suggestion
from chassis.workflow.spec import Description, Line, as_tuple, fault, not_blank
from chassis.workflow.yaml_text import YamlError, read_yaml

_FENCE = "---"
_ALIASES = frozenset({"opus", "sonnet", "haiku", "default", "best"})
"""Claude Code's short names for models. They stand for a model of the day, and Bedrock knows none of them."""

_HINT = "Correct the file, or name another folder as [chassis] agents_folder."


def _agent_name(name: str) -> str:
    if not is_agent_name(name):
        raise fault(
            "bad_name", f"{shown(name)} must be a lower-case letter, then at most 63 of a-z, 0-9 and -"
        )
    return name


def _tools(value: Any) -> Any:
    """Claude Code writes tools as ``Read, Grep``; a YAML list does as well."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    return as_tuple(value)


def _model(value: Any) -> Any:
    if value in _ALIASES:
        raise fault(
            "model_alias", f"{value!r} is a short name; write the Bedrock model id or inference profile"
        )
    # Claude Code's word for the model of the session; here: of the plan, the connection or the settings.
    return None if value == "inherit" else value


class AgentDefinition(BaseModel):
    """One agent."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Annotated[str, AfterValidator(_agent_name)] = Field(description="What plans call it.")
    description: Annotated[Description, AfterValidator(not_blank)] = Field(
        description="What it is for. A planner chooses by it."
    )
    prompt: Annotated[str, Field(max_length=100_000), AfterValidator(not_blank)] = Field(
        description="The system prompt: the file's text after the front matter."
    )
    model: Annotated[Line | None, BeforeValidator(_model)] = Field(
        None, description="Bedrock model id; None: the connection's or the setting's."
    )
    tools: Annotated[tuple[Line, ...], BeforeValidator(_tools)] = Field(
        (), description="Names of tools it may use."
    )
    max_turns: Annotated[int, Field(ge=1, le=1_000)] | None = Field(
        None, description="Answers that it may give before its task fails; None: no limit of its own."
    )
    max_tokens: Annotated[int, Field(ge=256, le=200_000)] | None = Field(
        None, description="Output tokens of one answer; None: the setting max_tokens."
    )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole definition, as 64 hex digits. A plan's provenance keeps it."""
        canonical = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    color: Line | None = Field(None, exclude=True, description="Claude Code's colour for it; of no use here.")


def load_agents(folder: str | Path) -> dict[str, AgentDefinition]:
    """All agents of a folder (its ``*.md`` files) by name, in the order of their names.

    :raises DefinitionError: the folder has none, or a file is wrong; lists all faults of all files
    """
    agents, faults = _read_folder(folder)
    if faults:
        raise _wrong(folder, faults)
    return {agent.name: agent for agent in sorted(agents, key=lambda agent: agent.name)}


def load_agent(folder: str | Path, name: str) -> AgentDefinition:
    """One agent of a folder. A fault in another agent's file is no obstacle.

    :raises DefinitionError: there is no agent of this name, or its file is wrong
    """
    agents, faults = _read_folder(folder)
    found = [agent for agent in agents if agent.name == name]
    if len(found) == 1:
        return found[0]
    if faults:
        raise _wrong(folder, faults)
    near = suggestion(name, [agent.name for agent in agents])
    raise DefinitionError(
        f"There is no agent {shown(name)} in {folder}{near}.", hint="Add a file that defines it."
    )


def _read_folder(folder: str | Path) -> tuple[list[AgentDefinition], list[str]]:
    """The agents that can be read, and what is wrong with the others."""
    files = sorted(path for path in Path(folder).glob("*.md") if path.is_file())
    if not files:
        raise DefinitionError(
            f"The folder {folder} has no agent files (*.md).",
            hint="Add an agent definition, or name another folder as [chassis] agents_folder.",
        )
    agents: list[AgentDefinition] = []
    faults: list[str] = []
    defined_in: dict[str, str] = {}
    for path in files:
        agent, wrong = _read_file(path)
        faults += [f"{path.name}: {each}" for each in wrong]
        if agent is None:
            continue
        if agent.name in defined_in:
            faults.append(
                f"{path.name}: name {agent.name!r} is the name of the agent in {defined_in[agent.name]}, too"
            )
        defined_in.setdefault(agent.name, path.name)
        agents.append(agent)
    return agents, faults


def _read_file(path: Path) -> tuple[AgentDefinition | None, list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return None, [f"can't be read: {error}"]
    first, *lines = text.split("\n")
    if first.rstrip() != _FENCE or _FENCE not in (ends := [line.rstrip() for line in lines]):
        return None, [
            f"must begin with front matter: a line {_FENCE}, keys such as name, and a line {_FENCE} again"
        ]
    end = ends.index(_FENCE)
    try:
        front = read_yaml("\n".join(lines[:end]), first_line=2)
    except YamlError as error:
        return None, [str(fault) for fault in error.faults]
    return _define(front, "\n".join(lines[end + 1 :]).strip())


def _define(front: Any, prompt: str) -> tuple[AgentDefinition | None, list[str]]:
    if not isinstance(front, dict):
        return None, ["the front matter must be a mapping with name and description"]
    if "prompt" in front:
        return None, ["'prompt' is no key of the front matter; the prompt is the text after it"]
    try:
        return AgentDefinition.model_validate(front | {"prompt": prompt}), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return None, [in_words(each, each["loc"], AgentDefinition)[1] for each in errors]


def _wrong(folder: str | Path, faults: list[str]) -> DefinitionError:
    lines = "\n".join(f"- {each}" for each in faults)
    return DefinitionError(f"Agent definitions in {folder} are wrong:\n{lines}\n", hint=_HINT)
