"""The stores that must behave alike, and plans to put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.plans.store import PlanStore
from chassis.workflow import WorkflowSpec, load_plan
from tests.integration.s3 import CONN_ID

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(root: str) -> PlanStore:
    return PlanStore(root, CONN_ID)


@pytest.fixture
def plan() -> Callable[..., WorkflowSpec]:
    """A plan of one task by its workflow id; another title makes another plan."""

    def make(workflow_id: str, title: str = "A title") -> WorkflowSpec:
        return load_plan(
            f"schema_version: 1\nid: {workflow_id}\ntitle: {title}\nrequirement: Do it\n"
            "tasks:\n- {id: first, name: First, instruction: Do it.}\n"
        )

    return make
