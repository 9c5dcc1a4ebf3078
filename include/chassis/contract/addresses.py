"""Where the pages and the JSON of Chassis stand, below Airflow's own address."""

from __future__ import annotations

URL_PREFIX = "/chassis"
"""Where everything is, below Airflow's own address."""
