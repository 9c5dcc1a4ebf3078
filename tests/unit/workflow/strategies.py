"""Plans of every shape, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from chassis.errors import PlanError
from chassis.workflow import WorkflowSpec, check_plan
from chassis.workflow.names import RESERVED_IDS
from chassis.workflow.placeholders import placeholders

ids = st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,4})?", fullmatch=True).filter(
    lambda name: name != "item"
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
"""Any text at all, line ends and control characters included."""

_misleading = st.sampled_from(
    [
        "no",
        "12:30",
        "007",
        "1e3",
        "+1",
        "~",
        "2026-03-01",
        "- x",
        "a: b",
        "# c",
        "|",
        "{x",
        "'",
        '"',
        "=",
        "&a",
        "*a",
    ]
)
_paragraphs = st.lists(
    st.sampled_from(["word", "\tindented", "  spaced", "trailing ", "", "# x", "--- ", "...", "é\x85 "]),
    min_size=1,
).map("\n".join)

spoken = st.one_of(texts, _misleading, _paragraphs).filter(lambda text: bool(text.strip()))
"""Any text that isn't blank, also what YAML could take for something else, and text of several lines."""

_in_lines = st.characters(
    exclude_categories=["Cs", "Cc", "Zl", "Zp"],
    exclude_characters=[
        chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080))
    ],
)
lines = st.one_of(st.text(_in_lines, min_size=1, max_size=40), _misleading).filter(
    lambda text: bool(text.strip())
)
"""A line of anything that is seen and turns nothing around."""

numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(-1e15, 1e15, allow_nan=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
items = st.lists(lines, min_size=1, max_size=4, unique=True)
output_schemas = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.just({"found": {"type": "array", "items": {"type": "string"}}}),
    },
    optional={"description": texts, "default": json_values, "examples": st.lists(json_values, max_size=2)},
)
provenances = st.fixed_dictionaries(
    {
        "planner_model": texts,
        "agents": st.dictionaries(texts, texts, max_size=2),
        "planned_at": st.datetimes().map(lambda moment: f"{moment.isoformat()}+00:00"),
        "planner_run": texts,
    },
    optional={"simulated": st.booleans(), "revised": st.integers(0, 3)},
)
schedules = st.one_of(
    st.fixed_dictionaries(
        {"cron": st.sampled_from(["0 6 * * 1", "*/5 * * * *", "15 2 1 1,7 mon-fri"])},
        optional={"timezone": st.sampled_from(["Europe/Berlin", "UTC"]), "catchup": st.booleans()},
    ),
    st.fixed_dictionaries({"preset": st.sampled_from(["@daily", "@quarterly"])}),
    st.fixed_dictionaries({"asset": lines}),
)
defaults = {
    "string": texts,
    "integer": st.integers(-(2**53), 2**53),
    "number": numbers,
    "boolean": st.booleans(),
    "array": items,
}


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    type_ = draw(st.sampled_from(sorted(defaults)))
    description = draw(st.one_of(st.just(""), lines))
    return {"type": type_, "default": draw(defaults[type_]), "description": description}


@st.composite
def plan_data(draw: st.DrawFn) -> dict[str, Any]:
    """A plan as YAML or JSON would give it."""
    declared = draw(st.dictionaries(ids, inputs(), max_size=3))
    names = draw(st.lists(ids, min_size=1, max_size=6, unique=True))
    tasks: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        task = draw(_tasks(name, tasks[:index], declared))
        tasks.append(task)
    optional = {
        "schedule": schedules,
        "owner": lines,
        "tags": st.lists(lines.map("my {}".format), max_size=3, unique=True),
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "budget_usd": st.floats(0.01, 1e6),
                "max_parallel": st.just(3),
                "max_minutes": st.integers(1, 90),
                "per_task": st.fixed_dictionaries({}, optional={"max_calls": st.integers(1, 9)}),
            },
        ),
        "provenance": provenances,
    }
    plan = {
        "schema_version": 1,
        "id": draw(ids.filter(lambda name: name not in RESERVED_IDS)),
        "title": draw(lines),
        "requirement": draw(spoken),
        "inputs": declared,
        "tasks": tasks,
    }
    return plan | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def _tasks(
    draw: st.DrawFn, name: str, before: list[dict[str, Any]], declared: dict[str, Any]
) -> dict[str, Any]:
    earlier = [task["id"] for task in before]
    waits_for = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
    task = {"id": name, "name": draw(lines), "depends_on": waits_for, "instruction": draw(spoken)}
    sources: list[dict[str, Any]] = [{"items": draw(items)}]
    sources += [{"input": each} for each, given in declared.items() if given["type"] == "array"]
    sources += [
        {"same_as": each["id"]} for each in before if set(each.get("for_each", ())) & {"items", "input"}
    ]
    sources += [
        {"output_of": each["id"], "path": "found"} for each in _readable(before) if each["id"] in waits_for
    ]
    if draw(st.booleans()):
        task["for_each"] = draw(st.sampled_from(sources))
    elif draw(st.booleans()):
        task["output_schema"] = draw(output_schemas)
    named = [*declared, *(["item"] if "for_each" in task else [])]
    task["instruction"] += "".join(f" {{{name}}}" for name in named)
    assume(set(placeholders(task["instruction"])) <= set(named))
    for key, values in (
        ("retries", st.integers(0, 20)),
        ("timeout_minutes", st.integers(1, 99)),
        ("model", lines),
    ):
        if draw(st.booleans()):
            task[key] = draw(values)
    return task


def _readable(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [task for task in tasks if "output_schema" in task]


@st.composite
def plans(draw: st.DrawFn) -> WorkflowSpec:
    """A plan that obeys every rule."""
    try:
        return check_plan(draw(plan_data()))
    except PlanError as error:
        # The one rule that the shape above doesn't keep by itself; any other fault is one of the shape.
        if {fault.code for fault in error.faults} != {"waits_for_own_group"}:
            raise
        assume(False)
        raise
