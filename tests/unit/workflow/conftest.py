"""Property tests of plans: enough examples to find what is wrong, few enough to take seconds."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How fast examples are made is a matter of the machine, and of what else it does.
settings.register_profile(
    "plans", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("plans")
