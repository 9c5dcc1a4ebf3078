"""An Airflow DAG with one task for Claude: release notes, for the version that the run is started with."""

from airflow.sdk import DAG

from chassis import ClaudeTaskOperator

with DAG("release_notes", schedule=None, params={"version": "1.2.0"}):
    ClaudeTaskOperator(
        task_id="write_notes",
        instruction="Write the release notes of version {version} for people who use the product.",
        inputs=["version"],
        pool="bedrock",
    )
