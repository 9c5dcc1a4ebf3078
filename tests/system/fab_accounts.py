"""A local stack whose people are accounts of Airflow's FAB auth manager, the one of ``docker-compose.yaml``.

Its first account is made with Airflow's own command line, as Compose's ``init`` does; more are made over FAB's REST
API, as an administrator would.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from chassis.local.stack_environment import StackPlan, component_environment, default_dags_folder
from chassis.local.stack_keys import USERNAME, load_keys
from tests.system.driver import AirflowDriver, wait_for

FAB = {
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
}
ADMIN_ID = "1"
"""FAB numbers its accounts; the administrator's is the first."""


def add_admin(home: Path) -> None:
    """Prepare the home of a stack that hasn't run yet, and add the administrator that its start waits for."""
    home.mkdir(mode=0o700, exist_ok=True)
    keys = load_keys(home)
    plan = StackPlan(home=home, dags_folder=default_dags_folder(), port=0, simulator_port=0, extra=FAB)
    environment = component_environment(plan, keys, os.environ)
    person = ("--firstname", "Chassis", "--lastname", "Administrator", "--email", "admin@localhost")
    account = ("--username", USERNAME, "--password", keys.password, "--role", "Admin")
    for command in (("db", "migrate"), ("users", "create", *account, *person)):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            cwd=home,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-2000:]


class Accounts:
    """Makes roles and accounts, as the administrator."""

    def __init__(self, admin: AirflowDriver) -> None:
        self._fab = httpx.Client(base_url=f"{admin.url}/auth/fab/v1", headers=admin.http.headers, timeout=60)

    def add(self, name: str, role: str) -> str:
        """Add an account; returns its password."""
        password = secrets.token_urlsafe(12)
        person = {"first_name": name.title(), "last_name": "Example", "email": f"{name}@example.org"}
        body = {"username": name, "password": password, "roles": [{"name": role}], **person}
        self._done(self._fab.post("/users", json=body))
        return password

    def add_role_for_one_dag(self, name: str, dag_id: str, *, like: str) -> None:
        """Add a role that may do what another one may, with one DAG only."""
        all_dags = {("can_read", "DAGs"), ("can_edit", "DAGs"), ("can_delete", "DAGs")}
        found = self._done(self._fab.get(f"/roles/{like}"))["actions"]
        rights = {(each["action"]["name"], each["resource"]["name"]) for each in found}
        assert all_dags <= rights, f"the role {like} has other rights than is thought here: {sorted(rights)}"
        rights = {*(rights - all_dags), ("can_read", f"DAG:{dag_id}"), ("can_edit", f"DAG:{dag_id}")}
        actions = [
            {"action": {"name": action}, "resource": {"name": what}} for action, what in sorted(rights)
        ]

        def added() -> bool:
            answer = self._fab.post("/roles", json={"name": name, "actions": actions})
            # Airflow makes a DAG's rights when it has read the DAG.
            if (
                answer.status_code == httpx.codes.BAD_REQUEST
                and f"'DAG:{dag_id}' was not found" in answer.text
            ):
                return False
            return bool(self._done(answer))

        wait_for(f"rights on {dag_id}", added)

    @staticmethod
    def _done(answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text[:500]}"
        return answer.json()
