"""What tasks leave in Airflow as XComs, each with its type. ``contract.names`` has the keys.

Anyone who may edit XComs may have replaced one: ``of`` returns None for what isn't of its kind. A type ignores keys
that it doesn't know, so it can read what a later version wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.contract.usage import Usage
from chassis.errors import ChassisError, restore_error
from chassis.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chassis.contract.spending import Spending

_LONGEST_LINE = 200


class _Left(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """The content of an XCom; None if it isn't of this kind."""
        if not isinstance(value, dict):
            return None
        try:
            return cls.model_validate(value)
        except ValidationError:
            return None

    def document(self) -> dict[str, Any]:
        """The XCom, as JSON."""
        return self.model_dump(mode="json", by_alias=True)


class TaskResult(_Left):
    """What a Claude task returned: its XCom, which is this as a dict."""

    task: str = Field(description="Id of the task.")
    item: str | None = Field(None, description="Item of a mapped task.")
    status: Literal["completed"] = "completed"
    summary: str = Field(description="The result in a sentence or two.")
    output: Any = Field(description="Markdown, or JSON by the task's output_schema.")
    usage: Usage
    cost_usd: float | None = Field(
        None, description="List price of the usage; None when the model's price isn't known."
    )
    model: str = Field(description="The model that answered, by its own name for itself.")
    request_ids: tuple[str, ...]
    simulated: bool = Field(False, description="Whether the simulator answered instead of Claude.")
    fingerprint: str = Field(
        "", description="Digest of all that the task was told; the same one means the same work."
    )
    carried_from: str = Field(
        "", description="Run whose result this is: the task was told the same there. Empty: it was done here."
    )
    amendment: int | None = Field(
        None,
        description="Number of the run's last amendment that the task went by; None: it went by the plan.",
    )


class Card(_Left):
    """A few words and figures of a task, so that a refresh of a board reads no results. Spending includes all tries."""

    line: str = Field(description="The start of the result's summary, or of the error.")
    usd: float | None = Field(None, description="Spent by the task; None when no price is known.")
    tokens: int = 0
    calls: int = 0
    run_usd: float | None = Field(None, description="Spent by the run until then; None when nobody can tell.")
    run_tokens: int | None = None
    budget_usd: float | None = Field(None, description="What the run may spend; None for no limit.")
    simulated: bool = False
    carried_from: str = ""
    amendment: int | None = None
    item: str | None = None
    map_index: int = Field(
        -1, description="Place among the items: with item it tells what the place was done for."
    )

    @classmethod
    def made(
        cls,
        *,
        result: Mapping[str, Any] | None = None,
        error: ChassisError | None = None,
        spending: Spending | None = None,
        map_index: int = -1,
    ) -> Self:
        """The card of a task that ends.

        :param result: the task's return value
        :param spending: None for a task that made no call
        """
        result = result or {}
        said = str(
            error.message if error is not None else result.get("summary", result.get("workflow_id", ""))
        )
        spent: dict[str, Any] = {"usd": 0.0}
        if spending is not None:
            spent = {
                "usd": spending.task.known_usd,
                "tokens": spending.task.usage.tokens,
                "calls": spending.task.calls,
                "run_usd": spending.run.known_usd,
                "run_tokens": spending.run.usage.tokens,
                "budget_usd": spending.limit_usd,
            }
        return cls(
            **spent,
            line=one_line(said.strip().partition("\n")[0], _LONGEST_LINE),
            simulated=bool((spending and spending.task.simulated_calls) or result.get("simulated")),
            carried_from=str(result.get("carried_from") or ""),
            amendment=result.get("amendment"),
            item=result.get("item"),
            map_index=map_index,
        )


class TaskError(_Left):
    """Why a task failed. Holds ``ChassisError.describe()``; these fields are in every error."""

    kind: str = Field(alias="class", description="Name of the error's class.")
    message: str = Field(description="What happened, and what follows.")
    hint: str = Field("", description="What to do next; may be empty.")
    request_id: str = Field("", description="AWS's id of the call that failed; may be empty.")

    @classmethod
    def of(cls, value: Any) -> Self | None:
        described = isinstance(value, dict) and isinstance(value.get("class"), str)
        return cls.made(restore_error(value)) if described else None

    @classmethod
    def made(cls, error: ChassisError) -> Self:
        """An error as its readers see it."""
        return cls(
            kind=type(error).__name__,
            message=error.message.rstrip(),
            hint=error.hint,
            request_id=str(getattr(error, "request_id", "")),
        )


class CheckedPlan(_Left):
    """What the planner's task ``plan`` returned: a plan that can run, but that nobody has approved."""

    workflow_id: str
    plan: str = Field(description="YAML.")
    digest: str
    usage: Usage = Usage()
    cost_usd: float | None = None
    model: str = ""
    attempts: int = 1
    simulated: bool = False
    request_ids: tuple[str, ...] = ()
    continues: str = Field("", description="Run of the workflow that is planned on from; empty for none.")
    changes: tuple[str, ...] = Field(
        (), description="Lines: what changes in the workflow, and what it keeps."
    )


class PendingPlan(_Left):
    """The plan that the task ``approve`` asks about, as a reviewer sees it."""

    number: int = Field(1, description="Of this proposal in the planner's run.")
    asked: int = Field(0, description="How often it was put to a person: once more for each refused answer.")
    workflow_id: str
    plan: str = Field(description="YAML.")
    digest: str
    title: str = ""
    by: str = "claude"
    comment: str = Field("", description="What a person had asked for that led to it.")
    before: str | None = Field(None, description="YAML of the proposal that was sent back; None: none was.")
    changes: dict[str, Any] = Field({}, description="PlanChanges, against base_revision.")
    estimate: dict[str, Any] = Field({}, description="Estimate.")
    base_revision: int | None = Field(
        None, description="The workflow's newest revision; None: there is none."
    )
    deadline: str | None = Field(None, description="ISO 8601 time until which it waits.")
    refused: str = Field("", description="Why the last answer was not carried out; empty: none was refused.")


class Agreement(_Left):
    """Who approved a plan, or why nobody had to."""

    by: str = ""
    by_id: str = ""
    at: str = Field("", description="ISO 8601 time.")
    comment: str = ""
    edited: bool = Field(False, description="Whether the plan was edited.")
    without: str = Field("", description="Why nobody had to be asked; empty when somebody was.")


class ApprovedPlan(_Left):
    """What the task ``approve`` returned: the plan that may be published."""

    workflow_id: str
    plan: str = Field(description="YAML.")
    digest: str
    decision: Agreement = Agreement()

    def document(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_unset=True)


class PublishedPlan(_Left):
    """What the task ``publish`` returned."""

    workflow_id: str
    revision: int
    digest: str
    changed: bool = Field(description="False: the workflow's newest revision was this plan already.")
    changes: tuple[str, ...] = Field(
        (), description="Lines: what the workflow kept of what people gave, and what changed."
    )
    warnings: tuple[str, ...] = Field((), description="Lines: what may be meant otherwise in the plan.")
