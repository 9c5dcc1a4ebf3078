"""What a run was started with, held against what its DAG declares: before any call is made.

Airflow checks the values of a DAG's params when a run is triggered, and lets any other key of the ``conf`` pass. A
misspelt input would leave its default in place, and the run would do something else than was asked for, in silence.
Airflow has no place where a DAG could refuse it at the trigger, so each task does when it starts. Hand-written DAGs
are their authors' matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from chassis.dag.reporting import card_on_error, reported
from chassis.errors import PlanError, PlanFault
from chassis.settings import Settings
from chassis.workflow import CARRY_OVER
from chassis.workflow.given import size_fault
from chassis.workflow.names import nearest, shown, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import BaseOperator, Context

_OF_AIRFLOW = frozenset({"openlineage"})
"""Keys that Airflow's TriggerDagRunOperator adds to a conf."""


# Airflow puts this function's text, docstring included, into every serialised DAG: another letter in it makes a new
# version of each workflow.
def check_conf(context: Context) -> None:
    """Refuse a run with a name that its DAG doesn't declare, or with inputs that no prompt can hold.

    A ``pre_execute`` hook of the tasks of plans and planners. Once something was cleared, the run may go by another
    plan, which needn't have all inputs of the first: then only a name that is nearly another's is refused.

    :raises PlanError: lists what is wrong; it leaves the task's XCom ``error``
    """
    task = cast("BaseOperator", context["task"])  # An instance of a mapped task is unmapped by now.
    with reported(task, context), card_on_error(context):
        faults = list(_faults(context))
        if faults:
            raise PlanError(
                faults, subject="What this run was started with", hint="Start a run with the right inputs."
            )


def _faults(context: Context) -> Iterator[PlanFault]:
    dag_run, params = context["dag_run"], context["params"]
    declared = context["dag"].params
    conf = dag_run.conf or {}
    for name in conf:
        if name in declared or name in _OF_AIRFLOW:
            continue
        others = [each for each in declared if each not in conf]
        if not dag_run.clear_number or nearest(name, others):
            message = f"{shown(name)} is not an input of {context['dag'].dag_id}{suggestion(name, others)}"
            yield PlanFault("unknown_input", "conf", message)
    values: dict[str, Any] = {name: params[name] for name in declared if name != CARRY_OVER}
    if wrong := size_fault(values, Settings.load().context_chars):
        yield PlanFault("too_long", "conf", wrong)
