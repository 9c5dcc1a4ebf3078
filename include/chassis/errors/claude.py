"""Failed calls to Claude: on the way, by Bedrock's answer, or by Claude's."""

from __future__ import annotations

from typing import Any

from chassis.errors.base import ChassisError


class ClaudeError(ChassisError):
    """A call to Claude failed.

    :ivar status: HTTP status of the answer; None if there was none
    :ivar error_type: the server's own name for the error, such as ``throttlingException``; may be empty
    :ivar request_id: ``x-amzn-requestid`` of the answer; empty if there was none
    :ivar retry_after: seconds that the server asked to wait; None if it didn't say
    :ivar usage: token counts already paid for by the failed exchange, as ``Usage.model_dump()``; may be empty
    :ivar words: the server's words, as the message quotes them; only known where the call was made, empty elsewhere
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        error_type: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        usage: dict[str, Any] | None = None,
        words: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.error_type = error_type
        self.request_id = request_id
        self.retry_after = retry_after
        self.usage = usage or {}
        self.words = words

    def describe(self) -> dict[str, Any]:
        facts = ("status", "error_type", "request_id", "retry_after", "usage")
        return super().describe() | {name: getattr(self, name) for name in facts}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> ClaudeError:
        facts = {name: value for name, value in data.items() if name not in ("class", "message")}
        return cls(str(data["message"]), **facts)


class CredentialsMissingError(ClaudeError):
    """The connection provides no AWS credentials. A retry can't help."""

    remedy = (
        "Set the keys, role_arn, profile_name or bearer_token of the Airflow connection, then clear the task."
    )


class ConnectionSetupError(ClaudeError):
    """The Airflow connection to Bedrock is incomplete or has an invalid option. A retry can't help."""

    remedy = "Correct the Airflow connection, then clear the task."


class CredentialsRefusedError(ClaudeError):
    """AWS refused the credentials: expired, unknown or badly signed (401, or such a 403). A retry can't help."""

    remedy = "Renew the credentials of the Airflow connection, then clear the task."


class AccessDeniedError(ClaudeError):
    """The account or the caller may not use this model (403, or 404 or 400 that says so). A retry can't help."""

    remedy = "Open the model to the account and to these credentials, then clear the task."


class AccessPendingError(ClaudeError):
    """AWS is still setting up the account's access to the model. A later retry helps."""

    retryable = True
    wait = "two minutes, or what the server asks up to ten"
    remedy = "Access follows within 15 minutes as a rule: the task tries again by itself."


class ModelNotFoundError(ClaudeError):
    """Bedrock doesn't know the model id in this region (404, or 400 that says so). A retry can't help."""

    remedy = "Check the model's id and region, then clear the task."


class RequestRefusedError(ClaudeError):
    """Bedrock refused the request itself (400, 413 and other 4xx). A retry can't help."""

    remedy = "Look at what Bedrock said about the request; the same request is refused again."


class ThrottledError(ClaudeError):
    """The account's quota of requests or tokens is exceeded (429 or a throttling frame). A later retry helps."""

    retryable = True
    wait = (
        "as long as the server asks, or as the pace finds, until no call was served for two minutes; "
        "then the task's retry delay, or what the server asks up to ten minutes"
    )
    remedy = (
        "Lower the slots of the pool, max_tokens or context_chars, or ask AWS for a higher quota; "
        "the task tries again by itself."
    )


class CongestedError(ClaudeError):
    """Bedrock has no capacity now, whatever the quota (503, 529, model not ready, or such a frame). A later retry
    helps.
    """

    retryable = True
    wait = (
        "1 s, doubling up to 20 s, until no call was served for five minutes; "
        "then the task's retry delay, or what the server asks up to ten minutes"
    )
    remedy = (
        "This passes by itself, and the task tries again. If it lasts, name an inference profile that reaches more "
        "regions, such as global."
    )


class DailyQuotaError(ClaudeError):
    """The account's daily quota is used up, or is 0 (429 that says so, or such a frame). A retry can't help."""

    remedy = (
        "Look the model's tokens per day up in AWS Service Quotas and ask AWS Support for more, above all where they "
        "are 0, or name another model, region or a global profile. Then, or when the day is over, clear the failed "
        "tasks."
    )


class ServiceFaultError(ClaudeError):
    """Bedrock or the model failed (408, 409, 424, 500, or such a frame inside a stream). A retry may help."""

    retryable = True
    wait = (
        "quick ones after 0.5 s, doubling (max_retries of the connection) while no answer began; "
        "then the task's retry delay"
    )
    remedy = "This passes as a rule: the task tries again by itself."


class UnreachableError(ClaudeError):
    """No answer: name not resolved, connection refused or reset, or timeout. A retry may help."""

    retryable = True
    wait = "quick ones after 0.5 s, doubling (max_retries of the connection); then the task's retry delay"
    remedy = "Check this machine's way to Bedrock; the task tries again by itself."


class NoAnswerError(UnreachableError):
    """The request was sent, but no answer began: it may have been processed, and paid for. A retry may help."""

    remedy = (
        "A retry may help: the task tries again by itself. timeout_seconds of the connection bounds the wait."
    )


class StreamBrokenError(ClaudeError):
    """The answer began but didn't end: cut, stalled, or without a stop reason. A retry may help."""

    retryable = True
    remedy = "A retry may help: the task tries again by itself."


class ModelRefusalError(ClaudeError):
    """Claude declined to answer (stop reason ``refusal``). A retry can't help."""

    remedy = "Reword the requirement or the task's instruction."


class AnswerTruncatedError(ClaudeError):
    """The answer reached the output or context limit. A retry with the same limits can't help."""

    remedy = (
        "Raise max_tokens in the agent's file or in [chassis], lower the effort, or ask for less in one task."
    )


class AnswerInvalidError(ClaudeError):
    """The answer still broke its schema after all repairs. A retry can't help."""

    remedy = "Make the instruction or the schema clearer, or set another model at the agent or the task."


class TaskBlockedError(ClaudeError):
    """Claude answered that it can't do the task, with a reason. A retry with the same inputs can't help."""

    remedy = "Change the inputs or the plan, then clear the task."
