from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chassis.claude.reply import Ask, Reply
from chassis.claude.request import ClaudeRequest
from chassis.contract.usage import Usage
from chassis.contract.xcoms import TaskResult
from chassis.errors import TaskBlockedError
from chassis.work.engine import Work, do_task
from chassis.work.verdict import Judge, Verdict

REQUEST = ClaudeRequest(model="m", max_tokens=9, system=(), messages=(), answer_schema={})


class Digging:
    """An engine that takes several turns until it has what it wants, and finds itself what became of it."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    async def work(self, request: ClaudeRequest, ask: Ask, *, judge: Judge, repairs: int) -> Work:
        replies = [await ask({"model": request.model, "turn": turn}) for turn in range(3)]
        answer = {"status": "completed", "reason": "", "summary": "Dug.", "output": "A hole."}
        return Work(
            answer=answer,
            verdict=self.verdict,
            usage=sum((reply.usage for reply in replies), Usage()),
            turns=len(replies),
            model="m",
            request_ids=tuple(reply.request_id for reply in replies),
            simulated=False,
        )


def dug(verdict: Verdict) -> TaskResult:
    async def ask(payload: dict[str, Any]) -> Reply:
        return Reply(request_id=f"r{payload['turn']}", opened=True)

    engine = Digging(verdict)
    return asyncio.run(
        do_task(ask, REQUEST, task_id="dig", item="a", output_schema=None, repairs=0, engine=engine)
    )


def test_a_result_is_made_of_all_turns_of_whichever_engine_did_the_task() -> None:
    result = dug(Verdict("succeeded"))
    assert (result.task, result.item, result.output) == ("dig", "a", "A hole.")
    assert result.request_ids == ("r0", "r1", "r2")


def test_the_verdict_decides_and_not_what_claude_claims() -> None:
    with pytest.raises(TaskBlockedError, match="Task 'dig' \\[a\\] is blocked: No spade"):
        dug(Verdict("blocked", ("No spade",)))
