"""Property tests of plans: enough examples to find what is wrong, few enough to take seconds."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("plans", max_examples=30, deadline=None)
settings.load_profile("plans")
