"""Names that more than one part goes by: of DAGs, and of the XComs that tasks leave."""

from __future__ import annotations

PLANNER_DAG = "plan_workflow"
"""Id of the DAG that plans requirements."""
