"""Who makes a call."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CallIdentity(BaseModel):
    """One try of one task, or of one item of a mapped task, in one DAG run."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    dag_id: str = Field(min_length=1, description="Airflow's DAG, which is the workflow's id.")
    run_id: str = Field(min_length=1, description="Airflow's id of the run.")
    clear_number: int = Field(
        ge=0, description="How often a person has cleared the task; a kept answer belongs to one of them."
    )
    task_id: str = Field(min_length=1, description="Airflow's id of the task.")
    item: str | None = Field(
        None, description="The item of a mapped task; None for a task that isn't mapped."
    )
    map_index: int = Field(-1, description="Airflow's map index, for people; the item is what counts.")
    try_number: int = Field(1, ge=0, description="Airflow's number of the try, for people.")

    @property
    def task_key(self) -> tuple[str, str | None]:
        """The task and item whose limits the call counts against."""
        return self.task_id, self.item

    @property
    def attempt(self) -> tuple[int, int]:
        """The attempt at the task; a later one compares greater."""
        return self.clear_number, self.try_number
