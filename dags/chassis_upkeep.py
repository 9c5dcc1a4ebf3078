"""Chassis's daily upkeep as an Airflow DAG: transcripts go when they are older than the setting transcript_days."""

from chassis import upkeep_dag

dag = upkeep_dag("chassis_upkeep")
