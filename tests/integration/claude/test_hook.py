"""The hook and Airflow connections: every kind of credentials, what is missing, and the Test button."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from moto.server import ThreadedMotoServer

from chassis.claude import hook as hook_module
from chassis.claude.hook import ClaudeBedrockHook
from chassis.claude.reply import call_once
from chassis.errors import (
    AccessDeniedError,
    ClaudeError,
    ConnectionSetupError,
    CredentialsMissingError,
    CredentialsRefusedError,
    ModelNotFoundError,
    UnreachableError,
)
from chassis.local.simulator import ACCESS_KEY, BEARER_TOKEN, SECRET_KEY, Simulator
from chassis.local.simulator.wire_message import Reply
from tests.integration.claude.conftest import CONN_ID, Connect
from tests.integration.claude.wire import ScriptedBedrock

if TYPE_CHECKING:
    from pathlib import Path

    from botocore.credentials import RefreshableCredentials

MODEL = "us.anthropic.claude-opus-4-6-v1"
HELLO = {"model": MODEL, "max_tokens": 1, "messages": [{"role": "user", "content": "Hello."}]}

WithClient = Callable[[Callable[[Any], Awaitable[Any]]], Any]


@pytest.fixture(autouse=True)
def no_credentials_from_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_module, "_renewing", {})


def hello(client: Any) -> Any:
    return call_once(client, HELLO, subject="a test")


def endpoint(url: str) -> dict[str, Any]:
    return {"region_name": "us-east-1", "endpoint_url": url, "claude": {"max_retries": 0}}


def keys_in_environment(
    monkeypatch: pytest.MonkeyPatch, key: str = ACCESS_KEY, secret: str = SECRET_KEY
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def test_keys_of_the_connection(connect: Connect, with_client: WithClient, simulator: Simulator) -> None:
    connect(login=ACCESS_KEY, password=SECRET_KEY, extra=endpoint(simulator.url))
    assert with_client(hello).simulated


def test_keys_with_a_session_token(connect: Connect, with_client: WithClient) -> None:
    with ScriptedBedrock([Reply("hi", "end_turn")]) as server:
        token = {"aws_session_token": "the-session-token"}
        connect(login="ASIAEXAMPLE", password="secret", extra=endpoint(server.url) | token)
        with_client(hello)
        assert server.headers[0]["x-amz-security-token"] == "the-session-token"
        assert "Credential=ASIAEXAMPLE/" in server.headers[0]["authorization"]
        assert "/us-east-1/bedrock/aws4_request" in server.headers[0]["authorization"]


def test_a_profile_of_the_shared_files(
    connect: Connect,
    with_client: WithClient,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"[team]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    connect(extra=endpoint(simulator.url) | {"profile_name": "team"})
    assert with_client(hello).simulated


def test_the_default_chain_without_any_connection(
    with_client: WithClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_in_environment(monkeypatch)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("ANTHROPIC_BEDROCK_BASE_URL", simulator.url)
    assert with_client(hello).simulated


def test_a_bearer_token_of_the_connection(
    connect: Connect, with_client: WithClient, simulator: Simulator
) -> None:
    connect(extra=endpoint(simulator.url) | {"bearer_token": BEARER_TOKEN})
    assert with_client(hello).simulated


def test_a_bearer_token_of_the_environment(
    connect: Connect, with_client: WithClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", BEARER_TOKEN)
    connect(extra=endpoint(simulator.url))
    assert with_client(hello).simulated


def test_keys_of_the_connection_win_over_a_token_of_the_environment(
    connect: Connect, with_client: WithClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "somebody-elses")
    connect(login=ACCESS_KEY, password=SECRET_KEY, extra=endpoint(simulator.url))
    assert with_client(hello).simulated


def test_chassis_own_connection_type_works_without_a_warning(
    connect: Connect, with_client: WithClient, simulator: Simulator
) -> None:
    form = {
        "region_name": "us-east-1",
        "endpoint_url": simulator.url,
        "max_retries": 0,
        "model": "",
        "role_arn": None,
    }
    connect(conn_type="claude_bedrock", login=ACCESS_KEY, password=SECRET_KEY, extra=form)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert with_client(hello).simulated


def test_an_arn_as_model_is_signed_as_it_is_sent(
    connect: Connect, with_client: WithClient, simulator: Simulator
) -> None:
    connect.to(simulator.url)
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
    assert with_client(lambda client: call_once(client, HELLO | {"model": arn}, subject="a test")).simulated


@pytest.fixture
def sts() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def role(connect: Connect, bedrock: str, sts: str, **assume: Any) -> None:
    connect(
        login="AKIAEXAMPLE",
        password="secret",
        extra={
            "region_name": "us-east-1",
            "role_arn": "arn:aws:iam::123456789012:role/claude",
            "assume_role_kwargs": assume,
            "service_config": {
                "bedrock-runtime": {"endpoint_url": bedrock},
                "sts": {"endpoint_url": sts},
            },
        },
    )


def token_of(headers: dict[str, str]) -> str:
    assert "Credential=ASIA" in headers["authorization"], "signed by the role, not by the connection's keys"
    return headers["x-amz-security-token"]


def test_an_assumed_role_is_renewed_while_its_client_lives(
    connect: Connect, with_client: WithClient, sts: str
) -> None:
    with ScriptedBedrock([Reply("hi", "end_turn")] * 2) as server:
        role(connect, server.url, sts, DurationSeconds=900)

        async def twice(client: Any) -> None:
            await hello(client)
            (credentials,) = hook_module._renewing.values()
            _let_expire(credentials)
            await hello(client)

        with_client(twice)
        first, second = map(token_of, server.headers)
        assert first != second, "a client that keeps its first token fails after an hour"


def _let_expire(credentials: RefreshableCredentials) -> None:
    import datetime

    credentials._expiry_time = datetime.datetime.now(datetime.UTC)


def test_calls_of_one_role_share_its_credentials(connect: Connect, sts: str) -> None:
    with ScriptedBedrock([Reply("hi", "end_turn")] * 4) as server:
        role(connect, server.url, sts)

        async def call() -> None:
            async with await ClaudeBedrockHook(CONN_ID).aclient() as client:
                await hello(client)

        for _ in range(2):
            asyncio.run(call())
        assert len({token_of(headers) for headers in server.headers}) == 1
        role(connect, server.url, sts, RoleSessionName="another")
        asyncio.run(call())
        assert len({token_of(headers) for headers in server.headers}) == 2, (
            "a changed connection counts at once"
        )


def test_a_role_that_cannot_be_assumed(connect: Connect, with_client: WithClient) -> None:
    denied = (403, {"content-type": "text/xml"})
    with ScriptedBedrock([]) as bedrock, _sts_that_answers(denied) as url:
        role(connect, bedrock.url, url)
        with pytest.raises(AccessDeniedError, match=r"AssumeRole.*AccessDenied") as caught:
            with_client(hello)
        assert f"'{CONN_ID}'" in str(caught.value)
        assert caught.value.__context__ is None


class _sts_that_answers:  # noqa: N801 - reads as a phrase
    """An STS that refuses, on a port of its own."""

    def __init__(self, answer: tuple[int, dict[str, str]]) -> None:
        from http.server import BaseHTTPRequestHandler, HTTPServer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = (
                    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
                    b"<Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"
                )
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        import threading

        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_an_sts_that_does_not_answer_is_soon_given_up_unless_the_connection_says_otherwise(
    connect: Connect,
) -> None:
    connect(extra={"region_name": "us-east-1"})
    config = ClaudeBedrockHook(CONN_ID).config
    assert config.connect_timeout * config.retries["total_max_attempts"] <= 10
    connect(extra={"region_name": "us-east-1", "config_kwargs": {"connect_timeout": 33}})
    config = ClaudeBedrockHook(CONN_ID).config
    assert (config.connect_timeout, config.read_timeout) == (33, 20)


def failure(with_client: WithClient) -> ClaudeError:
    with pytest.raises(ClaudeError) as caught:
        with_client(hello)
    assert caught.value.__context__ is None
    assert not caught.value.retryable or isinstance(caught.value, UnreachableError)
    return caught.value


def test_no_credentials_at_all_names_the_connection_and_what_to_set(
    connect: Connect, with_client: WithClient, simulator: Simulator
) -> None:
    connect(extra=endpoint(simulator.url))
    error = failure(with_client)
    assert isinstance(error, CredentialsMissingError)
    assert error.message == f"There are no AWS credentials for the Airflow connection '{CONN_ID}'."
    assert all(
        word in error.hint for word in ("login", "password", "role_arn", "profile_name", "bearer_token")
    )


def test_no_connection_and_no_credentials_says_that_the_connection_is_missing(
    with_client: WithClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    error = failure(with_client)
    assert isinstance(error, CredentialsMissingError)
    assert f"'{CONN_ID}' (which doesn't exist)" in error.message


def test_no_region(connect: Connect, with_client: WithClient) -> None:
    connect(login=ACCESS_KEY, password=SECRET_KEY)
    error = failure(with_client)
    assert isinstance(error, ConnectionSetupError)
    assert "no AWS region" in error.message
    assert "region_name" in error.hint


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"profile_name": "nobodys"}, "nobodys"),
        ({"endpoint_url": "localhost:8080"}, "endpoint_url"),
        ({"claude": {"modle": "x", "max_retries": 99}}, r"modle.*max_retries|max_retries.*modle"),
        ({"claude": "opus"}, "claude"),
        ({"claude": {"timeout_seconds": 0}}, "timeout_seconds"),
        ({"role_arn": "arn:aws:iam::1:role/x", "assume_role_method": "by_magic"}, "by_magic"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_connection_is_refused_before_any_call(
    connect: Connect, with_client: WithClient, simulator: Simulator, extra: dict[str, Any], words: str
) -> None:
    connect(
        extra=endpoint(simulator.url) | extra,
        **({} if "profile_name" in extra else {"login": "a", "password": "b"}),
    )
    with pytest.raises(ConnectionSetupError, match=words):
        with_client(hello)


def test_keys_that_aws_refuses(connect: Connect, with_client: WithClient, simulator: Simulator) -> None:
    connect(login="AKIAWRONG", password="wrong", extra=endpoint(simulator.url))
    error = failure(with_client)
    assert isinstance(error, CredentialsRefusedError)
    assert f"'{CONN_ID}'" in error.message


def test_a_model_that_does_not_exist(connect: Connect, with_client: WithClient, simulator: Simulator) -> None:
    connect.to(simulator.url)
    with pytest.raises(ModelNotFoundError, match="gpt-4"):
        with_client(lambda client: call_once(client, HELLO | {"model": "openai.gpt-4"}, subject="a test"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://bedrock.invalid"])
def test_no_route_to_bedrock(connect: Connect, with_client: WithClient, url: str) -> None:
    connect(login="a", password="b", extra=endpoint(url))
    error = failure(with_client)
    assert isinstance(error, UnreachableError)
    assert error.retryable
    assert url.removeprefix("http://") in error.message
    assert f"'{CONN_ID}'" in error.message


def test_no_secret_is_logged_even_at_debug(
    connect: Connect,
    with_client: WithClient,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secrets = {"login": "AKIAEXAMPLE", "password": "the-secret-access-key"}
    with ScriptedBedrock([Reply("the answer of Claude", "end_turn")]) as server:
        connect(**secrets, extra=endpoint(server.url) | {"aws_session_token": "the-session-token"})
        caplog.set_level(logging.DEBUG)
        with_client(hello)
    written = caplog.text + "".join(capfd.readouterr())
    assert "answered in" in written, "the call itself is logged"
    for secret in (
        "the-secret-access-key",
        "the-session-token",
        "Hello.",
        "the answer of Claude",
        "Signature=",
    ):
        assert secret not in written


def test_an_endpoint_that_could_not_answer_is_refused_wherever_it_is_from(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    mantle = "https://bedrock-mantle.us-east-1.api.aws/anthropic"
    for services in (endpoint(mantle), {"service_config": {"bedrock-runtime": {"endpoint_url": mantle}}}):
        connect(login=ACCESS_KEY, password=SECRET_KEY, extra={"region_name": "us-east-1", **services})
        with pytest.raises(
            ConnectionSetupError, match="endpoint_url of the Airflow connection 'claude_bedrock'"
        ):
            ClaudeBedrockHook(CONN_ID).access()
    connect(login=ACCESS_KEY, password=SECRET_KEY, extra={"region_name": "us-east-1"})
    monkeypatch.setenv("ANTHROPIC_BEDROCK_BASE_URL", mantle)
    with pytest.raises(ConnectionSetupError, match="variable ANTHROPIC_BEDROCK_BASE_URL"):
        ClaudeBedrockHook(CONN_ID).access()


@pytest.mark.parametrize(
    "address", ["https://user:hunter22secret@bedrock.example", "user:hunter22secret@bedrock:443"]
)
def test_an_endpoint_with_a_password_is_refused_because_the_http_library_would_log_it(
    connect: Connect, with_client: WithClient, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    connect(login=ACCESS_KEY, password=SECRET_KEY, extra=endpoint(address))
    error = failure(with_client)
    assert isinstance(error, ConnectionSetupError)
    assert "user name or a password" in error.message
    assert "hunter22secret" not in str(error) + caplog.text


@pytest.mark.parametrize("token", ["token-of-mine\n", "token of mine \x00", "token-ö\n"])
def test_a_token_that_no_header_can_hold_is_not_repeated(
    connect: Connect,
    with_client: WithClient,
    simulator: Simulator,
    token: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    connect(extra=endpoint(simulator.url) | {"bearer_token": token})
    error = failure(with_client)
    assert isinstance(error, ConnectionSetupError)
    assert "no header can have" in error.message
    assert token.split("\n")[0] not in str(error) + caplog.text
