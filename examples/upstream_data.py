"""An Airflow DAG in which @task.claude works with what other tasks found, and hands on what it wrote."""

from airflow.sdk import dag, task


@dag(schedule=None)
def customer_report():
    @task
    def numbers() -> dict[str, int]:
        return {"customers": 3, "contracts": 8}

    @task
    def complaints() -> list[str]:
        return ["The app is slow.", "I can't find my contract."]

    @task.claude(pool="bedrock")
    def report(numbers, complaints):
        """Claude is given both arguments as data; what is returned here is the instruction."""
        return (
            f"Write a report on our {numbers['customers']} customers and their {len(complaints)} complaints."
        )

    @task.claude(pool="bedrock")
    def headline():
        return "Write a headline for the report."

    @task
    def publish(report, headline):
        print(headline["output"])
        print(report["output"])

    written = report(numbers(), complaints())
    title = headline()
    written >> title  # Claude is given the report because it is directly upstream.
    publish(written, title)


customer_report()
