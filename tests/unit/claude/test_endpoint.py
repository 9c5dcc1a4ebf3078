from __future__ import annotations

import pytest

from chassis.claude.endpoint import check_endpoint
from chassis.errors import ConnectionSetupError
from tests.with_each import with_each


@with_each(
    "url, fault, way_out",
    [
        (
            "https://bedrock-mantle.us-east-1.api.aws/anthropic",
            "bedrock-mantle",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
        ),
        (
            "https://vpce-0123.bedrock-mantle.us-east-1.vpce.amazonaws.com",
            "bedrock-mantle",
            "bedrock-runtime",
        ),
        ("https://bedrock-mantle.corp.example", "bedrock-mantle", "bedrock-runtime"),
        ("https://bedrock.us-east-1.amazonaws.com", "service bedrock,", "bedrock-runtime"),
        ("https://bedrock-agent-runtime.us-east-1.amazonaws.com", "bedrock-agent-runtime", "bedrock-runtime"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/anthropic", "path /anthropic", "Messages API"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/x/invoke", "path /model", "Leave the path"),
        ("https://proxy.corp.example/anthropic/v1/messages/", "path /anthropic", "Messages API"),
        ("https://bedrock-runtime.us-west-2.amazonaws.com", "another region than us-east-1", "region_name"),
        ("https://key:secret@proxy.corp.example", "password", "Leave them out"),
        ("proxy.corp.example:8080", "not a valid URL", "https://"),
        ("https://", "not a valid URL", "https://"),
        ("https://[::1", "not a valid URL", "https://"),
    ],
)
def test_an_address_at_which_no_call_could_succeed_is_refused(url: str, fault: str, way_out: str) -> None:
    with pytest.raises(ConnectionSetupError) as caught:
        check_endpoint(url, region="us-east-1", place="The endpoint_url of 'x'")
    assert caught.value.message.startswith("The endpoint_url of 'x' ")
    assert fault in caught.value.message
    assert way_out in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com/",
        "https://bedrock-runtime-fips.us-east-1.amazonaws.com",
        "https://bedrock-runtime.us-east-1.api.aws",
        "https://vpce-0123-abc.bedrock-runtime.us-east-1.vpce.amazonaws.com",
        "https://a1b2c3.execute-api.us-west-2.amazonaws.com/prod",
        "https://bedrock.corp.example/claude",
        "http://127.0.0.1:4000",
    ],
)
def test_bedrock_runtime_a_vpc_endpoint_and_a_proxy_are_taken(url: str) -> None:
    check_endpoint(url, region="us-east-1", place="The endpoint_url of 'x'")
