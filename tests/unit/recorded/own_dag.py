"""A DAG as somebody may have written it by hand: its text is part of what was recorded."""

from __future__ import annotations

from airflow.sdk import DAG, XComArg

from chassis.dag.operators import ClaudeTaskOperator
from chassis.workflow import Limits, SpendLimits


def own_dag() -> DAG:
    """Tasks with every argument that changes what Claude is told."""
    with DAG("own", schedule=None, params={"market": "Germany"}) as dag:
        first = ClaudeTaskOperator(
            task_id="first", instruction="Read {market} on {{ params.market }}.", inputs=["market"]
        )
        second = ClaudeTaskOperator(
            task_id="second",
            instruction="Compare for {market}.",
            agent="reviewer",
            inputs={"market": "Austria", "years": [2025, 2026]},
            context={"notes": XComArg(first, "summary"), "table": [{"a": 1.5}], "raw": "<b>{x}</b> {{ 1 }}"},
            item="the whole",
            model="us.anthropic.claude-opus-4-6-v1",
            effort="medium",
            thinking="adaptive",
            output_schema={
                "type": "object",
                "properties": {"same": {"type": "boolean"}},
                "required": ["same"],
            },
            requirement="Know both markets.",
            limits=Limits(budget_usd=2.0, max_parallel=3, per_task=SpendLimits(max_calls=2)),
        )
        third = ClaudeTaskOperator(task_id="third", instruction="Sum up.", do_xcom_push=False)
        [first, second] >> third
    return dag
