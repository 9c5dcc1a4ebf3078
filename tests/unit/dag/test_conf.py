"""A run that was started with what its DAG doesn't declare fails before any call, and says what was meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chassis.dag.conf import check_conf
from chassis.dag.factory import build_dag
from chassis.dag.fan_out import ItemsOperator
from chassis.dag.planner import planner_dag
from chassis.errors import PlanError
from chassis.settings import Settings
from chassis.workflow import check_plan
from tests.with_each import with_each

PLAN = check_plan(
    {
        "schema_version": 1,
        "id": "add_product",
        "title": "Add a product",
        "requirement": "Add it.",
        "inputs": {
            "product": {"type": "string", "default": "pets"},
            "services": {"type": "array", "default": ["claims"]},
        },
        "tasks": [
            {"id": "each", "name": "Each", "instruction": "Do {item}.", "for_each": {"input": "services"}},
            {"id": "all", "name": "All", "instruction": "Add {product}.", "depends_on": ["each"]},
        ],
    }
)


def started(dag: Any, conf: dict[str, Any] | None, task_id: str, clear_number: int = 0) -> dict[str, Any]:
    """The start of one task of a run; what it left as ``error``."""
    left: dict[str, Any] = {}
    values = {name: dag.params.get_param(name).value for name in dag.params}
    context: Any = {
        "dag": dag,
        "task": dag.get_task(task_id),
        "ti": SimpleNamespace(xcom_push=lambda key, value: left.update({key: value})),
        "dag_run": SimpleNamespace(conf=conf, clear_number=clear_number),
        "params": values | (conf or {}),
    }
    hook = dag.get_task(task_id)._pre_execute_hook
    assert hook is check_conf, "every task that can be the first"
    hook(context)
    return left


@pytest.fixture(scope="module")
def workflow() -> Any:
    return build_dag(PLAN, revision=1, settings=Settings())


@with_each("conf", [None, {}, {"product": "boats", "carry_over_from": "r"}, {"openlineage": {}}])
@with_each("task_id", ["each__items", "each", "all"])
def test_declared_inputs_pass(workflow: Any, conf: dict[str, Any] | None, task_id: str) -> None:
    assert started(workflow, conf, task_id) == {}


@pytest.mark.parametrize("task_id", ["each__items", "each", "all"])
def test_a_misspelt_input_is_refused_with_the_nearest_name(workflow: Any, task_id: str) -> None:
    with pytest.raises(PlanError) as refused:
        started(workflow, {"prodct": "boats", "color": "red"}, task_id)
    text = str(refused.value)
    assert "'prodct' is not an input of add_product; did you mean 'product'?" in text
    assert "'color' is not an input of add_product; there are carry_over_from, product, services" in text
    assert not refused.value.retryable
    policies = {
        task.retry_policy is not None for task in workflow.tasks if not isinstance(task, ItemsOperator)
    }
    assert policies == {True}, "so that what is not retryable is not retried"


def test_once_cleared_a_run_may_go_by_a_plan_that_has_an_input_no_more(workflow: Any) -> None:
    assert started(workflow, {"colour_of_the_sky": "red"}, "all", clear_number=1) == {}
    with pytest.raises(PlanError, match="did you mean 'product'"):
        started(workflow, {"prodct": "boats"}, "all", clear_number=1)


def test_values_that_no_prompt_can_hold_whole_are_refused(workflow: Any) -> None:
    with pytest.raises(PlanError, match="most of them in 'product', and at most 200,000 fit into a prompt"):
        started(workflow, {"product": "x" * 200_001}, "all")


def test_the_planner_refuses_a_misspelt_parameter_and_tells_the_reason() -> None:
    with pytest.raises(
        PlanError, match="'budgt_usd' is not an input of plan_things; did you mean 'budget_usd'"
    ):
        started(planner_dag("plan_things"), {"requirement": "x", "budgt_usd": 5}, "plan")
