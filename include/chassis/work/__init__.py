"""Doing one task: what it is told, who does it, and what code finds of the result."""
