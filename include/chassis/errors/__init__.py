"""Every error that Chassis raises on purpose.

An error says what happened and where (its message) and what to do next (its hint); the raw facts are
attributes, so a command line or a page can render them its own way. ``retryable`` answers one question:
can the same call, made again with nothing changed, succeed? Retry decisions anywhere in Chassis read it.

Messages quote what people, models and servers wrote. Whatever of that a terminal would obey, or a reader can't see, is
replaced by visible signs in every error, and further lines are indented, so that none can pass for a line of a log. A
fault of a plan is one line.

An error crosses process borders (a trigger's event, a task's XCom) as the plain data of :meth:`ChassisError.describe`,
never as a pickle: exceptions of the Claude SDK carry signed headers and session tokens.

A module for each reason to change: what every error is (``base``), what a deployment gives, plans, runs, stores,
spending, calls to Claude. They are all imported here, so that :func:`restore_error` knows each of them.
"""

from __future__ import annotations

from chassis.errors.base import ChassisError, restore_error
from chassis.errors.claude import (
    AccessDeniedError,
    AccessPendingError,
    AnswerInvalidError,
    AnswerTruncatedError,
    ClaudeError,
    CongestedError,
    ConnectionSetupError,
    CredentialsMissingError,
    CredentialsRefusedError,
    DailyQuotaError,
    ModelNotFoundError,
    ModelRefusalError,
    NoAnswerError,
    RequestRefusedError,
    ServiceFaultError,
    StreamBrokenError,
    TaskBlockedError,
    ThrottledError,
    UnreachableError,
)
from chassis.errors.deployment import DefinitionError, SettingsError
from chassis.errors.plans import (
    ApprovalTimeoutError,
    NotApprovedError,
    PlanError,
    PlanFault,
    PlanNotFoundError,
    PlanRejectedError,
)
from chassis.errors.runs import (
    ContextError,
    ItemsError,
    ItemsMovedError,
    RunNotFoundError,
    StoppedError,
    UnexpectedError,
    WorkflowPausedError,
)
from chassis.errors.spending import LimitSpentError, PriceUnknownError
from chassis.errors.stores import NotStoredError, RecordBrokenError, StoreError
from chassis.errors.task_failure import TaskFailedError, failure_of

__all__ = [
    "AccessDeniedError",
    "AccessPendingError",
    "AnswerInvalidError",
    "AnswerTruncatedError",
    "ApprovalTimeoutError",
    "ChassisError",
    "ClaudeError",
    "CongestedError",
    "ConnectionSetupError",
    "ContextError",
    "CredentialsMissingError",
    "CredentialsRefusedError",
    "DailyQuotaError",
    "DefinitionError",
    "ItemsError",
    "ItemsMovedError",
    "LimitSpentError",
    "ModelNotFoundError",
    "ModelRefusalError",
    "NoAnswerError",
    "NotApprovedError",
    "NotStoredError",
    "PlanError",
    "PlanFault",
    "PlanNotFoundError",
    "PlanRejectedError",
    "PriceUnknownError",
    "RecordBrokenError",
    "RequestRefusedError",
    "RunNotFoundError",
    "ServiceFaultError",
    "SettingsError",
    "StoppedError",
    "StoreError",
    "StreamBrokenError",
    "TaskBlockedError",
    "TaskFailedError",
    "ThrottledError",
    "UnexpectedError",
    "UnreachableError",
    "WorkflowPausedError",
    "failure_of",
    "restore_error",
]
