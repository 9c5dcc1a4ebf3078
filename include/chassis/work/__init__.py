"""Doing one task: its prompt, the engine that does it, and the checks on its result."""
