"""One airflow dag for each connection that can't work, as a user's own DAG would use the operator."""

from airflow.sdk import DAG

from chassis.dag.operators import ClaudeTaskOperator

for conn_id in ("no_credentials", "wrong_secret", "no_route", "not_defined"):
    with DAG(f"with_{conn_id}", schedule=None, is_paused_upon_creation=False) as dag:
        ClaudeTaskOperator(
            task_id="ask",
            instruction="Say hello.",
            requirement="Greet.",
            aws_conn_id=conn_id,
            retries=1,
            retry_delay=1,
        )
    globals()[dag.dag_id] = dag
