"""Faults of a deployment: its settings, agents and catalogue."""

from __future__ import annotations

from chassis.errors.base import ChassisError


class SettingsError(ChassisError):
    """A setting in the ``[chassis]`` section of Airflow's configuration is invalid. A retry can't help."""

    remedy = "Correct it in airflow.cfg or in AIRFLOW__CHASSIS__<NAME>."


class DefinitionError(ChassisError):
    """An agent file or the service catalogue is invalid or missing. A retry can't help."""

    remedy = "Correct the file, then clear the task."
