"""Decides when Airflow retries a failed task; ``ChassisError.retryable`` is the only table."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from chassis.errors import ChassisError, ClaudeError

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

LONGEST_WAIT = timedelta(minutes=10)
"""Longest ``retry-after`` of a server that is honoured; the Claude SDK itself has no such cap."""


class ClaudeRetryPolicy(RetryPolicy):
    """Fails at once if a retry can't help, and waits as long as the server asked if it did.

    Leaves anything that isn't a :class:`ChassisError` (a lost worker, a timeout, a bug) to Airflow's own rules.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        if not isinstance(exception, ChassisError):
            return RetryDecision.default()
        if not exception.retryable:
            return RetryDecision.fail(f"{type(exception).__name__}: a retry can't help.")
        if isinstance(exception, ClaudeError) and exception.retry_after is not None:
            wait = min(timedelta(seconds=exception.retry_after), LONGEST_WAIT)
            return RetryDecision.retry(wait, f"{type(exception).__name__}: the server asked to wait {wait}.")
        return RetryDecision.default()
