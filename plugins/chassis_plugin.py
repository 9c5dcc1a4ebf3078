"""Registers Chassis in an Airflow that takes plugins from this folder. Imported at every task start."""

from chassis.plugin import ChassisPlugin

__all__ = ["ChassisPlugin"]
