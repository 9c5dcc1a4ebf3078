"""Every error that Chassis raises on purpose.

An error's message says what happened and where; its hint says what to do next. The raw facts are attributes, so the
command line and pages can render them their own way. ``retryable`` says whether the same call, made again with nothing
changed, can succeed; every retry decision in Chassis reads it.

Messages quote people, models and servers. In every error, visible signs replace the characters that a terminal would
obey or a reader can't see, and further lines are indented, so that none can pass for a line of a log. A fault of a plan
is one line.

An error crosses process borders (a trigger's event, a task's XCom) as plain data from :meth:`ChassisError.describe`,
never as a pickle: exceptions of the Claude SDK carry signed headers and session tokens.

All modules are imported here, so that :func:`restore_error` knows every error.
"""

from __future__ import annotations

from chassis.errors.base import ChassisError as ChassisError
from chassis.errors.base import restore_error as restore_error
from chassis.errors.claude import AccessDeniedError as AccessDeniedError
from chassis.errors.claude import AccessPendingError as AccessPendingError
from chassis.errors.claude import AnswerInvalidError as AnswerInvalidError
from chassis.errors.claude import AnswerTruncatedError as AnswerTruncatedError
from chassis.errors.claude import ClaudeError as ClaudeError
from chassis.errors.claude import CongestedError as CongestedError
from chassis.errors.claude import ConnectionSetupError as ConnectionSetupError
from chassis.errors.claude import CredentialsMissingError as CredentialsMissingError
from chassis.errors.claude import CredentialsRefusedError as CredentialsRefusedError
from chassis.errors.claude import DailyQuotaError as DailyQuotaError
from chassis.errors.claude import ModelNotFoundError as ModelNotFoundError
from chassis.errors.claude import ModelRefusalError as ModelRefusalError
from chassis.errors.claude import NoAnswerError as NoAnswerError
from chassis.errors.claude import RequestRefusedError as RequestRefusedError
from chassis.errors.claude import ServiceFaultError as ServiceFaultError
from chassis.errors.claude import StreamBrokenError as StreamBrokenError
from chassis.errors.claude import TaskBlockedError as TaskBlockedError
from chassis.errors.claude import ThrottledError as ThrottledError
from chassis.errors.claude import UnreachableError as UnreachableError
from chassis.errors.deployment import DefinitionError as DefinitionError
from chassis.errors.deployment import SettingsError as SettingsError
from chassis.errors.plans import ApprovalTimeoutError as ApprovalTimeoutError
from chassis.errors.plans import NotApprovedError as NotApprovedError
from chassis.errors.plans import PlanError as PlanError
from chassis.errors.plans import PlanFault as PlanFault
from chassis.errors.plans import PlanNotFoundError as PlanNotFoundError
from chassis.errors.plans import PlanRejectedError as PlanRejectedError
from chassis.errors.runs import ContextError as ContextError
from chassis.errors.runs import ItemsError as ItemsError
from chassis.errors.runs import ItemsMovedError as ItemsMovedError
from chassis.errors.runs import RunNotFoundError as RunNotFoundError
from chassis.errors.runs import StoppedError as StoppedError
from chassis.errors.runs import UnexpectedError as UnexpectedError
from chassis.errors.runs import WorkflowPausedError as WorkflowPausedError
from chassis.errors.spending import LimitSpentError as LimitSpentError
from chassis.errors.spending import PriceUnknownError as PriceUnknownError
from chassis.errors.stores import NotStoredError as NotStoredError
from chassis.errors.stores import RecordBrokenError as RecordBrokenError
from chassis.errors.stores import StoreError as StoreError
from chassis.errors.task_failure import TaskFailedError as TaskFailedError
from chassis.errors.task_failure import failure_of as failure_of
