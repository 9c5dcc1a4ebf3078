"""Order, cycles, levels and groups, against plain definitions of what they are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import PlanError
from chassis.workflow import ForEach, TaskGraph, TaskSpec
from chassis.workflow.graph import find_cycles, in_order, reachable

NODES = "abcdefgh"


def task(task_id: str, *waits_for: str, for_each: ForEach | None = None) -> TaskSpec:
    return TaskSpec(id=task_id, name=task_id, instruction="Do it.", depends_on=waits_for, for_each=for_each)


def waits_for(edges: set[tuple[str, str]]) -> dict[str, list[str]]:
    """Edges lead from a task to one that waits for it."""
    return {name: sorted(up for up, down in edges if down == name) for name in NODES}


graphs = st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=14).map(waits_for)
acyclic = st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=16).map(
    lambda edges: waits_for({(up, down) for up, down in edges if up < down})
)


def has_cycle(graph: dict[str, list[str]]) -> bool:
    """By the definition: some node reaches itself."""
    return any(name in reachable(graph, name) for name in graph)


@given(graphs)
def test_a_cycle_is_found_if_and_only_if_there_is_one(graph: dict[str, list[str]]) -> None:
    assert bool(find_cycles(graph)) == has_cycle(graph)


@given(graphs)
def test_a_cycle_is_a_path_along_edges_that_ends_where_it_began(graph: dict[str, list[str]]) -> None:
    found = find_cycles(graph)
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(cycle) == len(set(cycle)) + 1, "no node is passed twice"
        assert all(up in graph[down] for up, down in pairwise(cycle))
    nodes = [name for cycle in found for name in cycle[1:]]
    assert len(nodes) == len(set(nodes)), "no node is in two of the cycles"


@given(graphs)
def test_the_order_has_exactly_what_no_cycle_holds_up(graph: dict[str, list[str]]) -> None:
    held_up = {name for name in graph if any(up in reachable(graph, up) for up in reachable(graph, name))}
    assert set(in_order(graph)) == set(graph) - held_up - {n for n in graph if n in reachable(graph, n)}


@given(acyclic, st.permutations(NODES))
def test_the_order_respects_every_edge(graph: dict[str, list[str]], listed: list[str]) -> None:
    order = TaskGraph([task(name, *graph[name]) for name in listed]).order
    assert sorted(order) == sorted(NODES)
    assert all(order.index(up) < order.index(name) for name in NODES for up in graph[name])


@given(acyclic)
def test_a_level_is_the_length_of_the_longest_way_to_a_task(graph: dict[str, list[str]]) -> None:
    found = TaskGraph([task(name, *graph[name]) for name in NODES])
    level = {name: depth for depth, names in enumerate(found.levels) for name in names}
    assert all(level[name] == max((level[up] + 1 for up in graph[name]), default=0) for name in NODES)


@given(acyclic)
def test_the_critical_path_is_a_chain_as_long_as_there_are_levels(graph: dict[str, list[str]]) -> None:
    found = TaskGraph([task(name, *graph[name]) for name in NODES])
    assert len(found.critical_path) == len(found.levels)
    assert all(up in graph[down] for up, down in pairwise(found.critical_path))


def test_tasks_that_could_be_next_keep_the_order_of_the_plan() -> None:
    tasks = [task("z"), task("m", "z"), task("a"), task("b", "a"), task("y", "z")]
    assert TaskGraph(tasks).order == ("z", "m", "a", "b", "y")


def test_a_graph_without_tasks_is_empty() -> None:
    graph = TaskGraph([])
    assert (graph.order, graph.levels, graph.critical_path, graph.groups) == ((), (), (), {})


def test_tasks_that_share_their_items_form_a_group_by_the_task_that_has_them() -> None:
    graph = TaskGraph(
        [
            task("join", "verify"),
            task("verify", "check", for_each=ForEach(same_as="build")),
            task("check", "build", for_each=ForEach(same_as="build")),
            task("build", for_each=ForEach(items=("x", "y"))),
            task("alone", for_each=ForEach(items=("x",))),
        ]
    )
    assert graph.groups == {"build": ("build", "check", "verify"), "alone": ("alone",)}
    assert [graph.group_of(name) for name in ("verify", "build", "alone", "join")] == [
        "build",
        "build",
        "alone",
        None,
    ]


def test_items_come_from_where_the_first_task_of_the_group_says() -> None:
    sources = {"listed": ForEach(items=("x", "y")), "given": ForEach(input="files")}
    sources["found"] = ForEach(output_of="plain", path="a.b")
    tasks = [task("plain"), *(task(root, for_each=source) for root, source in sources.items())]
    graph = TaskGraph([*tasks, *(task(f"{root}_next", for_each=ForEach(same_as=root)) for root in sources)])
    inputs = {"files": ["p", "q"]}
    assert graph.items("plain") is None
    for root in sources:
        assert graph.items(root) == graph.items(f"{root}_next")
    listed, given, found = (source for root in sources if (source := graph.items(root)) is not None)
    assert [each.known(inputs) for each in (listed, given, found)] == [("x", "y"), ("p", "q"), None]
    assert given.known({}) is None
    assert [listed.at(index) for index in (-1, 0, 1, 2)] == [None, "x", "y", None]
    assert given.at(0) is None, "another run may be given other items"
    assert [each.finder for each in (listed, given, found)] == [None, "given__items", "found__items"]
    assert (found.output_of, found.path) == ("plain", "a.b")


def test_a_graph_of_tasks_in_a_cycle_is_refused_with_the_cycle() -> None:
    with pytest.raises(PlanError, match="is in a cycle: a -> b -> a"):
        TaskGraph([task("a", "b"), task("b", "a")])


def test_a_graph_with_a_dependency_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PlanError, match="task 'a': depends on 'x', which does not exist"):
        TaskGraph([task("a", "x")])


def test_a_thousand_tasks_in_a_chain_are_no_problem() -> None:
    chain = TaskGraph([task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 1000))])
    assert len(chain.critical_path) == 1000
