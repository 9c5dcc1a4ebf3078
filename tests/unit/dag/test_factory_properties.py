"""Any plan that keeps the rules becomes a DAG: the same from the plan and from its text, and with ids that stay ids."""

from __future__ import annotations

import json
import re
from typing import Any

from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chassis.dag.factory import build_dag
from chassis.errors import PlanError
from chassis.settings import Settings
from chassis.workflow import WorkflowSpec, check_plan, dump_plan, load_plan
from tests.unit.workflow.strategies import plans

SETTINGS = Settings()
ID = re.compile(r"[a-z][a-z0-9_]{0,99}(__each|__items)?")

few = settings(max_examples=25, deadline=None)


def serialised(spec: WorkflowSpec) -> Any:
    """The DAG as Airflow stores it: what makes a new version of it when it changes."""
    return json.loads(json.dumps(DagSerialization.to_dict(build_dag(spec, revision=1, settings=SETTINGS))))


@few
@given(plans())
def test_a_plan_and_its_text_give_the_same_dag(plan: WorkflowSpec) -> None:
    stored = serialised(plan)
    assert serialised(load_plan(dump_plan(plan))) == stored
    DagSerialization.from_dict(stored)


@few
@given(plans())
def test_every_id_in_a_dag_is_an_id_of_the_plan_or_one_with_chassis_mark(plan: WorkflowSpec) -> None:
    dag = build_dag(plan, revision=1, settings=SETTINGS)
    groups = [name for name in dag.task_group.get_task_group_dict() if name]
    assert dag.dag_id == plan.id
    assert all(ID.fullmatch(name) for name in [dag.dag_id, *dag.task_ids, *groups, *dag.params])
    own = {task.id for task in plan.tasks}
    assert own <= set(dag.task_ids)
    assert all("__" in name for name in [*groups, *(set(dag.task_ids) - own)])


field = st.from_regex(
    r"[0-9]{1,3}|\*|\*/[0-9]{1,3}|[0-9]{1,2}-[0-9]{1,2}(,[0-9]{1,2})?|[LlW#?]{1,2}|[a-z]{3}", fullmatch=True
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.just("*"), field), min_size=5, max_size=5).map(" ".join))
@example("0 0 L * *")
@example("0 0 29 2 *")
@example("59-0 * * * *")
@example("*/99999999999 * * * *")
@example("0 0 * * 1#5")
def test_a_cron_is_refused_or_is_one_that_airflow_runs_by(cron: str) -> None:
    data = {"schema_version": 1, "id": "w", "title": "W", "requirement": "R", "schedule": {"cron": cron}}
    try:
        plan = check_plan(data | {"tasks": [{"id": "a", "name": "A", "instruction": "I"}]})
    except PlanError:
        return  # Most crons made up like this are refused, which is right as well.
    dag = DagSerialization.from_dict(serialised(plan))
    assert dag.next_dagrun_info(last_automated_run_info=None) is not None
