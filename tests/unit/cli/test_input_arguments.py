"""``--input``: what is typed is what arrives, unless JSON or a declared type says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli.input_arguments import input_values, looks_like_json, parse_inputs
from chassis.errors.client import UsageError
from chassis.plans.store import PlanStore
from chassis.workflow import check_plan
from tests.unit.cli.made_up_runs import RUN, SPEC
from tests.with_each import with_each

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow, FakeDag

HUGE = "9" * 5_000
DEEP = "[" * 100_000


def value(entry: str, type_: str | None = None) -> Any:
    (found,) = input_values(parse_inputs([entry]), {"name": type_} if type_ else {}).values()
    return found


@with_each(
    "text",
    [
        *("pet insurance", "3", "1.10", "12e4567", "true", "null", '["a"]', '{"a": 1}', '"3"', "NaN", "-0"),
        *("a=b", ":=", "", " padded ", "{{ 7 * 7 }}", "[" * 100_000, HUGE),
    ],
)
def test_a_value_after_an_equals_sign_is_the_text_as_it_was_typed(text: str) -> None:
    assert value(f"name={text}") == text
    assert value(f"name={text}", "string") == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        *(('"1.10"', "1.10"), ("3", 3), ("1.5", 1.5), ("true", True), ('["a", "b"]', ["a", "b"]), ("[]", [])),
    ],
)
def test_a_value_after_colon_equals_is_json(text: str, wanted: object) -> None:
    found = value(f"name:={text}")
    assert found == wanted
    assert type(found) is type(wanted)


@with_each(
    "text",
    [
        *("pricing", "", "{", "NaN", "Infinity", "1e999", "12e4567", str(2**63), HUGE, DEEP),
        *("null", "{}", '{"a": 1}', "[1]", "[[]]", '["a", null]', "'a'", "a,b"),
    ],
)
def test_what_is_no_json_of_an_input_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        value(f"name:={text}")
    assert "'name'" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("type_", "text", "wanted"),
    [
        *(("integer", "3", 3), ("integer", " -3 ", -3), ("number", "1.10", 1.1), ("number", "3", 3)),
        *(("boolean", "true", True), ("boolean", "False", False), ("string", "007", "007")),
        *(("array", '["a","b"]', ["a", "b"]), ("array", "[]", [])),
    ],
)
def test_a_declared_type_reads_the_text_as_that(type_: str, text: str, wanted: object) -> None:
    found = value(f"name={text}", type_)
    assert found == wanted
    assert type(found) is type(wanted)


@with_each(
    "type_, text, reason",
    [
        *(("integer", text, "must be a whole number") for text in ("1.0", "x", "", "1e3", "٣", HUGE)),
        *(("number", text, "must be a number") for text in ("inf", "nan", "12e456", "1_0", "1,5")),
        *(("boolean", text, "must be true or false") for text in ("yes", "1", "")),
        *(("array", text, "must be a list of texts") for text in ("a,b", "a", "[1]", DEEP)),
    ],
)
def test_a_text_that_its_type_does_not_take_is_refused_with_the_reason(
    type_: str, text: str, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        value(f"name={text}", type_)
    assert ":=" in caught.value.hint


def test_several_inputs_come_together() -> None:
    given = parse_inputs(["product=pet insurance", "count:=2"])
    assert input_values(given, {}) == {"product": "pet insurance", "count": 2}


def test_every_wrong_entry_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_inputs(["product", "=x", ":=x", "a=1", "a:=2", "b:=x"])
    for words in ("'product'", "'=x'", "':=x'", "'a' is given twice", "'b' is not JSON"):
        assert words in caught.value.message


def test_a_text_that_may_have_been_meant_as_a_list_is_noticed() -> None:
    assert looks_like_json(parse_inputs(['a=["x"]', "b=[x]", 'c:=["x"]', "d=1"])) == ["a"]


class TestOfAWorkflowThatExists:
    @pytest.fixture
    def types(self, fake: FakeAirflow, planner: FakeDag) -> None:
        fake.dags["onboard"].runs[RUN].looks = 1  # the items have their places
        fake.dags["onboard"].params = {"count": "integer", "services": "array"}

    @pytest.mark.usefixtures("types")
    def test_planning_it_again_reads_texts_by_its_plan(self, chassis: Chassis, fake: FakeAirflow) -> None:
        options = ("--workflow-id", "onboard", "--input", "count=2", "--input", 'services=["pricing"]')
        assert chassis("run", "Onboard", *options).exit_code == 0
        (sent,) = fake.sent("POST", "/dags/plan_workflow/dagRuns")
        assert sent["conf"]["inputs"] == {"count": 2, "services": ["pricing"]}

    @pytest.mark.usefixtures("types")
    @pytest.mark.parametrize(
        "command",
        [
            ("run", "Onboard", "--workflow-id", "onboard"),
            ("plan", "Onboard", "--workflow-id", "onboard"),
            ("retry", "onboard", "report", "--reason", "a test"),
        ],
        ids=lambda command: command[0],
    )
    def test_every_command_refuses_before_anything_is_done(
        self, chassis: Chassis, fake: FakeAirflow, command: tuple[str, ...]
    ) -> None:
        result = chassis(*command, "--input", "count=two")
        assert result.exit_code == 2
        assert "'count' must be a whole number, not the text 'two'" in result.stderr
        assert fake.sent("POST", "/dagRuns") + fake.sent("POST", "/amend") == []

    def test_the_plan_store_of_the_local_airflow_says_it_too(
        self, chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
        spec = check_plan({**SPEC, "inputs": {"count": {"type": "integer", "default": 1}}})
        PlanStore(str(tmp_path / "home" / "plans")).publish(spec)
        result = chassis("plan", "Onboard", "--workflow-id", "onboard", "--input", "count=two")
        assert result.exit_code == 2
        assert "must be a whole number" in result.stderr
