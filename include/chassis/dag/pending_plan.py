"""A plan as it is proposed to a person: with what it changes, what it will take, and what came before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.approval_policy import checked_edit
from chassis.contract.record_paths import RunPaths
from chassis.contract.xcoms import Agreement, ApprovedPlan, PendingPlan
from chassis.errors import NotStoredError, PlanError, RecordBrokenError
from chassis.workflow import dump_plan, load_plan, plan_digest
from chassis.workflow.given import with_given_inputs

if TYPE_CHECKING:
    from chassis.estimate import Estimate
    from chassis.files import Files
    from chassis.plans.refs import PlanRef
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec


class Proposal(BaseModel):
    """A plan that waits for a decision. Airflow keeps it with the parked task, where nobody can edit it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(
        1, description="Of this proposal in the planner's run: each revision is a further one."
    )
    workflow_id: str
    plan: str = Field(description="Canonical YAML.")
    digest: str
    source: str = Field(
        description="Digest of the plan that the task plan had returned, which this one came from."
    )
    base: int | None = Field(None, description="The workflow's newest revision when it was proposed.")
    comment: str = Field("", description="What a person had asked for that led to it.")
    before: str = Field(
        "", description="Canonical YAML of the proposal that it is the revision of; empty: of none."
    )
    deadline: str = Field("", description="ISO 8601 time until which it waits.")
    asked: int = Field(0, description="How often it was put to a person: once more for each refused answer.")

    def spec(self) -> WorkflowSpec:
        """The plan itself."""
        return load_plan(self.plan, source="as proposed")


class KeptProposal:
    """The proposal that a task has parked with, for a further try of it that nobody cleared.

    An answer that comes within a second of the request can make Airflow 3.3 take the task for killed and try it again
    (4 of 15 such answers: the executor told of the end of the first part when the second was queued). Such a try goes
    on where the first one was. One after a clear must not: whoever clears an approval wants to be asked anew. A clear
    raises the run's ``clear_number`` and what Airflow calls the task's ``max_tries``; a retry leaves both.

    :param files: the record store
    """

    def __init__(self, files: Files, ti: Any, clear_number: int) -> None:
        self._files = files
        self._name = RunPaths(ti.dag_id, ti.run_id).pending_plan(clear_number, ti.max_tries)

    def keep(self, proposal: Proposal) -> None:
        """Have it be the one.

        :raises StoreError: it is unknown whether it is kept
        """
        self._files.write(self._name, proposal.model_dump_json().encode())

    def get(self) -> Proposal | None:
        """The one that was kept last; None if there is none.

        :raises StoreError: it can't be told
        :raises RecordBrokenError: it was edited by hand
        """
        try:
            return Proposal.model_validate_json(self._files.read(self._name))
        except NotStoredError:
            return None
        except ValueError:
            raise RecordBrokenError(
                f"{self._files.locate(self._name)} is no proposal: it was edited by hand.", hint="Remove it."
            ) from None


class Newest:
    """The newest revision of a workflow, as a plan is compared with it. Reads the plan store.

    :ivar ref: None when there is no such workflow
    """

    def __init__(self, workflow_id: str, settings: Settings) -> None:
        from chassis.plans.store import PlanStore

        self._store = PlanStore(settings.plans_root, settings.storage_conn_id)
        revisions = self._store.revisions(workflow_id)
        self.ref: PlanRef | None = revisions[-1] if revisions else None

    @property
    def number(self) -> int | None:
        """Its number."""
        return None if self.ref is None else self.ref.revision

    def spec(self) -> WorkflowSpec | None:
        """Its plan; None when there is none that can be read: then there is nothing to compare with."""
        try:
            return None if self.ref is None else self._store.read(self.ref)
        except PlanError:
            return None

    def is_plan(self, digest: str) -> bool:
        """Whether publishing the plan with that digest would change nothing."""
        if self.ref is None or self.ref.retired or not digest.startswith(self.ref.digest12):
            return False
        spec = self.spec()
        return spec is not None and plan_digest(spec) == digest


def edited_plan(text: str, proposal: Proposal, settings: Settings) -> WorkflowSpec:
    """The plan that a person wrote in place of a proposal, with the provenance of the agents that it uses.

    :raises PlanError: lists all faults
    """
    from chassis.deployment import Deployment

    deployment = Deployment.read(settings)
    workers, services = deployment.agents, deployment.catalogue.names
    spec = checked_edit(text, agents=workers, services=services, workflow_id=proposal.workflow_id)
    deployment.require(spec, subject="The plan as edited")
    before = proposal.spec()
    spec, provenance = with_given_inputs(spec, before), before.provenance
    if provenance is not None:
        used = sorted({task.agent for task in spec.tasks})
        provenance = provenance.model_copy(update={"agents": {name: workers[name].digest for name in used}})
    return spec.model_copy(update={"provenance": provenance})


def estimate_of(spec: WorkflowSpec, settings: Settings) -> Estimate:
    """What a run of the plan will take, by this deployment's agents, catalogue and connection."""
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


def proposal_document(
    proposal: Proposal, newest: Newest, settings: Settings, *, refused: str
) -> dict[str, Any]:
    """The plan as a reviewer is shown it: a ``PendingPlan`` as JSON.

    :param newest: of the workflow
    """
    from chassis.workflow.plan_changes import plan_changes

    spec = proposal.spec()
    return PendingPlan(
        number=proposal.number,
        asked=proposal.asked,
        workflow_id=proposal.workflow_id,
        plan=proposal.plan,
        digest=proposal.digest,
        title=spec.title,
        comment=proposal.comment,
        before=proposal.before or None,
        changes=plan_changes(newest.spec(), spec).model_dump(mode="json"),
        estimate=estimate_of(spec, settings).model_dump(mode="json"),
        base_revision=proposal.base,
        deadline=proposal.deadline or None,
        refused=refused,
    ).document()


def let_through(spec: WorkflowSpec, decision: Agreement) -> dict[str, Any]:
    """What the task ``approve`` returns: the plan that may be published, and why."""
    digest = plan_digest(spec)
    return ApprovedPlan(
        workflow_id=spec.id, plan=dump_plan(spec), digest=digest, decision=decision
    ).document()
