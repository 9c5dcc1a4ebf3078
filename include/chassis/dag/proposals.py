"""A plan as it is proposed to a person: with what it changes, what it will take, and what came before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.workflow import load_plan

if TYPE_CHECKING:
    from chassis.estimate import Estimate
    from chassis.plans.refs import PlanRef
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec

PROPOSAL_KEY = "proposal"
"""XCom key under which ``approve`` leaves the plan that it asks about; see :func:`proposal_document`."""


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
    deadline: str = Field("", description="ISO 8601 time until which it waits.")
    asked: int = Field(0, description="How often it was put to a person: once more for each refused answer.")

    def spec(self) -> WorkflowSpec:
        """The plan itself."""
        return load_plan(self.plan, source="as proposed")


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
        from chassis.errors import PlanError

        try:
            return None if self.ref is None else self._store.read(self.ref)
        except PlanError:
            return None

    def is_plan(self, digest: str) -> bool:
        """Whether publishing the plan with that digest would change nothing."""
        from chassis.workflow import plan_digest

        if self.ref is None or self.ref.retired or not digest.startswith(self.ref.digest12):
            return False
        spec = self.spec()
        return spec is not None and plan_digest(spec) == digest


def estimate_of(spec: WorkflowSpec, settings: Settings) -> Estimate:
    """What a run of the plan will take, by this deployment's agents, catalogue and connection."""
    from chassis.agents import load_agents
    from chassis.catalogue import load_catalogue
    from chassis.claude.options import connection_model
    from chassis.estimate import estimate_plan

    return estimate_plan(
        spec,
        agents=load_agents(settings.agents_folder),
        settings=settings,
        catalogue=load_catalogue(settings.services_file),
        model=connection_model(settings.conn_id),
    )


def proposal_document(
    proposal: Proposal, newest: Newest, settings: Settings, *, refused: str
) -> dict[str, Any]:
    """What a reviewer is shown, as JSON: the XCom :data:`PROPOSAL_KEY`, for the page and the command line.

    ``number``, ``asked``, ``workflow_id``, ``plan`` (YAML), ``digest``, ``title``, ``by``, ``comment`` (what had been
    asked for), ``changes`` (``PlanChanges``), ``estimate`` (``Estimate``), ``base_revision`` (that the changes are
    from; None: there is none), ``deadline`` and ``refused`` (why the last answer was).

    :param newest: of the workflow
    """
    from chassis.workflow.changes import plan_changes

    spec = proposal.spec()
    return {
        "number": proposal.number,
        "asked": proposal.asked,
        "workflow_id": proposal.workflow_id,
        "plan": proposal.plan,
        "digest": proposal.digest,
        "title": spec.title,
        "by": "claude",
        "comment": proposal.comment,
        "changes": plan_changes(newest.spec(), spec).model_dump(mode="json"),
        "estimate": estimate_of(spec, settings).model_dump(mode="json"),
        "base_revision": proposal.base,
        "deadline": proposal.deadline or None,
        "refused": refused,
    }
