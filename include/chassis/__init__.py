"""Chassis: a requirement becomes a plan, the plan a DAG, and Claude on Amazon Bedrock does its tasks.

This module is imported at every Airflow task start and therefore imports nothing.
"""

__version__ = "0.1.0"
