"""All workflows and the plans that wait for a person, as the workflows page and the command line list them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.contract.names import ERROR_TAG, RETIRED_TAG, digest_tag
from chassis.contract.xcoms import Card, PendingPlan


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WorkflowRow(_View):
    """A Chassis DAG with its newest run. Facts of the run are null before the first one."""

    dag_id: str = Field(description="The workflow, or a planner.")
    title: str = Field(description="The plan's title, or the DAG's id.")
    tags: tuple[str, ...] = Field((), description="The DAG's tags.")
    paused: bool = Field(False, description="Whether Airflow starts no run of it.")
    schedule: str = Field("", description="When it runs by itself, in Airflow's words.")
    next_run: datetime | None = Field(None, description="When it runs next.")
    run_id: str | None = Field(None, description="The newest run.")
    state: str | None = Field(None, description="That run's state.")
    start: datetime | None = Field(None, description="When that run began.")
    end: datetime | None = Field(None, description="When it ended.")
    card: Card | None = Field(
        None, description="The newest card of that run, with what the run had spent by then."
    )

    @property
    def planned(self) -> bool:
        """Whether it comes from a plan; a planner also has the tag of all Chassis DAGs."""
        return self.broken or any(tag.startswith(digest_tag("")) for tag in self.tags)

    @property
    def broken(self) -> bool:
        """Whether it stands for a plan that can't be built."""
        return ERROR_TAG in self.tags

    @property
    def retired(self) -> bool:
        """Whether its workflow was retired."""
        return RETIRED_TAG in self.tags


class WaitingPlan(_View):
    """A planner's run that waits for a decision."""

    dag_id: str = Field(description="The planner's DAG.")
    run_id: str = Field(description="Its run.")
    since: datetime | None = Field(None, description="Since when it waits.")
    plan: PendingPlan | None = Field(None, description="What it asks about; null when that can't be read.")


class WorkflowList(_View):
    """All workflows that the user may read, and the plans that the user may read and decide on."""

    version: Literal[1] = 1
    workflows: tuple[WorkflowRow, ...] = ()
    waiting: tuple[WaitingPlan, ...] = ()
