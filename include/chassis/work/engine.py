"""Does a task: an engine works on it until a verdict ends the work, and its outcome becomes the result.

Runs where the calls are made: in the triggerer or in a worker. An engine decides how many calls it makes and with
which tools; each call goes through the given ``ask``, which limits, paces, records and pays for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from chassis.claude.conversation import converse
from chassis.claude.prices import cost_usd
from chassis.contract.xcoms import TaskResult
from chassis.errors import TaskBlockedError
from chassis.text import one_line
from chassis.work.brief import subject_of
from chassis.work.verdict import Verdict, judge_answer

if TYPE_CHECKING:
    from chassis.claude.reply import Ask
    from chassis.claude.request import ClaudeRequest
    from chassis.contract.usage import Usage
    from chassis.work.verdict import Judge

_LONGEST_REASON = 2_000
"""Characters of Claude's reason for not doing a task; it becomes an error's message, on one line."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How an engine's work ended.

    :ivar answer: the last answer, which matches the request's schema
    :ivar usage: of all calls
    :ivar turns: number of answers; repeating a call that Bedrock didn't answer is no further turn
    :ivar model: the model that answered, by its own name for itself
    :ivar request_ids: AWS's request ids, in order
    :ivar simulated: whether the simulator answered instead of Claude
    """

    answer: dict[str, Any]
    verdict: Verdict
    usage: Usage
    turns: int
    model: str
    request_ids: tuple[str, ...]
    simulated: bool


class Engine(Protocol):
    """A way to do tasks."""

    async def work(self, request: ClaudeRequest, ask: Ask, *, judge: Judge, repairs: int) -> Work:
        """Work on the request until the judge finds that it succeeded or is blocked.

        :param ask: makes each call
        :param repairs: how often an attempt may be sent back
        :raises ClaudeError: no usable answer; ``usage`` sums up what was paid for until then
        """


class AnswerEngine:
    """Asks one question and takes the answer: the answer is all that the task does."""

    async def work(self, request: ClaudeRequest, ask: Ask, *, judge: Judge, repairs: int) -> Work:
        verdict = Verdict("succeeded")

        def check(answer: dict[str, Any]) -> list[str]:
            nonlocal verdict
            verdict = judge(answer)
            return list(verdict.reasons) if verdict.finding == "sent_back" else []

        said = await converse(ask, request, check=check, repairs=repairs)
        return Work(
            answer=said.data,
            verdict=verdict,
            usage=said.usage,
            turns=len(said.request_ids),
            model=said.model,
            request_ids=said.request_ids,
            simulated=said.simulated,
        )


async def do_task(
    ask: Ask,
    request: ClaudeRequest,
    *,
    task_id: str,
    item: str | None,
    output_schema: dict[str, Any] | None,
    repairs: int,
    engine: Engine | None = None,
) -> TaskResult:
    """Do the task.

    :param output_schema: the schema that the task's output must match; None for Markdown
    :param engine: None: the task leaves nothing but its answer
    :raises TaskBlockedError: Claude says that it can't do the task, with the reason
    :raises ClaudeError: no usable answer
    """
    judge = partial(judge_answer, output_schema=output_schema)
    done = await (engine or AnswerEngine()).work(request, ask, judge=judge, repairs=repairs)
    if done.verdict.finding == "blocked":
        subject = subject_of(task_id, item)
        reason = one_line("; ".join(done.verdict.reasons), _LONGEST_REASON)
        raise TaskBlockedError(
            f"{subject[:1].upper()}{subject[1:]} is blocked: {reason}",
            hint="Change the inputs or the plan, then clear the task.",
            request_id=done.request_ids[-1],
            usage=done.usage.model_dump(),
        )
    return TaskResult(
        task=task_id,
        item=item,
        summary=done.answer["summary"],
        output=done.answer["output"],
        usage=done.usage,
        cost_usd=await asyncio.to_thread(cost_usd, request.known_model, done.usage),
        model=done.model,
        request_ids=done.request_ids,
        simulated=done.simulated,
    )
