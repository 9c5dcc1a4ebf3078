"""One airflow dag for each way to stop a task; each has one task, named like the way, whose call hangs.

Those with a time limit are triggered when the others' calls hang. Then nothing has to start that takes long, and their
own calls hang well within the limit, on a slow machine, too.
"""

from datetime import timedelta

from airflow.sdk import DAG

from chassis.dag.operators import ClaudeTaskOperator

WAYS = (
    "task_marked_failed",
    "task_cleared",
    "run_marked_failed",
    "run_deleted",
    "run_timeout",
    "task_timeout",
    "worker_marked_failed",
    "worker_cleared",
)

LIMIT = 20

for way in WAYS:
    with DAG(
        f"held_{way}",
        schedule=None,
        is_paused_upon_creation=False,
        dagrun_timeout=timedelta(seconds=LIMIT) if way == "run_timeout" else None,
    ):
        ClaudeTaskOperator(
            task_id=way,
            instruction="Say hello.",
            requirement="Greet.",
            retries=0,
            execution_timeout=timedelta(seconds=LIMIT) if way == "task_timeout" else None,
            deferrable=not way.startswith("worker"),
        )
