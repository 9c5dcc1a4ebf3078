"""The drawing of a plan: it is well-formed, holds every task, and nobody's text is markup in it."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import pytest

from chassis.ui.graph_svg import MAX_LINES, Node, draw_plan, main_state, needed_lines
from chassis.workflow import ForEach, TaskGraph, TaskSpec
from tests.injection.corpus import CORPUS, Attack
from tests.with_each import with_each

SVG = "{http://www.w3.org/2000/svg}"


def task(task_id: str, *depends_on: str, name: str = "", items: int = 0) -> TaskSpec:
    return TaskSpec(
        id=task_id,
        name=name or f"Do {task_id}",
        instruction="Do it.",
        depends_on=depends_on,
        for_each=ForEach(items=tuple(f"i{number}" for number in range(items))) if items else None,
    )


def drawn(tasks: list[TaskSpec], nodes: dict[str, Node] | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{draw_plan(tasks, nodes, label='The plan')}</div>")


def boxes(drawing: ElementTree.Element) -> dict[str, tuple[float, float]]:
    found = {}
    for group in drawing.iter(f"{SVG}g"):
        if at := group.get("transform"):
            x, y = re.findall(r"\d+", at)
            found[group.get("data-task", "")] = (float(x), float(y))
    return found


DIAMOND = [task("a"), task("b", "a", items=3), task("c", "a"), task("d", "b", "c", "a")]


class TestLayout:
    def test_each_task_stands_right_of_what_it_waits_for(self) -> None:
        places = boxes(drawn(DIAMOND))
        for each in DIAMOND:
            for up in each.depends_on:
                assert places[up][0] < places[each.id][0]

    def test_no_two_boxes_overlap(self) -> None:
        places = boxes(drawn([task("start"), *(task(f"t{n}", "start") for n in range(100))]))
        assert len(set(places.values())) == 101

    def test_what_follows_from_other_dependencies_is_not_drawn(self) -> None:
        assert ("a", "d") not in needed_lines(TaskGraph(DIAMOND))
        assert len(needed_lines(TaskGraph(DIAMOND))) == 4

    def test_a_thousand_tasks_with_many_dependencies_are_drawn_in_bounds(self) -> None:
        first = [task(f"a{n}") for n in range(100)]
        rest = [task(f"b{n}", *(f"a{m}" for m in range(100))) for n in range(900)]
        started = time.process_time()
        drawing = drawn([*first, *rest])
        assert time.process_time() - started < 10
        assert len(boxes(drawing)) == 1_000
        assert len(list(drawing.iter(f"{SVG}path"))) == MAX_LINES
        assert f"{90_000 - MAX_LINES:,} more dependencies are not drawn." in "".join(drawing.itertext())


class TestWhatABoxTells:
    def test_its_title_has_in_words_what_its_looks_say(self) -> None:
        nodes = {"b": Node(counts={"success": 2, "failed": 1, "running": 0}, mark="changed")}
        (title,) = [
            each.text
            for each in drawn(DIAMOND, nodes).iter(f"{SVG}title")
            if (each.text or "").startswith("Do b")
        ]
        assert title == "Do b; task b; 3 items; changed since the last revision; 2 success; 1 failed; after a"

    def test_the_bar_has_a_part_for_each_state(self) -> None:
        drawing = drawn([task("a")], {"a": Node(counts={"success": 3, "failed": 1})})
        parts = {
            part.get("class"): part.get("width")
            for part in drawing.iter(f"{SVG}rect")
            if part.get("height") == "3"
        }
        assert parts == {"part state-success": "141.0", "part state-failed": "47.0"}

    def test_a_drawing_with_links_is_no_image_because_an_image_hides_its_links(self) -> None:
        (link,) = drawn([task("a")], {"a": Node(href="#task-a")}).iter(f"{SVG}a")
        assert link.get("href") == "#task-a"
        (group,) = drawn([task("a")], {"a": Node(href="#x")}).iter(f"{SVG}svg")
        assert group.get("role") == "group"
        (image,) = drawn([task("a")]).iter(f"{SVG}svg")
        assert image.get("role") == "img"
        assert image.get("aria-label") == "The plan"

    @pytest.mark.parametrize(
        ("counts", "state"),
        [
            ({}, ""),
            ({"success": 3}, "success"),
            ({"success": 3, "failed": 1}, "failed"),
            ({"running": 1, "success": 1}, "running"),
            ({"skipped": 2}, "skipped"),
            ({"success": 1, "failed": 0}, "success"),
            ({"upstream_failed": 1, "running": 1}, "running"),
        ],
    )
    def test_the_state_that_needs_a_look_first_is_its_own(self, counts: dict[str, int], state: str) -> None:
        assert main_state(counts) == state


class TestText:
    @with_each("attack", [each for each in CORPUS if 0 < len(each.text) <= 200])
    def test_a_name_is_never_markup(self, attack: Attack) -> None:
        name = attack.text
        plain = TaskSpec.model_construct(
            id="a", name=name, instruction="x", agent="x", for_each=None, depends_on=()
        )
        node = Node(counts={name: 1}, href=f"#{name}".replace("\ud800", "").replace("\udfff", ""))
        html = str(draw_plan([plain], {"a": node}, label=name.replace("\ud800", "").replace("\udfff", "")))
        tags = set(re.findall(r"<([a-z]+)", html))
        assert tags <= {"svg", "g", "title", "rect", "text", "path", "a"}
        assert set(re.findall(r' ([a-z-]+)="', re.sub(r'="[^"]*"', '=""', html))) <= {
            *(
                "class",
                "xmlns",
                "role",
                "aria-label",
                "aria-hidden",
                "width",
                "height",
                "viewbox",
                "data-task",
            ),
            *("transform", "rx", "x", "y", "d", "href"),
        }

    def test_a_long_name_is_cut_and_whole_in_the_title(self) -> None:
        text = "".join(drawn([task("a", name="n" * 200)]).itertext())
        assert "n" * 24 + "…" in text
        assert "n" * 200 in text

    def test_there_is_no_inline_style_which_the_pages_policy_would_drop(self) -> None:
        html = draw_plan(DIAMOND, {"a": Node(counts={"failed": 1}, href="#a", mark="added")}, label="x")
        assert "style" not in html
