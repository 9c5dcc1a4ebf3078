"""The connection's form, its Test button, and the model that it names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chassis.claude.connection_options import connection_options
from chassis.claude.hook import ClaudeBedrockHook
from chassis.errors import (
    ConnectionSetupError,
)
from chassis.local.simulator.wire_message import Reply
from tests.integration.claude.conftest import CONN_ID, Connect
from tests.integration.claude.wire import ScriptedBedrock

if TYPE_CHECKING:
    from chassis.local.simulator import Simulator, SimulatorControl


def test_the_test_button_says_what_it_proved(
    connect: Connect, simulator: Simulator, control: SimulatorControl
) -> None:
    connect.to(simulator.url)
    good, message = ClaudeBedrockHook(CONN_ID).test_connection()
    assert good
    assert "simulator" in message
    assert "not Claude" in message
    assert "after 15 minutes" not in message
    (entry,) = control.requests()
    assert entry["body"]["max_tokens"] == 1, "the test may cost next to nothing"
    assert entry["stream"], "and asks in the way that calls do, which needs a permission of its own"


def test_the_test_button_asks_the_connections_model(connect: Connect) -> None:
    with ScriptedBedrock([Reply("O", "max_tokens")]) as server:
        connect.to(server.url, claude={"model": "eu.anthropic.claude-haiku-4-5-20251001-v1:0"})
        good, message = ClaudeBedrockHook(CONN_ID).test_connection()
    assert good
    assert "Claude answered: eu.anthropic.claude-haiku-4-5-20251001-v1:0" in message
    assert "request r-1" in message
    assert "$0.0000" in message
    assert "later ones fail, so test again after 15 minutes" in message, "one call proves little"


def test_the_test_button_says_how_a_model_without_a_price_gets_one(connect: Connect) -> None:
    with ScriptedBedrock([Reply("O", "max_tokens")] * 2) as server:
        connect.to(server.url, claude={"model": "ours"})
        _, message = ClaudeBedrockHook(CONN_ID).test_connection()
        assert "price unknown" in message
        assert "model_behind" in message
        connect.to(server.url, claude={"model": "ours", "model_behind": {"ours": "anthropic.claude-opus-5"}})
        _, message = ClaudeBedrockHook(CONN_ID).test_connection()
        assert "about $" in message


def test_the_test_button_tells_what_is_wrong(
    connect: Connect, simulator: Simulator, control: SimulatorControl
) -> None:
    connect.to(simulator.url)
    control.add_fault("access_denied")
    good, message = ClaudeBedrockHook(CONN_ID).test_connection()
    assert not good
    assert "AccessDeniedException" in message
    assert "bedrock:InvokeModel" in message


def test_a_worker_learns_the_connections_model_without_aws(connect: Connect) -> None:
    assert connection_options(CONN_ID).model is None, "no such connection"
    connect(extra={"claude": {"model": "of-the-connection"}})
    assert connection_options(CONN_ID).model == "of-the-connection"
    connect(extra={"model": "of-another-service"})
    assert connection_options(CONN_ID).model is None, "an aws connection's extra belongs to many"
    connect(conn_type="claude_bedrock", extra={"model": "of-the-form"})
    assert connection_options(CONN_ID).model == "of-the-form"
    connect(conn_type="claude_bedrock", extra={"claude": {"modle": "x"}})
    with pytest.raises(ConnectionSetupError, match="modle"):
        connection_options(CONN_ID)


def test_the_provider_info_names_what_exists() -> None:
    from chassis.claude.connection_form import CONNECTION_TYPES
    from chassis.claude.connection_options import ClaudeOptions

    (form,) = CONNECTION_TYPES
    assert form["hook-class-name"] == f"{ClaudeBedrockHook.__module__}.{ClaudeBedrockHook.__qualname__}"
    assert form["connection-type"] == ClaudeBedrockHook.conn_type
    assert form["hook-name"] == ClaudeBedrockHook.hook_name
    assert set(ClaudeOptions.model_fields) < set(form["conn-fields"]), "each option has a field in the form"
    json.dumps(form)
