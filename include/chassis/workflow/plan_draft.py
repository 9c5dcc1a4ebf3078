"""A plan while the rules between its parts are checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chassis.workflow.names import shown

if TYPE_CHECKING:
    from collections.abc import Collection

    from chassis.workflow.spec import TaskSpec, WorkflowSpec


@dataclass(frozen=True)
class Draft:
    """A plan whose parts are each correct, and the names that it may use. None: any name."""

    spec: WorkflowSpec
    agents: Collection[str] | None
    services: Collection[str] | None

    @cached_property
    def tasks(self) -> dict[str, TaskSpec]:
        """By id; of two with the same id, the first."""
        return {task.id: task for task in reversed(self.spec.tasks)}

    @cached_property
    def waits_for(self) -> dict[str, tuple[str, ...]]:
        """The plan's edges, in the plan's order."""
        return {task.id: self.tasks[task.id].depends_on for task in self.spec.tasks}


def place(task: TaskSpec) -> str:
    """How a fault says which task it is in."""
    return f"task {shown(task.id)}"
