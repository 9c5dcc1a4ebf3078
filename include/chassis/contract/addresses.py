"""Every address of Chassis's pages and JSON, and of the Airflow pages that they link to.

An id becomes one percent-encoded segment. A run's id may hold ``:``, ``+`` and, if Airflow is configured to allow it,
``/``. So routes take it as ``{run_id:path}``, and are declared from the longest to the shortest.
"""

from __future__ import annotations

from urllib.parse import quote

URL_PREFIX = "/chassis"
"""Path of the pages and the JSON, below Airflow's own address."""

TAB = "chassis"
"""Name of the run's tab in Airflow's addresses: ``/dags/<dag>/runs/<run>/plugin/chassis``."""


def url_segment(text: str) -> str:
    """An id as one segment of a path; a segment of only dots would lead upwards."""
    return quote(text, safe="~") if text.strip(".") else text.replace(".", "%2E")


class Links:
    """Addresses of Chassis's pages, and of Airflow's.

    :param root: Airflow itself, without a trailing slash: its address, or its path (empty, or ``/sub``)
    """

    def __init__(self, root: str = "") -> None:
        self.root = root
        self._pages = root + URL_PREFIX

    # Chassis's pages

    def static(self, name: str) -> str:
        """A file that the pages load."""
        return f"{self._pages}/static/{url_segment(name)}"

    def workflows(self) -> str:
        """The page of all workflows."""
        return f"{self._pages}/workflows"

    def board(self, dag_id: str, run_id: str) -> str:
        """The board of a run."""
        return f"{self._pages}/dags/{url_segment(dag_id)}/runs/{url_segment(run_id)}"

    def changes(self, dag_id: str, run_id: str) -> str:
        """What changed on the board, for its refresh."""
        return f"{self.board(dag_id, run_id)}/changes"

    def plan(self, dag_id: str, run_id: str) -> str:
        """The plan of a run."""
        return f"{self.board(dag_id, run_id)}/plan"

    def plan_news(self, dag_id: str, run_id: str) -> str:
        """Whether the plan's page is out of date, for its refresh."""
        return f"{self.plan(dag_id, run_id)}/news"

    def check(self, dag_id: str, run_id: str) -> str:
        """Takes an edited plan and returns its faults."""
        return f"{self.board(dag_id, run_id)}/check"

    def decision(self, dag_id: str, run_id: str) -> str:
        """Takes a decision on a proposed plan."""
        return f"{self.board(dag_id, run_id)}/decision"

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """One task of a run, or one item of it."""
        return f"{self.board(dag_id, run_id)}/tasks/{url_segment(task_id)}/{map_index}"

    def amend(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Takes an amendment of one task."""
        return f"{self.task(dag_id, run_id, task_id, map_index)}/amend"

    def amendments(self, dag_id: str, run_id: str) -> str:
        """The amendments of a run, as JSON."""
        return f"{self.board(dag_id, run_id)}/amendments"

    def transcript(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """The transcript of one task, as JSON."""
        return f"{self.task(dag_id, run_id, task_id, map_index)}/transcript"

    def workflow_list(self) -> str:
        """All workflows as JSON; see ``chassis.contract.workflow_rows``."""
        return f"{self._pages}/api/v1/workflows"

    def run_view(self, dag_id: str, run_id: str) -> str:
        """A run as JSON; see ``chassis.contract.run_view``."""
        return f"{self._pages}/api/v1/dags/{url_segment(dag_id)}/runs/{url_segment(run_id)}"

    # Airflow's own

    def airflow_dag(self, dag_id: str) -> str:
        """A DAG's page."""
        return f"{self.root}/dags/{url_segment(dag_id)}"

    def airflow_run(self, dag_id: str, run_id: str) -> str:
        """A run's page."""
        return f"{self.airflow_dag(dag_id)}/runs/{url_segment(run_id)}"

    def airflow_tab(self, dag_id: str, run_id: str) -> str:
        """A run's page with the board in it."""
        return f"{self.airflow_run(dag_id, run_id)}/plugin/{TAB}"

    def airflow_task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """A task instance's page: opens its log, and has the button that clears it."""
        mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
        return f"{self.airflow_run(dag_id, run_id)}/tasks/{url_segment(task_id)}{mapped}"

    def airflow_details(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """A task instance's details, with the button that clears it."""
        return f"{self.airflow_task(dag_id, run_id, task_id, map_index)}/details"

    def sign_in(self) -> str:
        """The sign-in page of any auth manager; it leads back to Airflow's first page."""
        return f"{self.root}/api/v2/auth/login?next={quote(f'{self.root}/', safe='')}"
