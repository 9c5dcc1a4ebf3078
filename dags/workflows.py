"""The workflows of the plan store, for an airflow without PlanBundle; beside it, this dag file yields nothing."""

from chassis import load_current_dags

globals().update(load_current_dags())
