"""How a plan is checked: all faults at once, nothing invented, the data left alone, in bounded time."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given

from chassis.errors import PlanError
from chassis.workflow import check_items, check_plan, load_plan
from chassis.workflow.output_schemas import _expanded
from chassis.workflow.yaml_text import MAX_FAULTS, read_yaml
from tests.unit.workflow.strategies import plan_data
from tests.unit.workflow.wrong_plans import CASES, FAN_OUT, PLAN, SCHEDULES, STRUCTURE, TEXTS, Case
from tests.with_each import with_each


def codes(data: Any, **offered: Any) -> list[str]:
    with pytest.raises(PlanError) as refused:
        check_plan(data, **offered)
    return [fault.code for fault in refused.value.faults]


def task(**parts: Any) -> dict[str, Any]:
    return {"id": "a", "name": "A", "instruction": "Do it."} | parts


def plan(*tasks: Any, **parts: Any) -> dict[str, Any]:
    return {"schema_version": 1, "id": "w", "title": "W", "requirement": "R", "tasks": list(tasks)} | parts


def test_faults_of_all_kinds_are_listed_at_once() -> None:
    text = PLAN
    for old, new in [
        ("title: Add the pet insurance product\n", ""),
        ("retries: 2", "retrys: 2"),
        ("name: Verify", "name: 7"),
        ("Europe/Berlin", "Europe/Berln"),
        ("depends_on: [discover]", "depends_on: [discover, report]"),
        ("Report on {product}.", "Report on {prodct}."),
        ("{same_as: build}", "{same_as: biuld}"),
    ]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    with pytest.raises(PlanError) as refused:
        load_plan(text)
    assert {fault.code for fault in refused.value.faults} == {
        "missing",
        "unknown_key",
        "wrong_type",
        "unknown_timezone",
        "cycle",
        "unknown_placeholder",
        "unknown_task",
    }


@with_each("case", [*STRUCTURE, *FAN_OUT, *TEXTS, *SCHEDULES])
def test_one_wrong_field_brings_about_no_other_fault(case: Case) -> None:
    with pytest.raises(PlanError) as refused:
        load_plan(case.text)
    assert [fault.code for fault in refused.value.faults] == [case.code]


def test_a_misspelt_field_hides_only_what_depends_on_it() -> None:
    first = task(depend_on=["b"])
    second = task(id="b", for_each={"output_of": "a"}, agent="nobody")
    assert codes(plan(first, second), agents=["task-executor"]) == ["unknown_key", "unknown_agent"]


def test_a_task_that_waits_for_itself_is_no_cycle_besides() -> None:
    assert codes(plan(task(depends_on=["a"]))) == ["self_dependency"]


def test_tasks_that_are_none_hide_nothing_of_the_inputs() -> None:
    data = plan("first", task(), "second", "third", inputs={"X": {"type": "string"}})
    assert codes(data) == ["wrong_type"] * 3 + ["bad_id"]


def test_items_may_come_from_a_task_some_steps_before() -> None:
    find = task(id="find", output_schema={"type": "array"})
    each = task(id="each", for_each={"output_of": "find"}, depends_on=["between"])
    check_plan(plan(find, task(id="between", depends_on=["find"]), each))


def test_the_data_is_left_alone() -> None:
    for case in CASES:
        try:
            data = read_yaml(case.text)
        except Exception:  # noqa: BLE001 - no YAML, no data
            continue
        before = copy.deepcopy(data)
        with pytest.raises(PlanError):
            check_plan(data, agents=["task-executor"], services=["pricing", "claims"])
        assert data == before


@given(plan_data())
def test_a_plan_does_not_change_with_the_data_that_it_came_from(data: dict[str, Any]) -> None:
    try:
        spec = check_plan(data)
    except PlanError:
        return
    before = spec.model_dump_json()
    for each in data["tasks"]:
        each.get("output_schema", {}).clear()
    data["inputs"].clear()
    assert spec.model_dump_json() == before


def test_agents_and_services_are_checked_only_where_they_are_given() -> None:
    spec = plan(task(agent="anybody", instruction="See service {item}.", for_each={"items": ["nowhere"]}))
    check_plan(spec)
    assert codes(spec, agents=["task-executor"], services=["pricing"]) == ["unknown_agent", "unknown_service"]


def test_tasks_of_two_cycles_are_both_reported_as_paths() -> None:
    with pytest.raises(PlanError) as refused:
        check_plan(
            plan(
                task(id="a", depends_on=["b"]),
                task(id="b", depends_on=["a"]),
                task(id="c", depends_on=["e"]),
                task(id="d", depends_on=["c"]),
                task(id="e", depends_on=["d"]),
            )
        )
    paths = [fault.message.rpartition(": ")[2] for fault in refused.value.faults]
    assert paths == ["a -> b -> a", "c -> d -> e -> c"]


@pytest.mark.parametrize(
    ("tasks", "waits"),
    [
        # A step of each item waits for a task that joins all items.
        (
            [
                task(id="root", for_each={"items": ["x"]}),
                task(id="join", depends_on=["root"]),
                task(id="step", for_each={"same_as": "root"}, depends_on=["join"]),
            ],
            "'step' waits for 'join', 'join' waits for 'root'",
        ),
        # The same through a second mapped group.
        (
            [
                task(id="a", for_each={"items": ["x"]}),
                task(id="b", for_each={"items": ["y"]}, depends_on=["a"]),
                task(id="b2", for_each={"same_as": "b"}),
                task(id="a2", for_each={"same_as": "a"}, depends_on=["b2"]),
            ],
            "'a2' waits for 'b2', 'b' waits for 'a'",
        ),
    ],
)
def test_a_group_that_would_wait_for_itself_is_refused(tasks: list[Any], waits: str) -> None:
    with pytest.raises(PlanError) as refused:
        check_plan(plan(*tasks))
    (fault,) = refused.value.faults
    assert fault.code == "waits_for_own_group"
    assert waits in fault.message


def test_steps_that_share_items_may_wait_for_tasks_outside_that_do_not_wait_for_them() -> None:
    check_plan(
        plan(
            task(id="before"),
            task(id="root", for_each={"items": ["x"]}),
            task(id="step", for_each={"same_as": "root"}, depends_on=["root", "before"]),
            task(id="join", depends_on=["step"]),
        )
    )


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "array", "items": {"type": "string"}}, ""),
        ({"type": "array"}, ""),
        ({"type": "object"}, "a.b"),
        ({"properties": {"a": {"$ref": "#/$defs/l"}}, "$defs": {"l": {"type": "array"}}}, "a"),
    ],
)
def test_items_may_come_from_any_output_that_can_have_a_list_there(schema: dict[str, Any], path: str) -> None:
    check_plan(
        plan(
            task(id="find", output_schema=schema),
            task(id="each", for_each={"output_of": "find", "path": path}, depends_on=["find"]),
        )
    )


@with_each("keyword", ["properties", "$defs", "patternProperties", "dependentSchemas"])
@with_each("name", ["default", "enum", "const", "examples"])
@with_each("reference", ["$ref", "$dynamicRef"])
def test_a_reference_out_of_a_schema_is_found_under_any_name(keyword: str, name: str, reference: str) -> None:
    schema = {"type": "object", keyword: {name: {reference: "http://127.0.0.1/x"}}}
    with pytest.raises(PlanError) as refused:
        check_plan(plan(task(output_schema=schema)))
    assert {fault.code for fault in refused.value.faults} == {"bad_output_schema"}
    references = [
        fault for fault in refused.value.faults if "refers to 'http://127.0.0.1/x'" in fault.message
    ]
    assert len(references) == 1


def multiplied(levels: int, **part: Any) -> dict[str, Any]:
    """A schema of a kilobyte whose references come to two to the power of its levels."""
    definitions = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2, **part} for n in range(levels)} | {
        f"d{levels}": {"type": "string"}
    }
    return {"$ref": "#/$defs/d0", "$defs": definitions}


def test_a_schema_whose_references_multiply_is_refused_before_anybody_checks_an_answer_by_it() -> None:
    started = time.process_time()
    with pytest.raises(PlanError, match=r"comes to [0-9,]+ schemas when its references are followed"):
        check_plan(plan(task(output_schema=multiplied(100))))
    assert time.process_time() - started < 2, "seconds of CPU"
    check_plan(plan(task(output_schema=multiplied(8))))


def test_a_schema_is_counted_with_each_use_of_a_definition() -> None:
    once = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}}
    assert _expanded(once, {"#/$defs/x": []}) == 4, "itself, a, x, and x again where a is"


def test_a_schema_with_definitions_that_are_none_is_refused_also_where_items_come_from_it() -> None:
    with pytest.raises(PlanError, match="is not a valid JSON schema"):
        check_plan(
            plan(
                task(id="find", output_schema={"$ref": "#/$defs/x", "$defs": 5}),
                task(id="each", for_each={"output_of": "find"}, depends_on=["find"]),
            )
        )


def test_fifty_thousand_items_beside_a_long_catalogue_take_seconds() -> None:
    items = [f"x{n}" for n in range(900)]
    many = plan(*[task(id=f"t{n}", for_each={"items": items}) for n in range(55)])
    started = time.process_time()
    check_plan(many, services=[f"service-{n}" for n in range(1_000)])
    assert time.process_time() - started < 15, (
        "seconds of CPU; it were minutes if each were compared with each"
    )


def test_what_looks_like_a_reference_in_data_is_none() -> None:
    check_plan(plan(task(output_schema={"type": "object", "default": {"$ref": "http://127.0.0.1/x"}})))


@pytest.mark.parametrize(
    "data",
    [
        plan(*[task(id=f"t{n}", depends_on=[f"x{m}" for m in range(200)]) for n in range(200)]),
        plan(*[{"for_each": [1] * 900, str(n): n} for n in range(200)]),
        plan(task(depends_on=["x" * 900_000])),
        plan(task(instruction=" ".join(f"{{x{n}}}" for n in range(2_000)))),
        plan(task(), inputs={f"x{n}": {"type": "array", "default": [[]] * 900} for n in range(100)}),
    ],
    ids=["dependencies", "keys", "long_name", "placeholders", "inputs"],
)
def test_a_plan_full_of_faults_is_refused_within_seconds_and_in_bounded_words(data: Any) -> None:
    start = time.process_time()
    assert len(codes(data)) <= MAX_FAULTS + 1
    assert time.process_time() - start < 5, "seconds of CPU"


def test_no_items_at_all_are_no_fault_of_a_run() -> None:
    assert check_items([]) == []


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ("abc", "they must be a list of texts, not the text 'abc'"),
        (None, "they must be a list of texts, not nothing (null)"),
        ({"a": 1}, "they must be a list of texts, not a mapping"),
        (["a", 1], "[1] must be text, not the number 1"),
        (["a", "a"], "'a' is there 2 times"),
        ([""], "[0] must not be blank"),
        ([["a"]], "[0] must be text, not a list"),
        ([f"{n}" for n in range(1001)], "there are 1,001, and at most 1,000 are allowed"),
        ([1] * 9, "and 4 more such"),
    ],
)
def test_items_of_a_run_are_held_to_the_same_rules(items: Any, words: str) -> None:
    assert words in check_items(items)
