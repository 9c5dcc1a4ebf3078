"""An airflow dag of a user's own whose task asks Claude in the worker instead of in the triggerer."""

from airflow.sdk import DAG

from chassis.dag.operators import ClaudeTaskOperator

with DAG("in_the_worker", schedule=None, is_paused_upon_creation=False):
    ClaudeTaskOperator(
        task_id="ask",
        instruction="Say hello.",
        requirement="Greet.",
        deferrable=False,
    )
