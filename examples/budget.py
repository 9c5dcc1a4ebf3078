"""An Airflow DAG whose runs may spend two dollars at most, over all of its tasks for Claude."""

from airflow.sdk import DAG

from chassis import ClaudeTaskOperator, Limits, SpendLimits

LIMITS = Limits(budget_usd=2, max_parallel=4, per_task=SpendLimits(max_calls=5))

with DAG("market_study", schedule=None, default_args={"limits": LIMITS, "pool": "bedrock", "retries": 2}):
    research = ClaudeTaskOperator.partial(
        task_id="research",
        instruction="Describe the market for pet insurance in {item}.",
    ).expand(item=["Austria", "Belgium"])

    summarise = ClaudeTaskOperator(
        task_id="summarise",
        instruction="Summarise the studies on one page.",
    )

    research >> summarise
