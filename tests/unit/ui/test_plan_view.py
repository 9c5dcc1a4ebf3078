"""A plan as its page shows it: everything that it says, in signs, and what is new in it."""

from __future__ import annotations

from chassis.catalogue import Catalogue, Service
from chassis.ui.page_templates import parts
from chassis.ui.plan_view import view_plan
from chassis.workflow import check_plan, load_plan, plan_digest
from chassis.workflow.plan_changes import plan_changes


def task(task_id: str, **parts: object) -> dict[str, object]:
    return {"id": task_id, "name": f"Do {task_id}", "instruction": "Do it.", **parts}


def plan(*tasks: dict[str, object], **parts: object):  # type: ignore[no-untyped-def]
    data = {"schema_version": 1, "id": "w", "title": "W", "requirement": "r", "tasks": list(tasks), **parts}
    return check_plan(data)


class TestItems:
    def test_a_plans_items_are_named_and_of_many_the_first(self) -> None:
        view = view_plan(plan(task("a", for_each={"items": [f"i{number}" for number in range(20)]})))
        assert view.tasks[0].few == tuple(f"i{number}" for number in range(12))
        assert view.tasks[0].items == "and 8 more"

    def test_items_that_a_run_knows_are_told_by_where_they_are_from(self) -> None:
        spec = plan(
            task("a", for_each={"input": "services"}),
            task("b", for_each={"same_as": "a"}, depends_on=["a"]),
            task("c", output_schema={"type": "object"}),
            task("d", for_each={"output_of": "c", "path": "x.y"}, depends_on=["c"]),
            inputs={"services": {"type": "array"}},
        )
        assert [row.items for row in view_plan(spec).tasks] == [
            *("input services", "same as a", "", "output of c, at x.y")
        ]


class TestText:
    def test_the_text_to_edit_is_read_again_as_the_same_plan(self) -> None:
        spec = plan(task("a", instruction="Say \u202eabc, and\nmore."))
        view = view_plan(spec)
        assert plan_digest(load_plan(view.text)) == view.digest == plan_digest(spec)

    def test_what_deceives_is_shown_as_signs_and_said(self) -> None:
        view = view_plan(plan(task("a", instruction="Say \u202eabc")))
        assert view.deceives
        assert "\u202e" in view.text
        shown = str(parts("plan_parts.html").tasks(view))
        assert "Say \ufffdabc" in shown
        assert "\u202e" not in shown
        assert not view_plan(plan(task("a"))).deceives


class TestMarks:
    def test_what_is_new_or_changed_is_marked_and_nothing_else(self) -> None:
        old = plan(task("a"), task("b"))
        new = plan(task("a"), task("b", instruction="Do it well."), task("c"))
        rows = view_plan(new, changes=plan_changes(old, new)).tasks
        assert [row.mark for row in rows] == ["", "changed", "added"]

    def test_of_a_first_revision_nothing_is_marked_because_all_is_new(self) -> None:
        new = plan(task("a"))
        assert [row.mark for row in view_plan(new, changes=plan_changes(None, new)).tasks] == [""]


class TestServices:
    CATALOGUE = Catalogue(
        services=(
            Service(name="pricing", description="Prices."),
            Service(name="claims", description="Claims."),
        )
    )

    def test_entries_that_items_or_inputs_name_are_told(self) -> None:
        by_item = plan(task("a", for_each={"items": ["claims", "else"]}))
        assert [each.name for each in view_plan(by_item, catalogue=self.CATALOGUE).services] == ["claims"]
        by_input = plan(
            task("a", for_each={"input": "xs"}), inputs={"xs": {"type": "array", "default": ["pricing"]}}
        )
        assert [each.name for each in view_plan(by_input, catalogue=self.CATALOGUE).services] == ["pricing"]


def test_a_schedule_is_told_with_its_timezone() -> None:
    spec = plan(task("a"), schedule={"cron": "0 6 * * 1", "timezone": "Europe/Berlin", "catchup": True})
    assert view_plan(spec).facts["schedule"] == "0 6 * * 1 Europe/Berlin, with catchup"
    assert view_plan(plan(task("a"))).facts["schedule"] == "manual"


def test_what_people_set_for_a_task_is_told_and_a_schema_comes_last() -> None:
    spec = plan(task("a", output_schema={"type": "object"}, effort="high", timeout_minutes=90))
    assert list(view_plan(spec).tasks[0].facts) == ["effort", "timeout in minutes", "output schema"]
