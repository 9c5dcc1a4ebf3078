"""A plan that waits for a person: what is parked with the task, and what a reviewer sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.approval_policy import checked_edit
from chassis.contract.xcoms import PendingPlan
from chassis.errors import NotStoredError, PlanError, RecordBrokenError
from chassis.workflow import load_plan, plan_digest
from chassis.workflow.given import with_given_inputs

if TYPE_CHECKING:
    from chassis.estimate import Estimate
    from chassis.plans.refs import PlanRef
    from chassis.records.run_records import RunRecords
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec


class ParkedPlan(BaseModel):
    """A plan that waits for a decision. Airflow keeps it with the parked task, where nobody can edit it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(
        1, description="Of this proposal in the planner's run: each revision is a further one."
    )
    workflow_id: str
    plan: str = Field(description="Canonical YAML.")
    digest: str
    source: str = Field(description="Digest of the plan from the task plan that this one came from.")
    base: int | None = Field(None, description="The workflow's newest revision when it was proposed.")
    comment: str = Field("", description="What a person had asked for that led to it.")
    before: str = Field(
        "", description="Canonical YAML of the proposal that it is the revision of; empty: of none."
    )
    deadline: str = Field("", description="ISO 8601 time until which it waits.")
    asked: int = Field(0, description="How often it was put to a person: once more for each refused answer.")

    def spec(self) -> WorkflowSpec:
        return load_plan(self.plan, source="as proposed")


class KeptPlan:
    """The plan that a task parked with, for a later try of it that nobody cleared.

    If an answer comes within a second of the request, Airflow 3.3 may take the task for killed and try it again (4 of
    15 such answers: the executor reported the end of the first part when the second was queued). Such a try continues
    where the first one was. One after a clear must not: whoever clears an approval wants to be asked again. A clear
    raises the run's ``clear_number`` and what Airflow calls the task's ``max_tries``; a retry leaves both.
    """

    def __init__(self, records: RunRecords, clear_number: int, max_tries: int) -> None:
        self._files = records.files
        self._name = records.paths.pending_plan(clear_number, max_tries)

    def keep(self, plan: ParkedPlan) -> None:
        """Keep this plan in place of an earlier one.

        :raises StoreError: it is unknown whether the plan is kept
        """
        self._files.write(self._name, plan.model_dump_json().encode())

    def get(self) -> ParkedPlan | None:
        """The plan kept last; None if there is none.

        :raises StoreError: the store can't tell
        :raises RecordBrokenError: it was edited by hand
        """
        try:
            return ParkedPlan.model_validate_json(self._files.read(self._name))
        except NotStoredError:
            return None
        except ValueError:
            raise RecordBrokenError(
                f"{self._files.locate(self._name)} is no proposal: it was edited by hand.", hint="Remove it."
            ) from None


class LatestRevision:
    """The newest revision of a workflow, to compare a plan with. Reads the plan store.

    :ivar number: None if there is no such workflow
    """

    def __init__(self, workflow_id: str, settings: Settings) -> None:
        from chassis.plans.store import PlanStore

        self._store = PlanStore(settings.plans_root, settings.storage_conn_id)
        revisions = self._store.revisions(workflow_id)
        self._ref: PlanRef | None = revisions[-1] if revisions else None
        self.number = None if self._ref is None else self._ref.revision

    def spec(self) -> WorkflowSpec | None:
        """Its plan; None if there is none that can be read, and so nothing to compare with."""
        try:
            return None if self._ref is None else self._store.read(self._ref)
        except PlanError:
            return None

    def is_plan(self, spec: WorkflowSpec) -> bool:
        """Whether publishing the plan would change only whether it needs approval: nobody approves that."""
        head = self.spec()
        if self._ref is None or self._ref.retired or head is None:
            return False
        return plan_digest(spec.model_copy(update={"approve": head.approve})) == plan_digest(head)


def edited_plan(text: str, parked: ParkedPlan, settings: Settings) -> WorkflowSpec:
    """The plan that a person wrote in place of a proposed one, with the provenance of its agents.

    :raises PlanError: lists all faults
    """
    from chassis.deployment import Deployment

    deployment = Deployment.read(settings)
    workers = deployment.agents
    spec = checked_edit(
        text, agents=workers, services=deployment.catalogue.names, workflow_id=parked.workflow_id
    )
    deployment.require(spec, subject="The plan as edited")
    before = parked.spec()
    spec, provenance = with_given_inputs(spec, before), before.provenance
    if provenance is not None:
        used = {name: workers[name].digest for name in sorted({task.agent for task in spec.tasks})}
        provenance = provenance.model_copy(update={"agents": used})
    return spec.model_copy(update={"provenance": provenance})


def estimate_of(spec: WorkflowSpec, settings: Settings) -> Estimate:
    """What a run of the plan will take, with this deployment's agents, catalogue and connection."""
    from chassis.agents import load_agents
    from chassis.catalogue import load_catalogue
    from chassis.claude.connection_options import connection_options
    from chassis.estimate import estimate_plan

    return estimate_plan(
        spec,
        agents=load_agents(settings.agents_folder),
        settings=settings,
        catalogue=load_catalogue(settings.services_file),
        options=connection_options(settings.conn_id),
    )


def as_shown(
    parked: ParkedPlan, latest: LatestRevision, settings: Settings, *, refused: str
) -> dict[str, Any]:
    """What a reviewer sees: a ``PendingPlan``, as JSON.

    :param refused: why the last answer was not carried out; empty if none was refused
    """
    from chassis.workflow.plan_changes import plan_changes

    spec = parked.spec()
    shown = PendingPlan(
        **parked.model_dump(include={"number", "asked", "workflow_id", "plan", "digest", "comment"}),
        title=spec.title,
        before=parked.before or None,
        changes=plan_changes(latest.spec(), spec).model_dump(mode="json"),
        estimate=estimate_of(spec, settings).model_dump(mode="json"),
        base_revision=parked.base,
        deadline=parked.deadline or None,
        refused=refused,
    )
    return shown.document()
