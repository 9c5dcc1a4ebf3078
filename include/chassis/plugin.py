"""Registration with Airflow. Every worker imports this at every task start: it must stay light."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class ChassisPlugin(AirflowPlugin):
    """Shows Chassis in ``airflow plugins`` and is where its pages register."""

    name = "chassis"
