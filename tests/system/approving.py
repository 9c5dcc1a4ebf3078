"""How the system tests answer what the planner asks, over Airflow's REST API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from chassis.files import open_files
from chassis.records.decisions import Decisions
from tests.system.driver import AirflowDriver, wait_for

PLANNER = "plan_workflow"


@dataclass
class Approval:
    """The approval in one run of a planner."""

    airflow: AirflowDriver
    run_id: str
    records: str
    dag_id: str = PLANNER

    @property
    def path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/approve"

    @property
    def state(self) -> str | None:
        return str(self.airflow.get(self.path)["state"])

    def proposal(self) -> dict[str, Any]:
        """What a reviewer is shown."""
        return dict(self.airflow.get(f"{self.path}/xcomEntries/proposal")["value"])

    def asks(self, after: dict[str, Any] | None = None) -> dict[str, Any]:
        """The proposal, once Airflow takes an answer to it.

        :param after: the one that was answered before
        """

        def asked() -> dict[str, Any] | None:
            state = self.state
            assert state not in ("success", "failed"), f"the approval is a {state}"
            proposal = self.proposal() if state == "awaiting_input" else None
            return proposal if proposal != after else None

        return wait_for(f"{self.run_id} to ask", asked, every=0.2)

    def answer(self, option: str, **fields: Any) -> int:
        """Status with which Airflow takes an answer."""
        body = {"chosen_options": [option], "params_input": fields}
        return self.airflow.http.patch(f"{self.path}/-1/hitlDetails", json=body).status_code

    def refused(self, proposal: dict[str, Any], option: str, **fields: Any) -> dict[str, Any]:
        """The proposal that waits after an answer that Airflow takes, and Chassis doesn't."""
        assert self.answer(option, **fields) == httpx.codes.OK
        again = self.asks(after=proposal)
        assert again["refused"]
        return again

    def approved(self) -> dict[str, Any]:
        """What the approval lets through; the run must succeed with it."""
        assert self.airflow.wait_run(self.dag_id, self.run_id) == "success"
        return dict(self.airflow.result(self.dag_id, self.run_id, "approve"))

    def clear(self, *task_ids: str) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "include_downstream": False,
        }
        cleared = self.airflow.http.post(f"/dags/{self.dag_id}/clearTaskInstances", json=body)
        assert cleared.is_success, cleared.text

    def decisions(self) -> list[tuple[str, str]]:
        """Kind and digest of each entry in the log."""
        log = Decisions(open_files(self.records), self.dag_id, self.run_id)
        return [(each.kind, each.digest) for each in log.all().values()]
