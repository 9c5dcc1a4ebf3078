"""The planner's DAG: takes a requirement, publishes a workflow and starts its first run.

``plan`` asks Claude for a plan, ``approve`` waits for a person if the policy requires it, ``publish`` stores the
approved plan as the workflow's next revision (or finds that nothing changed), ``await_dag`` waits until Airflow runs
exactly that plan, and ``trigger`` starts the workflow and links to it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException

from chassis.approval_policy import Approve, plan_code
from chassis.contract.names import (
    ACTION_RUN,
    APPROVE,
    AWAIT,
    ERROR_TAG,
    PLAN,
    PUBLISH,
    TAG,
    TRIGGER,
    digest_tag,
    started_run,
)
from chassis.contract.xcoms import ApprovedPlan, CheckedPlan, PublishedPlan
from chassis.dag.approval import ApprovePlanOperator
from chassis.dag.conf import check_conf
from chassis.dag.planner_form import planner_form
from chassis.dag.planning_request import PlanOperator, refuse_paused
from chassis.dag.reporting import reported
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.errors import ChassisError, NotApprovedError
from chassis.settings import Settings
from chassis.workflow import CARRY_OVER, load_plan, plan_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from airflow.sdk.bases.notifier import BaseNotifier

    from chassis.workflow import WorkflowSpec

_TRIES_TO_LOSE = 20

Left = TypeVar("Left", CheckedPlan, ApprovedPlan, PublishedPlan)


def planner_dag(
    dag_id: str,
    *,
    requirement: str | None = None,
    workflow_id: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    schedule: Any = None,
    approve: Approve | None = None,
    approve_over_usd: float | None = None,
    approvers: Sequence[str] | None = None,
    approval_timeout_hours: float | None = None,
    notifiers: Sequence[BaseNotifier] = (),
    **dag_arguments: Any,
) -> DAG:
    """A DAG that plans a requirement, publishes the plan and runs it.

    The arguments become the defaults of the trigger form. A DAG with a ``schedule`` needs a requirement.

    :param dag_id: id of the planner DAG itself
    :param requirement: what to do, in plain words; None makes it a required field of the form
    :param workflow_id: id of the workflow to publish; None lets the planner choose it. Set it for a recurring
        planner, so that each plan becomes the next revision of one workflow
    :param inputs: values for the plan's inputs
    :param schedule: when the planner itself runs: any schedule that Airflow's DAG accepts
    :param approve: when a person must approve a plan: "always", "changed" (unless it is the workflow's newest
        revision) or "never"; None uses the setting. A run can only demand more
    :param approve_over_usd: plans estimated at up to this many dollars need no approval; None uses the setting
    :param approvers: ids of the users who may decide; None uses the setting
    :param approval_timeout_hours: how long a plan waits for a decision; None uses the setting
    :param notifiers: Airflow notifiers, called each time a plan waits for a decision
    :param dag_arguments: further arguments for Airflow's DAG
    """
    settings = Settings.load()
    given = {"requirement": requirement, "workflow_id": workflow_id, "inputs": dict(inputs or {})}
    arguments: dict[str, Any] = {
        "description": "Turns a requirement into a plan, and the plan into a workflow that runs.",
        "doc_md": __doc__,
        "catchup": False,
        "tags": [TAG, "planner"],
        "is_paused_upon_creation": False,
        "default_args": {
            "retries": settings.task_retries,
            "retry_delay": timedelta(seconds=settings.retry_delay_seconds),
            "retry_exponential_backoff": 2,
            "retry_policy": ClaudeRetryPolicy(),
        },
    }
    with DAG(
        dag_id=dag_id, schedule=schedule, params=planner_form(given), **arguments | dag_arguments
    ) as dag:
        plan = PlanOperator(
            task_id=PLAN,
            task_display_name="Plan with Claude",
            pre_execute=check_conf,
            pool=settings.pool,
            execution_timeout=timedelta(minutes=settings.task_timeout_minutes),
        )
        agree = ApprovePlanOperator(
            task_id=APPROVE,
            task_display_name="Approve the plan",
            # Airflow loses a try to each answer that comes too soon; see KeptPlan. A fault in a plan or in the
            # settings is final at once all the same.
            retries=_TRIES_TO_LOSE,
            retry_delay=timedelta(seconds=1),
            retry_exponential_backoff=0,
            approve=approve,
            approve_over_usd=approve_over_usd,
            approvers=approvers,
            timeout_hours=approval_timeout_hours,
            notifiers=notifiers,
        )
        publish = PublishOperator(task_id=PUBLISH, task_display_name="Publish the plan")
        await_dag = AwaitWorkflowSensor(task_id=AWAIT, task_display_name="Wait for the workflow")
        trigger = TriggerWorkflowOperator(task_id=TRIGGER, task_display_name="Run the workflow")
        plan >> agree >> publish >> await_dag >> trigger
    return dag


class PublishOperator(BaseOperator):
    """Stores only the approved plan. The XCom is a ``PublishedPlan``."""

    def execute(self, context: Context) -> dict[str, Any]:
        from chassis.deployment import Deployment
        from chassis.plans.store import PlanStore, newest_plan
        from chassis.workflow.plan_changes import told_changes

        settings = Settings.load()
        with reported(self, context):
            spec = self._approved(context, settings)
            deployment = Deployment.read(settings)
            deployment.require(spec, hint="Clear the task plan to plan again.")
            warnings = tuple(map(str, deployment.warnings(spec)))
            store = PlanStore(settings.plans_root, settings.storage_conn_id)
            changes = told_changes(newest_plan(store, spec.id), spec)
            stored = store.publish(spec)
        published = PublishedPlan(
            workflow_id=stored.workflow_id,
            revision=stored.revision,
            digest=stored.digest,
            changed=stored.changed,
            changes=tuple(changes),
            warnings=warnings,
        )
        state = "published" if published.changed else "already the newest revision"
        self.log.info("Workflow %s, revision %d: %s.", published.workflow_id, published.revision, state)
        for line in published.changes:
            self.log.info("%s", line)
        for line in published.warnings:
            self.log.warning("%s", line)
        return published.document()

    def _approved(self, context: Context, settings: Settings) -> WorkflowSpec:
        """The plan of the task ``approve``, checked against the log of decisions: an XCom can be edited.

        :raises NotApprovedError: it isn't the plan that was decided on last
        """
        from chassis.records.run_records import RunRecords

        ti = context["ti"]
        approved = _left(context, APPROVE, ApprovedPlan)
        spec = load_plan(approved.plan, source="as approved")
        settled = RunRecords.open(settings, ti.dag_id, ti.run_id).decisions.settled()
        if not plan_digest(spec) == approved.digest == settled:
            raise NotApprovedError(
                f"The task approve has left plan {plan_code(plan_digest(spec))} of workflow '{spec.id}', and that is "
                "not what was decided last."
            )
        return spec


class AwaitWorkflowSensor(BaseSensorOperator):
    """Waits until Airflow has built the workflow's DAG from the published plan."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(poke_interval=1, timeout=300, mode="poke", **kwargs)

    def poke(self, context: Context) -> bool:
        with reported(self, context):
            published = _left(context, PUBLISH, PublishedPlan)
            workflow_id = published.workflow_id
            try:
                dag = context["ti"].get_dag(workflow_id)
            except AirflowRuntimeError as error:
                self.log.info("Airflow doesn't know workflow %s yet (%s).", workflow_id, error.error.error)
                return False
            if ERROR_TAG in dag.tags:
                raise ChassisError(
                    f"Airflow can't build the plan of workflow '{workflow_id}'.",
                    hint="Its page in Airflow gives the reason.",
                )
            return self._is_next(published, dag.bundle_version) and digest_tag(published.digest) in dag.tags

    def _is_next(self, published: PublishedPlan, bundle_version: str | None) -> bool:
        """Whether a run that starts now is pinned to the published plan.

        Airflow stores a DAG and its runs' bundle version separately: between a refresh and the next parse, the new
        graph can stand beside the old version. Without PlanBundle there is no version, and nothing is pinned.

        :raises ChassisError: another planner has published a later revision meanwhile
        """
        from chassis.plans.store import PlanStore

        settings = Settings.load()
        store = PlanStore(settings.plans_root, settings.storage_conn_id)
        workflow_id, revision = published.workflow_id, published.revision
        pinned = (
            store.version_heads(bundle_version).get(workflow_id) if bundle_version else store.get(workflow_id)
        )
        if pinned is not None and pinned.revision > revision:
            raise ChassisError(
                f"Revision {revision} of workflow '{workflow_id}' was followed by revision {pinned.revision} "
                "before it could run.",
                hint="Run the workflow itself, or plan again.",
            )
        return pinned is not None and pinned.revision == revision


