"""When Airflow tries a failed task again: the one table is ``ChassisError.retryable``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from chassis.errors import ChassisError, ClaudeError

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

LONGEST_WAIT = timedelta(minutes=10)
"""A server's ``retry-after`` is honoured up to this; the Claude SDK itself has no such cap."""


class ClaudeRetryPolicy(RetryPolicy):
    """Fails at once where a retry can't help, and waits as long as the server asked where it said so.

    Anything that is no :class:`ChassisError` (a lost worker, a timeout, a bug) is left to Airflow's own rules.
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
