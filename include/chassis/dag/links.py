"""The button "Board" on each Claude task, which links to its run's board.

Airflow asks the plugin's link in the API server each time, so it works while the task runs. A link of the operator's
own would be an XCom, pushed only when the task has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from chassis.contract.addresses import Links
from chassis.settings import airflow_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class BoardLink(BaseOperatorLink):
    """Leads to the run's page with the board open."""

    name = "Board"

    @property
    def operators(self) -> list[Any]:  # type: ignore[override]
        """Operators whose tasks have the link. Imported when Airflow reads DAGs, not when it reads plugins."""
        from chassis.dag.approval import ApprovePlanOperator
        from chassis.dag.decorator import DecoratedClaudeOperator
        from chassis.dag.operators import ClaudeTaskOperator
        from chassis.dag.planned import PlannedTaskOperator
        from chassis.dag.planning_request import PlanOperator

        return [
            ClaudeTaskOperator,
            DecoratedClaudeOperator,
            PlannedTaskOperator,
            PlanOperator,
            ApprovePlanOperator,
        ]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Path of the board, without a host, so that it works under any name of Airflow's server."""
        return Links(airflow_path()).airflow_tab(ti_key.dag_id, ti_key.run_id)
