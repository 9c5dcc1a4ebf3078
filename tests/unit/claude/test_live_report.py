from __future__ import annotations

import pytest

from chassis.claude.live_check import Finding
from chassis.claude.live_report import _row, redacted


@pytest.mark.parametrize(
    "private",
    [
        "arn:aws:iam::111122223333:user/jane",
        "111122223333",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl",
        "https://vpce-0123.bedrock-runtime.us-east-1.vpce.amazonaws.com/model",
        "vpce-0123.bedrock-runtime.us-east-1.vpce.amazonaws.com:443",
        "10.20.30.40:8080",
        "jane@corp.example",
        "our words",
    ],
)
def test_nothing_tells_whose_account_it_was(private: str) -> None:
    for text in (private, f"User: {private} is not authorized", f"({private}), '{private}'"):
        assert private not in redacted(text, ["our words"])


@pytest.mark.parametrize(
    "told",
    [
        "output_config.format: Extra inputs are not permitted",
        'tool_choice: type "tool" and "any" are not supported for this model.',
        "Too many tokens, please wait before trying again.",
        "not authorized to perform: bedrock:InvokeModelWithResponseStream",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    ],
)
def test_what_bedrock_said_of_the_request_stays(told: str) -> None:
    assert redacted(told, ["bedrock", "o"]) == told


def test_what_bedrock_said_breaks_no_table() -> None:
    row = _row(Finding(question="q", answer="no", detail="a | b\n| <img src=x> `c`"))
    assert row.count(" | ") + 2 == 8
    assert "\n" not in row
    assert "\\<img" in row
