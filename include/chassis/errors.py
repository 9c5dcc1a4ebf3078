"""Every error that Chassis raises on purpose.

An error says what happened and where (its message) and what to do next (its hint); the raw facts are
attributes, so a command line or a page can render them its own way. ``retryable`` answers one question:
can the same call, made again with nothing changed, succeed? Retry decisions anywhere in Chassis read it.

Messages quote what people, models and servers wrote. Whatever of that a terminal would obey, or a reader can't see, is
replaced by visible signs in every error, and further lines are indented, so that none can pass for a line of a log. A
fault of a plan is one line.

An error crosses process borders (a trigger's event, a task's XCom) as the plain data of :meth:`ChassisError.describe`,
never as a pickle: exceptions of the Claude SDK carry signed headers and session tokens.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chassis.text import one_line, set_off

_LONGEST_MESSAGE = 20_000
"""Characters of a message; it is logged, and kept in Airflow's database."""
_LONGEST_FAULT = 2_000
"""Characters of a fault of a plan; it may quote names, and a name can be as long as the plan."""


class ChassisError(Exception):
    """The root of the hierarchy. Not retryable unless a subclass says so."""

    retryable: ClassVar[bool] = False
    wait: ClassVar[str] = "the task's retry delay, which doubles up to ten minutes"
    """How long until the next attempt of what is retryable, in words: for the documentation."""
    remedy: ClassVar[str] = ""
    """What to do next, where the raiser knows nothing better; shown as the hint."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = set_off(message, _LONGEST_MESSAGE)
        self.hint = set_off(hint or self.remedy, _LONGEST_MESSAGE)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle holds what describe() tells and nothing else that was hung on the error.
        return restore_error, (self.describe(),)

    def describe(self) -> dict[str, Any]:
        """The error as JSON-safe data; :func:`restore_error` is the way back."""
        return {"class": type(self).__name__, "message": self.message, "hint": self.hint}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> ChassisError:
        """Build the error again from what :meth:`describe` gave."""
        return cls(str(data["message"]), hint=str(data.get("hint", "")))


class SettingsError(ChassisError):
    """A setting in the ``[chassis]`` section of Airflow's configuration can't be used. A retry can't help."""

    remedy = "Correct it in airflow.cfg or in AIRFLOW__CHASSIS__<NAME>."


class DefinitionError(ChassisError):
    """An agent file or the service catalogue is wrong or missing. A retry can't help."""

    remedy = "Correct the file, then clear the task."


@dataclass(frozen=True)
class PlanFault:
    """One thing that is wrong with a plan.

    ``where`` names the place in the plan's own words (``task 'deploy'``, ``tasks.2.for_each``, ``schedule``);
    ``message`` says what is wrong and, where there is one, the nearest right name; ``code`` is a stable short name.
    """

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.message}", _LONGEST_FAULT)


class PlanError(ChassisError):
    """A plan breaks one or more rules; all of them are listed. A retry with the same plan can't help."""

    def __init__(
        self, faults: list[PlanFault] | tuple[PlanFault, ...], *, subject: str = "The plan", hint: str = ""
    ) -> None:
        self.faults = tuple(faults)
        self.subject = subject
        count = len(self.faults)
        lines = "\n".join(f"- {fault}" for fault in self.faults)
        super().__init__(f"{subject} has {count} fault{'s' if count != 1 else ''}:\n{lines}\n", hint=hint)

    def describe(self) -> dict[str, Any]:
        faults = [{"code": f.code, "where": f.where, "message": f.message} for f in self.faults]
        return {"class": type(self).__name__, "subject": self.subject, "hint": self.hint, "faults": faults}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> PlanError:
        faults = [PlanFault(**fault) for fault in data["faults"]]
        return cls(faults, subject=str(data["subject"]), hint=str(data["hint"]))


class UnexpectedError(ChassisError):
    """Something failed that Chassis doesn't know: a defect, or a passing fault of a machine. A retry may help."""

    retryable = True
    remedy = "The log of the process that made the call has the traceback."

    @classmethod
    def of(cls, error: BaseException) -> UnexpectedError:
        """For ``error``, of which only the class is told: its message may hold what must not leave its process."""
        return cls(f"The call to Claude ended in an unexpected {type(error).__name__}.")


class StoppedError(ChassisError):
    """Airflow stopped a task that made its call in a worker: marked, cleared, or its worker went away."""

    retryable = True
    remedy = "Clear the task to run it again; if its worker went away, it is tried again by itself."


class StoreError(ChassisError):
    """A store of plans or records can't be read or written. Often a passing state of a disk or a network.

    A retry may help.
    """

    retryable = True
    wait = "each second for a minute where a call is prepared or kept; then the task's retry delay"
    remedy = "Check that this machine can read and write there; the task tries again by itself."


class NotStoredError(ChassisError):
    """A file is not there, in a store that can be read. A retry can't help."""


