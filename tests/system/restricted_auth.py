"""An auth manager with rights by DAG, as FAB and Keycloak have them and Airflow's simple one has not."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

OUTSIDER = "outsider"
"""May do what a user may, but with one DAG only."""
OPEN_DAG = "recurring_onboarding"


class RestrictedAuthManager(SimpleAuthManager):
    """The simple auth manager, and one user who has access to :data:`OPEN_DAG` alone."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        if user.username == OUTSIDER and details is not None and details.id not in (None, OPEN_DAG):
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)
