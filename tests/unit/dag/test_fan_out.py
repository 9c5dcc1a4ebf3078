"""The items of a run: where they come from, and that each result is given for the item that it was made for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.contract.names import CARD, ERROR
from chassis.contract.xcoms import Card
from chassis.dag.fan_out import Dependency, ItemsOperator, check_places, read_results
from chassis.dag.planned import PlannedTaskOperator
from chassis.errors import ItemsError, ItemsMovedError
from chassis.files import open_files
from chassis.records.results import Results
from chassis.settings import Settings
from chassis.work.brief import UpstreamResult
from chassis.workflow import ItemSource, TaskSpec


class Run:
    """A task instance in a run, which answers as Airflow does.

    Of a list of task ids it gives the values in the order of their map indexes, whoever left them; with map indexes, a
    value or None for each.
    """

    dag_id, run_id, try_number = "look", "manual__1", 2

    def __init__(
        self,
        done: Mapping[str, Mapping[int, str | None]],
        *,
        task_id: str = "join",
        map_index: int = -1,
        states: Mapping[str, str | None] | None = None,
        lists: Mapping[str, Any] | None = None,
    ) -> None:
        """
        :param done: for each task the items that its instances have left results of, by map index
        :param lists: what the tasks that find items have left
        """
        self.done, self.lists, self.states = done, lists or {}, states or {}
        self.task_id, self.map_index = task_id, map_index
        self.pushed: dict[str, Any] = {}
        self.requests = 0

    def xcom_pull(
        self,
        task_ids: str | list[str],
        map_indexes: int | Iterable[int] | None = None,
        key: str = "return_value",
    ) -> Any:
        if isinstance(task_ids, list):
            self.requests += 1
            (task_id,) = task_ids
            return [self._left(task_id, index, key) for index in sorted(self.done.get(task_id, {}))] or [None]
        indexes = (
            [map_indexes if map_indexes is not None else -1]
            if not isinstance(map_indexes, Iterable)
            else map_indexes
        )
        found = [self._left(task_ids, index, key) for index in indexes]
        self.requests += len(found)
        return found if isinstance(map_indexes, Iterable) else found[0]

    def _left(self, task_id: str, index: int, key: str) -> Any:
        if task_id in self.lists:
            return self.lists[task_id]
        if index not in self.done.get(task_id, {}):
            return None
        result = {"task": task_id, "item": self.done[task_id][index], "summary": "Done."}
        return Card.made(result=result, map_index=index).document() if key == CARD else result

    def get_task_states(self, dag_id: str, *, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        assert (dag_id, task_ids, run_ids) == (self.dag_id, [self.task_id], [self.run_id])
        return {self.run_id: dict(self.states)}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def join_of(items: ItemSource) -> Dependency:
    return Dependency("each", "all", items)


def told(results: Iterable[UpstreamResult]) -> list[tuple[str, str | None]]:
    return [(result.task, result.item) for result in results]


class TestAJoin:
    def test_is_told_each_item_of_the_run_in_the_order_of_the_list(self) -> None:
        run = Run({"each": {0: "b", 1: "a"}, "plain": {-1: None}})
        found = read_results(run, [join_of(ItemSource("each", ("b", "a"))), Dependency("plain", "one")], None)
        assert told(found) == [("each", "b"), ("each", "a"), ("plain", None)]

    def test_is_not_told_of_an_item_that_is_gone_although_airflow_keeps_its_result(self) -> None:
        run = Run({"each": {0: "z", 1: "a", 2: "c"}}, lists={"each__items": ["z", "a"]})
        assert told(read_results(run, [join_of(ItemSource("each"))], None)) == [("each", "z"), ("each", "a")]

    def test_reads_as_many_results_as_there_are_with_one_request(self) -> None:
        items = tuple(str(number) for number in range(1000))
        run = Run({"each": dict(enumerate(items))})
        assert len(read_results(run, [join_of(ItemSource("each", items))], None)) == 1000
        assert run.requests == 1

    def test_refuses_results_of_other_items_and_names_what_to_clear(self) -> None:
        run = Run({"each": {0: "a", 1: "a", 2: "c"}})
        with pytest.raises(ItemsMovedError) as refusal:
            read_results(run, [join_of(ItemSource("each", ("c", "a", "b")))], None)
        assert "[0] is of 'a', where 'c' is now; [2] is of 'c', where 'b' is now" in refusal.value.message
        assert "Clear task 'each' [0], [2]" in refusal.value.hint
        assert not refusal.value.retryable

    def test_names_some_of_many(self) -> None:
        items = tuple(str(number) for number in range(30))
        run = Run({"each": {index: f"old {index}" for index in range(30)}})
        with pytest.raises(ItemsMovedError, match=r"\[9\] is of 'old 9', where '9' is now; and 20 more"):
            read_results(run, [join_of(ItemSource("each", items))], None)

    def test_goes_on_without_what_a_person_has_marked_as_a_success(self) -> None:
        run = Run({"each": {0: "a", 2: "c", 3: "gone"}})
        found = read_results(run, [join_of(ItemSource("each", ("a", "b", "c")))], None)
        assert told(found) == [("each", "a"), ("each", "c")]

    def test_does_not_guess_which_items_there_are(self) -> None:
        with pytest.raises(ItemsError, match="each__items"):
            read_results(Run({"each": {0: "a"}}), [join_of(ItemSource("each"))], None)


class TestAFurtherStep:
    STEP = Dependency("each", "same", ItemSource("each", ("b", "a")))

    def test_is_told_of_its_own_item(self) -> None:
        run = Run({"each": {0: "b", 1: "a"}}, task_id="verify", map_index=1)
        assert told(read_results(run, [self.STEP], "a")) == [("each", "a")]

    def test_refuses_the_result_of_another_item_in_its_place(self) -> None:
        run = Run({"each": {0: "a", 1: "b"}}, task_id="verify", map_index=1)
        with pytest.raises(ItemsMovedError, match=r"\[1\] is of 'b', where 'a' is now"):
            read_results(run, [self.STEP], "a")


class TestAnItemThatIsClearedByItself:
    """Revision 1 had a, b, c."""

    def check(self, items: tuple[str, ...], **states: str | None) -> None:
        found = {f"each_{name.removeprefix('at_')}": state for name, state in states.items()}
        run = Run({"each": {0: "a", 2: "c"}}, task_id="each", map_index=1, states=found)
        check_places(run, ItemSource("each", items))

    def test_fails_while_results_stand_for_another_order(self) -> None:
        with pytest.raises(ItemsMovedError) as refusal:
            self.check(("c", "a", "b"), at_0="success", at_1="running", at_2="success")
        assert "[0] is of 'a', where 'c' is now; [2] is of 'c', where 'b' is now" in refusal.value.message

    @pytest.mark.parametrize(
        "other", [None, "scheduled", "queued", "running", "deferred", "failed", "removed"]
    )
    def test_is_done_when_the_others_are_to_be_made_anew(self, other: str | None) -> None:
        self.check(("c", "a", "b"), at_0=other, at_1="running", at_2=other)

    @pytest.mark.parametrize("items", [("a", "b", "c"), ("a", "b", "c", "d"), ("a", "b"), ("a", "x", "c")])
    def test_is_done_when_the_others_keep_their_places(self, items: tuple[str, ...]) -> None:
        self.check(items, at_0="success", at_1="running", at_2="success", at_3=None)

    def test_fails_before_any_call_and_asks_no_more_than_a_run_that_was_cleared(self) -> None:
        operator = PlannedTaskOperator(
            spec=TaskSpec(id="each", name="Each", instruction="Report on {item}."),
            requirement="Do it.",
            item="a",
            items=ItemSource("each", ("c", "a", "b")),
            deferrable=False,
        )
        states = {"each_0": "success", "each_2": "success"}
        run = Run({"each": {0: "a", 2: "c"}}, task_id="each", map_index=1, states=states)
        context: Any = {"params": {}, "ti": run, "dag_run": SimpleNamespace(clear_number=1)}
        with pytest.raises(ItemsMovedError):
            operator.execute(context)
        assert run.pushed[ERROR]["class"] == "ItemsMovedError"
        assert run.pushed[CARD]["line"].startswith("The run's items have changed")


@pytest.mark.parametrize(
    ("items", "breakpoints"),
    [(("a", "b"), 1), (None, 1), (("a",), 0)],
    ids=["two", "only a run knows", "one"],
)
def test_items_that_come_at_once_share_their_beginning_by_the_prompt_cache(
    items: tuple[str, ...] | None, breakpoints: int
) -> None:
    operator = PlannedTaskOperator(
        spec=TaskSpec(id="each", name="Each", instruction="Report on {item}."),
        requirement="Report on all. " * 3_000,
        item="a",
        items=ItemSource("each", items),
    )
    context: Any = {"params": {}, "ti": Run({}, task_id="each", map_index=0), "dag_run": FIRST}
    call = operator.prepare(context, Settings())
    blocks = call.request.messages[0].content
    assert sum("cache_control" in block for block in blocks) == breakpoints


FIRST = SimpleNamespace(clear_number=0)
"""A run that nobody has cleared anything of."""


def found(output: Any) -> Run:
    return Run({}, lists={"discover": {"task": "find", "output": output}})


def test_items_come_from_an_input() -> None:
    operator = ItemsOperator(task_id="x__items", source="services", of_input=True)
    context: Any = {"params": {"services": ["b", "a"]}, "ti": Run({}), "dag_run": FIRST}
    assert operator.execute(context) == ["b", "a"]


def test_items_come_from_a_path_in_an_upstream_tasks_output() -> None:
    operator = ItemsOperator(task_id="x__items", source="discover", of_input=False, path="found.files")
    context: Any = {"params": {}, "ti": found({"found": {"files": ["a.py"]}}), "dag_run": FIRST}
    assert operator.execute(context) == ["a.py"]


@pytest.mark.parametrize(
    ("output", "path", "words"),
    [
        ({"files": ["a", "a"]}, "files", "'a' is there 2 times"),
        ({"files": "a"}, "files", "must be a list"),
        ({"files": [1]}, "files", "must be text"),
        ({"other": []}, "files", "nothing at 'files'"),
        ("text", "files", "nothing at 'files'"),
    ],
)
def test_items_that_can_not_be_used_are_refused_with_the_task_and_the_reason(
    output: Any, path: str, words: str
) -> None:
    operator = ItemsOperator(task_id="x__items", source="discover", of_input=False, path=path)
    ti = found(output)
    with pytest.raises(ItemsError, match="'discover'") as refusal:
        operator.execute({"params": {}, "ti": ti})  # type: ignore[typeddict-item]
    assert words in str(refusal.value)
    assert ti.pushed[ERROR]["class"] == "ItemsError"


def test_no_later_run_takes_over_the_result_of_an_item_that_a_clear_has_taken_out_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CHASSIS__RECORDS_ROOT", str(tmp_path))
    results = Results(open_files(str(tmp_path), what="record store"), Run.dag_id, Run.run_id)
    for task, item in (("each", "a"), ("each", "c"), ("verify", "c"), ("other", "c"), ("plain", None)):
        results.keep("1" * 64, {"task": task, "item": item})
    operator = ItemsOperator(
        task_id="each__items", source="discover", of_input=False, members=("each", "verify")
    )
    context: Any = {"params": {}, "ti": found(["z", "a"]), "dag_run": SimpleNamespace(clear_number=1)}
    assert operator.execute(context) == ["z", "a"]
    left = [(each["task"], each["item"]) for each in results.all()]
    assert left == [("each", "a"), ("other", "c"), ("plain", None)]
