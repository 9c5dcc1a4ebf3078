"""What a reviewer is told of two plans is all that differs, and nothing that doesn't."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chassis.text import DECEIVING
from chassis.workflow import WorkflowSpec, check_plan, plan_digest
from chassis.workflow.plan_changes import PlanChanges, plan_changes
from tests.unit.workflow.strategies import plans
from tests.with_each import with_each

PLAN: dict[str, Any] = {
    "schema_version": 1,
    "id": "add_product",
    "title": "Add a product",
    "requirement": "Add it.\nTo all services.",
    "inputs": {"product": {"type": "string", "default": "pets"}},
    "schedule": {"cron": "0 6 * * 1"},
    "limits": {"budget_usd": 5.0, "per_task": {"max_calls": 3}},
    "tasks": [
        {
            "id": "update",
            "name": "Update",
            "instruction": "Add {product} to {item}.\nCheck it.",
            "for_each": {"items": ["pricing", "claims"]},
        },
        {"id": "report", "name": "Report", "instruction": "Report.", "depends_on": ["update"]},
    ],
}


def changed(**parts: Any) -> PlanChanges:
    """From the plan above to one with other top-level parts."""
    return plan_changes(check_plan(PLAN), check_plan(PLAN | parts))


def changed_task(number: int, **fields: Any) -> PlanChanges:
    tasks = deepcopy(PLAN["tasks"])
    tasks[number] |= fields
    return changed(tasks=tasks)


@given(plans())
def test_a_plan_has_no_change_to_itself(plan: WorkflowSpec) -> None:
    found = plan_changes(plan, plan.model_copy(update={"provenance": None}))
    assert found.empty
    assert found.lines() == []


@given(plans(), plans())
def test_plans_of_other_digests_differ_in_lines_that_a_terminal_can_print(
    one: WorkflowSpec, other: WorkflowSpec
) -> None:
    found = plan_changes(one, other)
    assert found.empty is (plan_digest(one) == plan_digest(other))
    assert bool(found.lines()) is not found.empty
    assert not [line for line in found.lines() if DECEIVING.search(line) or "\n" in line]


@given(plans(), st.data())
def test_any_one_field_that_changes_is_told(plan: WorkflowSpec, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(plan.tasks) - 1))
    field, value = data.draw(
        st.sampled_from([("name", "Another"), ("retries", 19), ("timeout_minutes", 98), ("model", "m-x")])
    )
    task = plan.tasks[index]
    tasks = [each.model_copy(update={field: value}) if each is task else each for each in plan.tasks]
    found = plan_changes(plan, plan.model_copy(update={"tasks": tuple(tasks)}))
    if getattr(task, field) == value:
        assert found.empty
    else:
        ((part,),) = (found.tasks,)
        assert (part.name, part.kind, [each.field for each in part.fields]) == (task.id, "changed", [field])
        assert part.fields[0].after == value


def test_values_that_python_takes_for_equal_are_changes_if_the_digest_says_so() -> None:
    schemas = [{"const": value} for value in (1, 1.0, True)]
    plans_ = [
        check_plan(PLAN | {"tasks": [PLAN["tasks"][0], PLAN["tasks"][1] | {"output_schema": schema}]})
        for schema in schemas
    ]
    for one in plans_:
        for other in plans_:
            assert plan_changes(one, other).empty is (plan_digest(one) == plan_digest(other))


@with_each(
    "changes, lines",
    [
        (changed(), []),
        (changed(title="Add two"), ["title: Add a product -> Add two"]),
        (changed(schedule=None), ["schedule cron: 0 6 * * 1 -> none"]),
        (
            changed(limits={"budget_usd": 9.0}),
            ["budget in US dollars: 5.0 -> 9.0", "maximum calls per task: 3 -> none"],
        ),
        (
            changed(requirement="Add it.\nTo some services."),
            ["requirement:", "  - To all services.", "  + To some services."],
        ),
        (
            changed(inputs={"product": {"type": "string", "default": "cars"}, "n": {"type": "integer", "default": 2}}),
            [
                "input 'product': changed",
                "  default: pets -> cars",
                "input 'n': added",
                "  type: integer",
                "  default: 2",
            ],
        ),
        (
            changed_task(0, for_each={"items": ["claims", "documents"]}),
            ["task 'update': changed", "  items: + documents, - pricing"],
        ),
        (
            changed_task(0, for_each={"items": ["claims", "pricing"]}),
            ["task 'update': changed", "  items: in another order"],
        ),
        (
            changed_task(0, instruction="Add {product} to {item}.\nTest it."),
            ["task 'update': changed", "  instruction:", "    - Check it.", "    + Test it."],
        ),
        (
            changed_task(1, depends_on=[], agent="reviewer"),
            ["task 'report': changed", "  agent: task-executor -> reviewer", "  depends on: - update"],
        ),
        (
            changed(tasks=[*PLAN["tasks"], {"id": "tell", "name": "Tell", "instruction": "a\nb"}]),
            ["task 'tell': added", "  name: Tell", "  instruction:", "    a", "    b"],
        ),
        (changed(tasks=PLAN["tasks"][:1]), ["task 'report': removed"]),
        (changed(tasks=PLAN["tasks"][::-1]), ["tasks: in another order"]),
    ],
)  # fmt: skip
def test_changes_are_told_in_a_reviewers_words(changes: PlanChanges, lines: list[str]) -> None:
    assert changes.lines() == lines


def test_without_a_plan_before_everything_is_new() -> None:
    found = plan_changes(None, check_plan(PLAN))
    assert found.new
    assert not found.empty
    assert [part.kind for part in (*found.inputs, *found.tasks)] == ["added"] * 3
    assert "  instruction:" in found.lines()


def test_a_difference_that_signs_hide_is_told_all_the_same() -> None:
    one, other = (check_plan(PLAN | {"requirement": f"a{end}b"}) for end in ("\r\n", "\n"))
    (line, reason) = plan_changes(one, other).lines()
    assert line == "requirement:"
    assert "differs" in reason


def test_long_texts_without_a_line_in_common_are_compared_in_no_time() -> None:
    tasks = [
        PLAN["tasks"][0] | {"instruction": "".join(f"{char}\n" * 5_000 for char in text)}
        for text in ("ab", "cd")
    ]
    one, other = (check_plan(PLAN | {"tasks": [task]}) for task in tasks)
    assert len(plan_changes(one, other).lines()) > 10_000
