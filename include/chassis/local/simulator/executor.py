"""Answers to tasks: sums are computed from the dependencies' results; other work is described, not done.

Every text begins with ``[simulated]``: nobody may take it for Claude's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from chassis.local.simulator.planner import numbers_in, service_names
from chassis.local.simulator.schema_filler import Hints

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest, Fence

MARK = "[simulated]"

# How one simulated answer hands its numbers to the next: a line of its own, easy to tell from prose.
_NUMBERS_LINE = re.compile(r"Numbers: ([^\n\"\\]+)")
_SUM_LINE = re.compile(r"Sum: ([-+\d.]+)")
_IDENTIFY = re.compile(r"\b(?:identify|extract|find|list)\b.*\bnumbers?\b", re.IGNORECASE | re.DOTALL)
_ADD = re.compile(r"\b(?:sum|add|adding|plus|total)\b", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:sum|total)\b", re.IGNORECASE)
_NUMBERS = re.compile(r"\bnumbers?\b", re.IGNORECASE)
_REPORT = re.compile(r"\b(?:report|state|tell|present|explain)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Work:
    """What a task's request says, read once."""

    task: str
    item: str | None
    instruction: str
    requirement: str
    results: tuple[Fence, ...]
    services: tuple[str, ...]

    @property
    def subject(self) -> str:
        """The words that say what kind of work it is: the task's id and the beginning of its instruction."""
        return f"{self.task.replace('_', ' ')}. {self.instruction[:2_000]}"


@dataclass(frozen=True)
class Answer:
    """A task's answer, and the numbers in it for an output schema to be filled with."""

    summary: str
    output: str
    numbers: tuple[float, ...] = ()
    status: str = "completed"


def read_work(request: ClaudeRequest) -> Work:
    """What the task's request says."""
    return Work(
        task=request.task or "",
        item=request.item,
        instruction=request.text_of("task"),
        requirement=request.text_of("requirement"),
        results=tuple(fence for fence in request.fences if fence.name == "result"),
        services=service_names(request.text_of("catalogue")),
    )


def answer_for(request: ClaudeRequest) -> dict[str, Any]:
    """The answer as a dict: status, reason, summary, output; the schema decides later which are kept."""
    answer = _work(read_work(request))
    reason = answer.summary if answer.status == "blocked" else ""
    return {"status": answer.status, "reason": reason, "summary": answer.summary, "output": answer.output}


def blocked_answer(request: ClaudeRequest) -> dict[str, Any]:
    """The answer of a task that says it can't be done."""
    about = request.item or request.task or "this task"
    reason = f"{MARK} Blocked on demand: {about} can't be done with what was given."
    return {"status": "blocked", "reason": reason, "summary": reason, "output": reason}


def hints_for(request: ClaudeRequest) -> Hints:
    """What to fill a task's output schema with: the services that the prompt names, the answer's numbers."""
    work = read_work(request)
    named = work.services or tuple(
        dict.fromkeys(re.findall(r"^[ \t]*(?:- )?name: *([\w-]+) *$", request.user_text, re.M))
    )
    return Hints(names=named or Hints().names, numbers=_work(work).numbers, text=MARK)


def _work(work: Work) -> Answer:
    carried = _carried_sum(work.results)
    if carried and _REPORT.search(work.subject):
        text = f"{MARK} The sum is {carried}."
        return Answer(text, f"{text}\n\nSum: {carried}", (float(carried),))
    if _IDENTIFY.search(work.subject) and not _TOTAL.search(work.subject):
        found = numbers_in(work.instruction) or numbers_in(work.requirement)
        if found:
            text = f"{MARK} The numbers are {' and '.join(found)}."
            return Answer(text, f"{text}\n\nNumbers: {', '.join(found)}", tuple(map(float, found)))
    if _ADD.search(work.subject):
        numbers = _carried_numbers(work.results) or numbers_in(work.instruction)
        if len(numbers) > 1:
            return _add(numbers)
        if _NUMBERS.search(work.subject):
            text = f"{MARK} Neither the instruction nor the results of earlier tasks hold numbers to add."
            return Answer(text, text, status="blocked")
    return _describe(work)


def _add(numbers: list[str]) -> Answer:
    with localcontext(prec=200):  # exact for as many digits as a number may have here
        total = sum((Decimal(number) for number in numbers), Decimal(0))
        text = format(total.normalize(), "f") if total else "0"
    equation = f"{' + '.join(numbers)} = {text}"
    return Answer(f"{MARK} {equation}", f"{MARK} {equation}\n\nSum: {text}", (float(text),))


def _carried_sum(results: tuple[Fence, ...]) -> str | None:
    found = [match[1].rstrip(".") for fence in results for match in _SUM_LINE.finditer(fence.content)]
    return found[-1] if found else None


def _carried_numbers(results: tuple[Fence, ...]) -> list[str]:
    """The numbers that the results hand on: their ``Numbers:`` lines, else every number in them."""
    lines = [match for fence in results if (match := _NUMBERS_LINE.search(fence.content))]
    if lines:
        return [number for line in lines for number in numbers_in(line[1])]
    return [number for fence in results for number in numbers_in(fence.content)]


def _describe(work: Work) -> Answer:
    about = f" for {work.item}" if work.item else ""
    title = work.item or work.task or "the request"
    lines = [
        f"### {title}",
        "",
        f"{MARK} No model was asked and nothing was changed. The instruction was:",
        "",
    ]
    lines += [f"> {line}" for line in work.instruction.splitlines()[:20]]
    for fence in work.results:
        origin = " / ".join(
            value for value in (fence.attributes.get("task"), fence.attributes.get("item")) if value
        )
        lines.append(
            f"\n- builds on the result of {origin or 'an earlier task'} ({len(fence.content)} characters)"
        )
    return Answer(
        f"{MARK} {work.task or 'Answered'}{about}: taken as done, nothing was changed.", "\n".join(lines)
    )