class PlanNotFoundError(ChassisError):
    """No such workflow or revision in the plan store. A retry can't help."""

    remedy = "See `chassis list` for what there is."


class PlanRejectedError(ChassisError):
    """A person rejected the plan, so nothing was published. A retry can't help."""

    remedy = "Start the planner again with a requirement that says what was missing."


class ApprovalTimeoutError(ChassisError):
    """Nobody decided on the plan in time, so nothing was published. A retry can't help: it would not wait again."""

    remedy = "Clear the task approve to ask again; approval_timeout_hours says how long a plan waits."


class NotApprovedError(ChassisError):
    """The plan that was to be published is not the one that was approved. A retry can't help."""

    remedy = "Clear the task approve and decide again."


class RunNotFoundError(ChassisError):
    """A workflow has no such run. A retry can't help."""

    remedy = "See `chassis status WORKFLOW` for its newest run."


class RecordBrokenError(ChassisError):
    """A file of a run's ledger is missing or was edited, so its spending isn't known. A retry can't help."""

    remedy = "Put the file back. To forget what the run has spent, delete the run's whole folder of records."


class PriceUnknownError(ChassisError):
    """A limit in dollars can't be held for a model without a known price. A retry can't help."""

    remedy = "Name a model whose price is known, or update genai-prices."


class LimitSpentError(ChassisError):
    """A limit is spent, so a call was not made. A retry can't help: only a higher limit does.

    :ivar scope: whose limit it is: ``run`` or ``task`` (one item of a mapped task is one, too)
    :ivar limit_name: ``budget_usd``, ``max_tokens`` or ``max_calls``
    :ivar limit: dollars, tokens or calls that may be spent
    :ivar spent: what counts against it, ``uncertain`` included; over all tries and clears
    :ivar uncertain: the part of ``spent`` that is an upper bound: of calls whose end nobody saw
    :ivar setting: option of ``[chassis]`` that the limit is from; empty when it is from the plan
    """

    remedy = "Raise the limit with `chassis limits`, then clear the task on the latest version of its plan."
    _FACTS = (
        *("scope", "limit_name", "limit", "spent", "uncertain"),
        *("workflow_id", "task_id", "item", "setting"),
    )

    def __init__(
        self,
        *,
        scope: Literal["run", "task"],
        limit_name: Literal["budget_usd", "max_tokens", "max_calls"],
        limit: float,
        spent: float,
        uncertain: float = 0,
        workflow_id: str,
        task_id: str,
        item: str | None = None,
        setting: str = "",
    ) -> None:
        self.scope = scope
        self.limit_name = limit_name
        self.limit = limit
        self.spent = spent
        self.uncertain = uncertain
        self.workflow_id = workflow_id
        self.task_id = task_id
        self.item = item
        self.setting = setting
        super().__init__(self._what_is_spent(), hint=self._how_to_raise_it())

    def _what_is_spent(self) -> str:
        owner = "The run" if self.scope == "run" else f"Task '{self.task_id}'"
        if self.scope == "task" and self.item is not None:
            owner += f" for {self.item!r}"
        counted = _amount(self.limit_name, self.spent - self.uncertain)
        if self.uncertain:
            counted += f", and up to {_amount(self.limit_name, self.uncertain)} by calls whose end nobody saw"
        limit = f"[chassis] {self.setting}" if self.setting else self.limit_name
        return f"{owner} has spent its {limit} of {_amount(self.limit_name, self.limit)}: {counted}."

    def _how_to_raise_it(self) -> str:
        item = "" if self.item is None else f" --item {shlex.quote(self.item)}"
        if self.setting:
            retry = f"chassis retry {self.workflow_id} {self.task_id}{item}"
            return f"Raise {self.setting} in [chassis] of Airflow's configuration, then: {retry}"
        option = f"--{'task-' if self.scope == 'task' else ''}{self.limit_name.replace('_', '-')}"
        return (
            f"Raise it with: chassis limits {self.workflow_id} {option} N. Then clear the task on the latest version: "
            f"chassis retry {self.workflow_id} {self.task_id}{item} --latest"
        )

    def describe(self) -> dict[str, Any]:
        return super().describe() | {name: getattr(self, name) for name in self._FACTS}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> LimitSpentError:
        return cls(**{name: data[name] for name in cls._FACTS})


def _amount(limit_name: str, amount: float) -> str:
    if limit_name == "budget_usd":
        whole, _, cents = f"{amount:,.6f}".partition(".")
        return f"${whole}.{cents.rstrip('0'):0<2}"
    unit = "token" if limit_name == "max_tokens" else "call"
    return f"{amount:,.0f} {unit}{'' if amount == 1 else 's'}"


class ItemsError(ChassisError):
    """The items of a fan-out, known only at run time, can't be used. A retry can't help."""

    remedy = "Start a run with other inputs, or clear the upstream task."


