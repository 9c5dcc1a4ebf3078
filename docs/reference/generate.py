"""Writes the generated parts of the documentation from the code: ``python docs/reference/generate.py``.

A page is written by hand but for what stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. A
test compares the pages with what this writes, so that no page falls out of step with the code.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chassis.agents import AgentDefinition
from chassis.catalogue import Service
from chassis.claude.connection_options import ClaudeOptions
from chassis.contract.run_view import InstanceView, PlanningView, RunView, TaskView
from chassis.contract.spending import Bound, Spending, Totals
from chassis.contract.usage import Usage
from chassis.contract.workflow_rows import WaitingPlan, WorkflowRow
from chassis.contract.xcoms import Card, TaskError, TaskResult
from chassis.errors import ChassisError, ClaudeError
from chassis.local.simulator.model_files import known_models
from chassis.settings import Settings
from chassis.workflow import (
    ForEach,
    InputSpec,
    Limits,
    Provenance,
    Schedule,
    SpendLimits,
    TaskSpec,
    WorkflowSpec,
)
from chassis.workflow.field_meaning import meanings

DOCS = Path(__file__).parents[1]

PARTS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        AgentDefinition,
        Bound,
        Card,
        ClaudeOptions,
        ForEach,
        InputSpec,
        InstanceView,
        Limits,
        PlanningView,
        Provenance,
        RunView,
        Schedule,
        Service,
        Settings,
        SpendLimits,
        Spending,
        TaskError,
        TaskResult,
        TaskSpec,
        TaskView,
        Totals,
        Usage,
        WaitingPlan,
        WorkflowRow,
        WorkflowSpec,
    )
}

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "",
    datetime: "ISO 8601 time",
}
_HEADINGS: dict[Any, str] = {
    Bound: "bound",
    Card: "card",
    ForEach: "for_each",
    InputSpec: "input",
    InstanceView: "instance",
    Limits: "limits",
    PlanningView: "planning",
    Provenance: "provenance",
    Schedule: "schedule",
    SpendLimits: "per_task",
    Spending: "spending",
    TaskError: "error",
    TaskResult: "result",
    TaskSpec: "task",
    TaskView: "task",
    Totals: "totals",
    Usage: "usage",
}
_SETTERS = {"planner": "the planner", "person": "you", "chassis": ""}
_MADE = {
    "plans_root": "`$AIRFLOW_HOME/plans`",
    "records_root": "`$AIRFLOW_HOME/records`",
    "agents_folder": "the agents that Chassis brings",
    "services_file": "the catalogue that Chassis brings",
}
"""Defaults that depend on the machine, in words."""


def page(text: str) -> str:
    """A page's text with its generated parts made anew."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{_part(match[2])}{match[3]}",
        text,
        flags=re.DOTALL,
    )


def _part(name: str) -> str:
    made = {
        "Errors": errors_table,
        "CommandLine": command_line,
        "Models": models_table,
        "Python": python_names,
    }
    return made[name]() if name in made else table(PARTS[name])


def python_names() -> str:
    """Each public name of the package, with its arguments, by signature and docstring."""
    import chassis

    lines: list[str] = []
    for name in chassis.__all__:
        thing = getattr(chassis, name)
        if name == "__version__":
            continue
        text = inspect.getdoc(thing) or ""
        said, *fields = re.split(r"^:(?=\w+(?: \w+)?:)", text, flags=re.MULTILINE)
        model = isinstance(thing, type) and issubclass(thing, BaseModel)
        lines += [f"### {name}", ""]
        if not model:
            lines += ["```text", _call(name, thing), "```", ""]
        lines += [_markdown(said.strip()), ""]
        if model:
            anchor = {WorkflowSpec: "plan", TaskResult: "a-tasks-result"}.get(thing) or _HEADINGS[thing]
            lines += [f"Its fields are in [the format of a plan](plan-format.md#{anchor}).", ""]
        told = dict(part.split(":", 1) for part in fields)
        lines += [
            f"- `{kind.split()[1]}`: {_in_a_line(_markdown(words))}"
            for kind, words in told.items()
            if kind.startswith("param")
        ]
        lines += [
            f"- Raises `{kind.split()[1]}`: {_in_a_line(_markdown(words))}"
            for kind, words in told.items()
            if kind.startswith("raises")
        ]
        lines += [""] if told else []
    return "\n".join(["", *lines])


def _call(name: str, thing: Any) -> str:
    """How a name is called, an argument on each line where there are several."""
    parts: list[str] = []
    signature = inspect.signature(thing)
    gives = "" if isinstance(thing, type) else f" -> {signature.return_annotation}"
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        stars = "**" if each.kind is each.VAR_KEYWORD else ""
        default = "" if each.default is each.empty else f" = {each.default!r}"
        parts.append(f"{stars}{each.name}: {each.annotation}{default}")
    if len(parts) < 3:
        return f"{name}({', '.join(parts)}){gives}"
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){gives}"])


def _markdown(text: str) -> str:
    """Text of a docstring: names in single backticks, and no roles."""
    return re.sub(r"(?::\w+:)?`{1,2}(.+?)`{1,2}", r"`\1`", text)


