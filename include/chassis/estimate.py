"""What a plan will take: calls, tokens, dollars, width and depth.

An estimate serves a person who decides on a plan, and a budget that decides in their place. It counts what is known:
tasks, items, the real text of each prompt. It assumes the rest by the constants here, and says so in
``Estimate.basis``. It imports no Claude SDK; it imports the price list only if asked for one.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.connection_options import NO_OPTIONS, ClaudeOptions
from chassis.claude.models import facts_of
from chassis.claude.prices import cost_usd
from chassis.claude.reply import BYTES_PER_TOKEN
from chassis.claude.thinking import asked_for
from chassis.contract.usage import Usage
from chassis.figures import counted
from chassis.prompts import DATA_RULES, run_message, task_message
from chassis.workflow import TaskGraph, render_instruction
from chassis.workflow.placeholders import ITEM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chassis.agents import AgentDefinition
    from chassis.catalogue import Catalogue
    from chassis.settings import Settings
    from chassis.workflow import TaskSpec, WorkflowSpec

ANSWER_TOKENS = 1_000
"""Output tokens expected of one answer: a page of text. An assumption, and the largest one here."""

FAULTS_TOKENS = 500
"""Input tokens that a message with an answer's faults is assumed to have at most."""


_BASIS = (
    "An answer is taken to have {answer:,} tokens, and at most as many as its agent or max_tokens allows, {attempts} "
    "times when it has to be corrected; {bytes} bytes of a prompt are a token; prices are list prices, without "
    "Airflow's retries, and as if nothing was cached or carried over."
)


class TaskEstimate(BaseModel):
    """What one task of a plan will take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    instances: int = Field(description="How often it is done: once, or once for each item.")
    open_ended: bool = Field(description="Whether only a run can tell the number of items; counted as 1.")
    model: str = Field(description="Bedrock model that will be asked.")
    tokens_expected: int
    tokens_at_most: int
    usd_expected: float | None = Field(description="List price; None when the model's price isn't known.")
    usd_at_most: float | None


class Estimate(BaseModel):
    """What one run of a plan will take if every task is done and Airflow retries none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = Field(description="Calls to Claude, one for each task or item.")
    calls_at_most: int = Field(description="The same, with each answer corrected as often as may be.")
    tokens_expected: int = Field(description="Tokens read and written.")
    tokens_at_most: int
    usd_expected: float | None = Field(description="List price; None when the price of a model isn't known.")
    usd_at_most: float | None
    critical_path: tuple[str, ...] = Field(
        description="Ids of the longest chain of tasks that wait for each other: no run is shorter."
    )
    depth: int = Field(description="Tasks on that path.")
    width: int = Field(description="Calls that can be made at a time: of tasks equally deep in the plan.")
    width_bound_by: Literal["plan", "max_parallel"] = Field(
        description="Whether the plan has no more side by side, or its limits.max_parallel allows no more."
    )
    open_ended: bool = Field(description="Whether it is so of any task: all figures may grow.")
    basis: str = Field(description="What is assumed, in a sentence.")
    tasks: tuple[TaskEstimate, ...] = Field(description="In the plan's order.")

    @property
    def line(self) -> str:
        """The figures on one line, for a terminal or a log."""
        least = "at least " if self.open_ended else ""
        money = "price unknown"
        if self.usd_expected is not None and self.usd_at_most is not None:
            money = f"{least}about {_dollars(self.usd_expected)}, at most {_dollars(self.usd_at_most)}"
        return (
            f"{least}{counted(self.calls, 'call')}, at most {self.calls_at_most:,}"
            f" · about {self.tokens_expected:,} tokens, at most {self.tokens_at_most:,} · {money}"
            f" · longest path {counted(self.depth, 'task')}, {counted(self.width, 'parallel call')}"
        )


def estimate_plan(
    spec: WorkflowSpec,
    *,
    agents: Mapping[str, AgentDefinition],
    settings: Settings,
    catalogue: Catalogue | None = None,
    options: ClaudeOptions = NO_OPTIONS,
) -> Estimate:
    """What one run of a plan will take.

    :param agents: the agents by name; a missing one counts as one without a prompt
    :param catalogue: the services, whose entries are in the prompts of their items; None: no item is a service
    :param options: what the connection sets: its model serves tasks for which neither the plan nor an agent names one
    """
    plan = _Plan(spec, agents, settings, catalogue, options)
    tasks, levels = tuple(plan.estimate(task) for task in spec.tasks), plan.graph.levels
    side_by_side = max(sum(plan.instances(task_id) for task_id in level) for level in levels)
    width = min(side_by_side, spec.limits.max_parallel)
    unknown = [task.task for task in tasks if task.open_ended]
    return Estimate(
        calls=sum(task.instances for task in tasks),
        calls_at_most=sum(task.instances for task in tasks) * (1 + settings.repair_attempts),
        tokens_expected=sum(task.tokens_expected for task in tasks),
        tokens_at_most=sum(task.tokens_at_most for task in tasks),
        usd_expected=_sum([task.usd_expected for task in tasks]),
        usd_at_most=_sum([task.usd_at_most for task in tasks]),
        critical_path=plan.graph.critical_path,
        depth=len(levels),
        width=width,
        width_bound_by="max_parallel" if side_by_side > width else "plan",
        open_ended=bool(unknown),
        basis=_BASIS.format(
            attempts=settings.repair_attempts + 1, answer=ANSWER_TOKENS, bytes=BYTES_PER_TOKEN
        )
        + (
            f" The items of {', '.join(unknown)} are known only at run time and count as one."
            if unknown
            else ""
        ),
        tasks=tasks,
    )


