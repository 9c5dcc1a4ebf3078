"""An airflow dag whose tasks use connections that hold canaries, and end in each way that an error can take."""

import os
from typing import Any

from airflow.sdk import DAG, Param, task

from chassis.dag.operators import ClaudeTaskOperator
from chassis.dag.triggers import ClaudeTrigger


class BrokenCall(ClaudeTaskOperator):
    """Hands the trigger a call that it can't read: what it raises then repeats the call."""

    def execute(self, context: Any) -> None:
        identity = {"task_id": self.task_id, "item": None}
        call = {"kind": "task", "accounts": {"identity": identity}, "request": context["params"]["note"]}
        self.defer(trigger=ClaudeTrigger(call), method_name="resume")


def asks(
    task_id: str, conn_id: str, operator: type[ClaudeTaskOperator] = ClaudeTaskOperator, **more: Any
) -> None:
    operator(
        task_id=task_id,
        instruction="Say hello.",
        requirement="Greet.",
        inputs=("note",),
        aws_conn_id=conn_id,
        retries=0,
        **more,
    )


with DAG(
    "canaries",
    schedule=None,
    is_paused_upon_creation=False,
    params={"note": Param("", type="string"), "backwards": Param("", type="string")},
):
    for task_id in ("passes", "echoed", "expired", "reset", "wrong_schema"):
        asks(task_id, "canary_keys")
    asks("in_a_worker", "canary_keys", deferrable=False)
    asks("refused_keys", "canary_wrong_keys")
    asks("refused_token", "canary_token")
    asks("token_with_a_line_end", "canary_broken_token")
    asks("unexpected", "canary_keys", BrokenCall)

    @task
    def unrelated(**context: Any) -> None:
        assert "CHASSIS_TEST_CANARY" in os.environ, "workers have the canary of the environment"
        # Not returned, because Airflow logs what is returned.
        context["ti"].xcom_push("canary", str(context["params"]["backwards"])[::-1])

    unrelated()
