from __future__ import annotations

import json

import pytest

from chassis.claude.connection_options import connection_options
from chassis.errors import ConnectionSetupError

PROFILE = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3"
MODEL = "us.anthropic.claude-opus-4-6-v1"


def connect(monkeypatch: pytest.MonkeyPatch, behind: object) -> None:
    extra = {"region_name": "us-east-1", "model_behind": behind}
    monkeypatch.setenv(
        "AIRFLOW_CONN_CLAUDE_BEDROCK", json.dumps({"conn_type": "claude_bedrock", "extra": extra})
    )


@pytest.mark.parametrize("given", [{PROFILE: MODEL, "ours": MODEL}, f"{PROFILE}={MODEL}, ours = {MODEL},"])
def test_the_model_behind_a_name_is_told_as_json_or_in_one_line_of_the_form(
    given: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, given)
    options = connection_options("claude_bedrock")
    assert options.behind(PROFILE) == options.behind("ours") == MODEL
    assert options.behind("eu.anthropic.claude-opus-5") == "eu.anthropic.claude-opus-5"


@pytest.mark.parametrize("given", [PROFILE, f"={MODEL}", f"{PROFILE}=", ["ours"]])
def test_one_that_tells_no_pairs_is_refused(given: object, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, given)
    with pytest.raises(ConnectionSetupError, match="model_behind"):
        connection_options("claude_bedrock")