@dataclass(frozen=True)
class _Plan:
    """Estimates the tasks of one plan, from prompts made as for a run, with results of the greatest possible length."""

    spec: WorkflowSpec
    agents: Mapping[str, AgentDefinition]
    settings: Settings
    catalogue: Catalogue | None
    options: ClaudeOptions

    @cached_property
    def graph(self) -> TaskGraph:
        return TaskGraph(self.spec.tasks)

    @cached_property
    def inputs(self) -> dict[str, Any]:
        return {name: given.default for name, given in self.spec.inputs.items()}

    @cached_property
    def items(self) -> dict[str, Sequence[str | None] | None]:
        """Each task's items: a single None for a task that isn't mapped; None if only a run can tell."""
        found: dict[str, Sequence[str | None] | None] = {}
        for task in self.spec.tasks:
            source = self.graph.items(task.id)
            # An empty default is a placeholder for items: no run is meant to have none.
            found[task.id] = [None] if source is None else source.known(self.inputs) or None
        return found

    @cached_property
    def run_size(self) -> int:
        """Bytes of the beginning that the prompts of all tasks share."""
        message = run_message(
            requirement=self.spec.requirement, inputs=self.inputs, limit=self.settings.context_chars
        )
        return _size(message)

    def estimate(self, task: TaskSpec) -> TaskEstimate:
        agent = self.agents.get(task.agent)
        model = task.model or (agent.model if agent else None) or self.options.model or self.settings.model
        known = self.options.behind(model)
        thinking = asked_for(known, task, agent, self.options)["thinking"]
        of_agent = agent.max_tokens if agent else None
        most = of_agent or self.settings.max_tokens or facts_of(known).max_tokens(thinking)
        fixed = self._prompt(task, agent)
        answer = min(ANSWER_TOKENS, most)
        attempts = 1 + self.settings.repair_attempts
        expected = Usage(input_tokens=fixed + self._results(task, answer), output_tokens=answer)
        # Each attempt reads what was said before it again. The whole prompt written to the cache costs most.
        read = attempts * (fixed + self._results(task, most))
        read += attempts * (attempts - 1) // 2 * (most + FAULTS_TOKENS)
        at_most = Usage(cache_write_tokens=read, output_tokens=attempts * most)
        instances = self.instances(task.id)
        return TaskEstimate(
            task=task.id,
            instances=instances,
            open_ended=self.items[task.id] is None,
            model=model,
            tokens_expected=instances * (expected.input_tokens + answer),
            tokens_at_most=instances * (read + attempts * most),
            usd_expected=_times(cost_usd(known, expected), instances),
            usd_at_most=_times(cost_usd(known, at_most), instances),
        )

    def _prompt(self, task: TaskSpec, agent: AgentDefinition | None) -> int:
        """Tokens of a task's prompt without results; of a mapped task, the mean over its items."""
        system = _size(agent.prompt if agent else "") + _size(DATA_RULES)
        # Without items, or with unknown ones, a stand-in for one.
        items = self.items[task.id] or ["item"]
        mean_item = sum(_size(item or "") for item in items) / len(items)
        # A plan may have a hundred thousand instances, so no instruction is rendered for each: only an item's length
        # counts.
        item = None if items == [None] else ""
        instruction = _size(render_instruction(task.instruction, self.inputs, item))
        items_named = 1 + task.instruction.count(f"{{{ITEM}}}")
        entries = [self.catalogue.find(item) for item in items if item and self.catalogue]
        services = sum(_size(entry.to_yaml()) for entry in entries if entry) / len(items)
        fences = _size(
            task_message(task_id=task.id, item=None, instruction="", service=None, results=[], limit=1)
        )
        schema = _size(json.dumps(task.output_schema)) if task.output_schema else 0
        whole = system + self.run_size + instruction + items_named * mean_item + services + fences + schema
        return math.ceil(whole / BYTES_PER_TOKEN)

    def instances(self, task_id: str) -> int:
        """How often a task is done; once if only a run can tell."""
        return len(self.items[task_id] or "1")

    def _results(self, task: TaskSpec, answer: int) -> int:
        counts = (1 if self.graph.same_items(task.id, up) else self.instances(up) for up in task.depends_on)
        return min(sum(counts) * answer, math.ceil(self.settings.context_chars / BYTES_PER_TOKEN))


def _size(text: str) -> int:
    return len(text.encode())


def _times(price: float | None, count: int) -> float | None:
    return None if price is None else round(price * count, 6)


def _sum(prices: list[float | None]) -> float | None:
    known = [price for price in prices if price is not None]
    return round(sum(known), 6) if len(known) == len(prices) else None


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:,.4f}"