def command_line() -> str:
    """Each command with its arguments and options, in the order and the groups of ``chassis --help``."""
    import typer

    from chassis.cli.main import app

    lines: list[str] = []
    panel = None
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            lines += [f"## {panel}", ""]
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        names = (f"{each.metavar or each.name.upper()}" for each in arguments)
        usage = [name if each.required else f"[{name}]" for name, each in zip(names, arguments, strict=True)]
        lines += [f"### chassis {' '.join([command.name, *usage])}", "", _in_a_line(command.help), ""]
        options = [each for each in command.params if each.param_type_name == "option"]
        lines += ["| option | meaning | default |", "|---|---|---|", *map(_option, options), ""]
    return "\n".join(["", *lines])


def _option(option: Any) -> str:
    name = "`, `".join(sorted([*option.opts, *option.secondary_opts], key=len, reverse=True))
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    default = option.show_default if isinstance(option.show_default, str) else option.default
    shown = "" if default in (None, False, "", []) else str(default)
    cells = (f"`{name}{value}`", _in_a_line(option.help), shown)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _in_a_line(text: str) -> str:
    return " ".join(text.split())


def errors_table() -> str:
    """A Markdown table of all errors: what each means, whether and when it is tried again, and what to do."""
    rows = ["| error | meaning | tried again | what to do |", "|---|---|---|---|"]
    for kind in sorted(all_errors(), key=lambda kind: (kind.retryable, kind.__name__)):
        meaning = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        meaning = re.sub(r" (A|Often a|A later) ?[^.:]*(retry|retries)[^.]*\.$", "", meaning).replace(
            "``", "`"
        )
        again = f"after {kind.wait}" if kind.retryable else "no"
        rows.append(f"| `{kind.__name__}` | {meaning} | {again} | {kind.remedy} |")
    return "\n".join(rows) + "\n"


def models_table() -> str:
    """A Markdown table of the models that the simulator plays."""
    heads = (
        "model",
        "format",
        "forced tool",
        "thinking",
        "by itself",
        "bound",
        "effort",
        "cache from",
        "errors",
    )
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for model in known_models().values():
        cells = (
            *(model.family.removeprefix("claude-"), model.format, model.forced_tool.replace("_", " ")),
            *(", ".join(model.thinking), _yes(model.thinks_unasked), _yes(model.binds_thinking)),
            *(", ".join(model.efforts) or "refused", f"{model.cache_minimum:,}", model.shape),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def all_errors(root: type[ChassisError] = ChassisError) -> list[type[ChassisError]]:
    """The kinds of error that are raised as themselves, and not only as a more special one."""
    ours = root.__module__.startswith("chassis.errors.") and root not in (ChassisError, ClaudeError)
    found = [root] if ours else []
    return found + [kind for child in root.__subclasses__() for kind in all_errors(child)]


def table(model: type[BaseModel]) -> str:
    """A Markdown table of a model's fields; of a part of a plan also who sets them."""
    setters = {name: _SETTERS[means.set_by] for name, means in meanings(model).items()}
    told = any(setters.values())
    heads = ("name", "default", "value", *(["set by"] if told else []), "meaning")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, field in model.model_fields.items():
        setter = [setters[name]] if told else []
        cells = (
            f"`{field.alias or name}`",
            _default(name, field),
            _value(field),
            *setter,
            field.description or "",
        )
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return _MADE.get(name, "none")
    if field.default is None or field.default in ("", (), {}) or isinstance(field.default, BaseModel):
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _value(field: FieldInfo) -> str:
    kind = _kind(field.annotation)
    rules = [*field.metadata]
    if get_origin(field.annotation) in (Union, types.UnionType):
        rules += [rule for part in get_args(field.annotation) for rule in _rules(part)]
    size = _range(rules, "ge", "le", "gt")
    length = _range(rules, "min_length", "max_length")
    unit = "characters" if kind == "text" else "entries"
    return ", ".join(filter(None, [kind, size, length and f"{length} {unit}"]))


def _rules(annotation: Any) -> list[Any]:
    parts = getattr(annotation, "__metadata__", ())
    return [rule for part in parts for rule in (part.metadata if isinstance(part, FieldInfo) else [part])]


def _range(rules: list[Any], least: str, most: str, above: str = "") -> str:
    found = {
        name: getattr(rule, name)
        for rule in rules
        for name in (least, most, above)
        if getattr(rule, name, None) is not None
    }
    if least in found and most in found:
        return f"{found[least]:,} to {found[most]:,}"
    words = {least: "at least {:,}", most: "at most {:,}", above: "more than {:,}"}
    return ", ".join(words[name].format(limit) for name, limit in found.items())


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _kind(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(filter(None, map(_kind, arguments)))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin in (dict, Mapping):
        return f"mapping to {_kind(arguments[1])}"
    if annotation in _HEADINGS:
        return f"[{_HEADINGS[annotation]}](#{_HEADINGS[annotation]})"
    return _WORDS.get(annotation, "any JSON value")


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
