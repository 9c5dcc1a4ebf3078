"""An Airflow DAG in which Claude answers by a pydantic model, and other operators use the fields of its answer."""

from typing import Literal

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task
from pydantic import BaseModel

from chassis import ClaudeTaskOperator


class Triage(BaseModel):
    severity: Literal["low", "high"]
    title: str
    components: list[str]


@dag(schedule=None, params={"report": "Since Tuesday, the checkout page has been blank for some customers."})
def triage_incident():
    triage = ClaudeTaskOperator(
        task_id="triage",
        instruction="Triage the incident.",
        context={"report": "{{ params.report }}"},
        output_schema=Triage,
        pool="bedrock",
    )

    @task
    def open_ticket(title: str, severity: str) -> str:
        return f"{severity}: {title}"

    @task
    def components(result: dict) -> list[str]:
        return Triage.model_validate(result["output"]).components

    notify = BashOperator.partial(task_id="notify", bash_command='echo "owner of $COMPONENT"')

    open_ticket(triage.output["title"], triage.output["severity"])
    notify.expand(env=components(triage.output).map(lambda name: {"COMPONENT": name}))


triage_incident()
