"""Calls not made because of what they would cost."""

from __future__ import annotations

import shlex
from typing import Any, Literal

from chassis.errors.base import ChassisError


class PriceUnknownError(ChassisError):
    """A limit in dollars can't be enforced for a model without a known price. A retry can't help."""

    remedy = "Name the model behind it as `model_behind` in the connection, or a model whose price is known."


class LimitSpentError(ChassisError):
    """A limit is used up, so a call was not made. A retry can't help: only a higher limit does.

    :ivar scope: whose limit it is: ``run`` or ``task`` (one item of a mapped task is one, too)
    :ivar limit_name: ``budget_usd``, ``max_tokens`` or ``max_calls``
    :ivar limit: dollars, tokens or calls that may be spent
    :ivar spent: what counts against it, ``uncertain`` included, over all tries and clears
    :ivar uncertain: the part of ``spent`` that is an upper bound, for calls whose end nobody saw
    :ivar setting: the ``[chassis]`` option that sets the limit; empty if the plan sets it
    :ivar in_dag_file: whether a limit without a setting comes from the file of a hand-written DAG
    """

    remedy = "Raise the limit with `chassis limits`, then clear the task on the latest version of its plan."
    _FACTS = (
        *("scope", "limit_name", "limit", "spent", "uncertain"),
        *("workflow_id", "task_id", "item", "setting", "in_dag_file"),
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
        in_dag_file: bool = False,
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
        self.in_dag_file = in_dag_file
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
        if self.in_dag_file:
            name = f"per_task.{self.limit_name}" if self.scope == "task" else self.limit_name
            return (
                f"Raise {name} in the limits of the DAG's file. Then clear the task on the latest version: "
                f"chassis retry {self.workflow_id} {self.task_id}{item} --latest"
            )
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
