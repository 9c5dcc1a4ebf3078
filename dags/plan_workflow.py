"""The planner as an Airflow DAG: trigger it with a requirement, and the planned workflow runs."""

from chassis import planner_dag

dag = planner_dag("plan_workflow")