class TriggerWorkflowOperator(TriggerDagRunOperator):
    """Starts the published workflow's run and links to it; a retry finds the run that it had started.

    No field is a template: the workflow's id and the inputs come from the plan and the person.
    """

    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trigger_dag_id="", skip_when_already_exists=True, **kwargs)

    def execute(self, context: Context) -> None:
        if context["params"]["action"] != ACTION_RUN:
            raise AirflowSkipException("The plan is published; a run was not asked for.")
        with reported(self, context):
            self.trigger_dag_id = _left(context, PUBLISH, PublishedPlan).workflow_id
            refuse_paused(context, self.trigger_dag_id)
            self.trigger_run_id = started_run(context["run_id"])
            self.conf = given_inputs(context)
            if source := _left(context, PLAN, CheckedPlan).continues:
                self.conf[CARRY_OVER] = source
        super().execute(context)


def given_inputs(context: Context) -> dict[str, Any]:
    """The inputs that the person gave to the planner, with the approved plan's values, which may have been edited."""
    inputs = load_plan(_left(context, APPROVE, ApprovedPlan).plan, source="as approved").inputs
    given = {name: inputs[name].default for name in context["params"]["inputs"] or () if name in inputs}
    return {name: value for name, value in given.items() if value is not None}


def _left(context: Context, task_id: str, kind: type[Left]) -> Left:
    """What a task of this run has left.

    :raises ChassisError: there is nothing of that kind
    """
    if (left := kind.of(context["ti"].xcom_pull(task_ids=task_id, map_indexes=-1))) is None:
        raise ChassisError(f"The task {task_id} has left no plan.", hint="Clear it, with what follows.")
    return left
