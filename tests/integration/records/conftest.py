"""Calls to Claude need what the tests of Claude need: a connection, and nothing of this machine's AWS."""

from __future__ import annotations

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from tests.integration.claude.conftest import connect, no_aws_of_this_machine

__all__ = ["connect", "no_aws_of_this_machine", "no_secrets_of_other_tests"]


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests() -> None:
    """A connection of another test whose password is a common word would mask that word in every transcript."""
    reset_secrets_masker()
