"""An Airflow DAG that has Claude translate into several languages, side by side, and compare what came out."""

from airflow.sdk import DAG, task

from chassis import ClaudeTaskOperator

with DAG("translations", schedule=None, default_args={"pool": "bedrock"}):

    @task
    def languages() -> list[str]:
        return ["French", "Danish", "Welsh"]

    translate = ClaudeTaskOperator.partial(
        task_id="translate",
        instruction="Translate into {item}: Your contract ends on Friday.",
        retries=2,
    ).expand(item=languages())

    compare = ClaudeTaskOperator(
        task_id="compare",
        instruction="Say which of these translations is the most polite, and why.",
    )

    translate >> compare