class ClaudeError(ChassisError):
    """A call to Claude failed.

    :ivar status: HTTP status of the answer, None when there was none
    :ivar error_type: the server's own name for the error, such as ``throttlingException``; may be empty
    :ivar request_id: ``x-amzn-requestid`` of the answer; empty when there was none
    :ivar retry_after: seconds that the server asked to wait; None when it did not say
    :ivar usage: token counts already paid for by the failed exchange, as ``Usage.model_dump()``; may be empty
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
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.error_type = error_type
        self.request_id = request_id
        self.retry_after = retry_after
        self.usage = usage or {}

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "status": self.status,
            "error_type": self.error_type,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "usage": self.usage,
        }

    @classmethod
    def restore(cls, data: dict[str, Any]) -> ClaudeError:
        facts = {name: value for name, value in data.items() if name not in ("class", "message")}
        return cls(str(data["message"]), **facts)


class CredentialsMissingError(ClaudeError):
    """The connection gives no AWS credentials. A retry can't help."""

    remedy = (
        "Set the keys, role_arn, profile_name or bearer_token of the Airflow connection, then clear the task."
    )


class ConnectionSetupError(ClaudeError):
    """The Airflow connection to Bedrock is incomplete or holds a wrong option. A retry can't help."""

    remedy = "Correct the Airflow connection, then clear the task."


class CredentialsRefusedError(ClaudeError):
    """AWS refused the credentials: expired, unknown or badly signed (401, 403 with such a type). A retry can't help."""

    remedy = "Renew the credentials of the Airflow connection, then clear the task."


class AccessDeniedError(ClaudeError):
    """The credentials are good but may not use this model (403). A retry can't help."""

    remedy = "Ask for access to the model in the Bedrock console, then clear the task."


class ModelNotFoundError(ClaudeError):
    """Bedrock doesn't know the model id in this region (404, or 400 that says so). A retry can't help."""

    remedy = "Check the model's id and region, then clear the task."


class RequestRefusedError(ClaudeError):
    """Bedrock refused the request itself (400, 413 and other 4xx). A retry can't help."""

    remedy = "Look at what Bedrock said about the request; the same request is refused again."


class ThrottledError(ClaudeError):
    """Too many requests or tokens for the quota (429 or a throttling frame). A later retry helps."""

    retryable = True
    wait = (
        "as long as the server asks, or as the pace finds, for two minutes; "
        "then the task's retry delay, or what the server asks up to ten minutes"
    )
    remedy = "Lower the slots of the pool, or ask AWS for a higher quota; the task tries again by itself."


class ServiceFaultError(ClaudeError):
    """Bedrock or the model failed (408, 409, 424, 5xx, 529, or such a frame inside a stream). A retry may help."""

    retryable = True
    wait = (
        "quick ones after 0.5 s, doubling (max_retries of the connection) while no answer began; "
        "then the task's retry delay"
    )
    remedy = "This passes as a rule: the task tries again by itself."


class UnreachableError(ClaudeError):
    """No answer: name not resolved, connection refused or reset, or time ran out. A retry may help."""

    retryable = True
    wait = "quick ones after 0.5 s, doubling (max_retries of the connection); then the task's retry delay"
    remedy = "Check this machine's way to Bedrock; the task tries again by itself."


class NoAnswerError(UnreachableError):
    """The request was sent and no answer began: it may have been carried out, and paid for. A retry may help."""

    remedy = (
        "A retry may help: the task tries again by itself. timeout_seconds of the connection bounds the wait."
    )


class StreamBrokenError(ClaudeError):
    """The answer began and did not end: cut, stalled, or ended without a stop reason. A retry may help."""

    retryable = True
    remedy = "A retry may help: the task tries again by itself."


class ModelRefusalError(ClaudeError):
    """Claude declined to answer (stop reason ``refusal``). A retry can't help."""

    remedy = "Reword the requirement or the task's instruction."


class AnswerTruncatedError(ClaudeError):
    """The answer hit the output or context limit. A retry with the same limits can't help."""

    remedy = "Raise max_tokens in the agent's file or in [chassis], or ask for less in one task."


class AnswerInvalidError(ClaudeError):
    """The answer still broke its schema after its repairs. A retry can't help."""

    remedy = "Make the instruction or the schema clearer, or name a stronger model."


class TaskBlockedError(ClaudeError):
    """Claude answered that it can't do the task, with a reason. A retry with the same inputs can't help."""

    remedy = "Change the inputs or the plan, then clear the task."


def _subclasses(root: type[ChassisError]) -> dict[str, type[ChassisError]]:
    known = {root.__name__: root}
    for child in root.__subclasses__():
        known |= _subclasses(child)
    return known


def restore_error(data: dict[str, Any]) -> ChassisError:
    """The error that :meth:`ChassisError.describe` described.

    An unknown class comes back as the root class, and so does what only looks like a description: it is read from
    XComs, where any task can leave anything.
    """
    try:
        return _subclasses(ChassisError).get(str(data.get("class")), ChassisError).restore(data)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ChassisError(str(data.get("message", "")), hint=str(data.get("hint", "")))
