"""An airflow dag of a user's own whose task asks Claude in the worker instead of in the triggerer."""

from airflow.sdk import DAG

from chassis.dag.operators import ClaudeTaskOperator
from chassis.workflow import TaskSpec

with DAG("in_the_worker", schedule=None, is_paused_upon_creation=False):
    ClaudeTaskOperator(
        spec=TaskSpec(id="ask", name="Ask", instruction="Say hello."),
        requirement="Greet.",
        deferrable=False,
    )
