"""Calls to Claude need what the tests of Claude need: a connection, and nothing of this machine's AWS."""

from tests.integration.claude.conftest import connect, no_aws_of_this_machine

__all__ = ["connect", "no_aws_of_this_machine"]
