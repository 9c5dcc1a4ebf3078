"""The client that all calls of a process share: one, of the connection as it is now, and harmed by no other call."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from botocore.credentials import Credentials

from chassis.claude import client_pool
from chassis.claude import hook as hook_module
from chassis.claude.access import BedrockAccess
from chassis.claude.client_pool import connected
from chassis.claude.connection_options import ClaudeOptions
from chassis.claude.hook import ClaudeBedrockHook
from chassis.claude.reply import Reply, call_once
from chassis.errors import ConnectionSetupError
from chassis.local.simulator import ACCESS_KEY, SECRET_KEY
from chassis.local.simulator.wire_message import Reply as SimulatedReply
from tests.integration.claude.conftest import CONN_ID, Connect
from tests.integration.claude.test_hook import endpoint, role, sts, token_of  # noqa: F401  a fixture
from tests.integration.claude.wire import ScriptedBedrock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.local.simulator import Simulator, SimulatorControl

MODEL = "us.anthropic.claude-opus-4-6-v1"


HELLO: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 1,
    "messages": [{"role": "user", "content": "Hello."}],
}


def hello(client: Any) -> Any:
    return call_once(client, HELLO, subject="a test")


async def shared_hello() -> Reply:
    async with connected(CONN_ID, shared=True) as client:
        return await hello(client)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("options", "thinking", "model", "silence"),
    [
        ({}, None, MODEL, 600),
        ({}, {"type": "adaptive"}, MODEL, 1_200),
        ({}, None, "us.anthropic.claude-opus-5-5", 1_200),
        ({"timeout_seconds": 44}, None, "us.anthropic.claude-opus-5-5", 44),
    ],
    ids=["a model that doesn't think", "told to think", "thinks by itself", "the connection says"],
)
def test_an_answer_may_be_silent_for_as_long_as_its_model_may_think(
    connect: Connect, simulator: Simulator, options: dict[str, Any], thinking: Any, model: str, silence: float
) -> None:
    """Bedrock sends no pings: thinking, and a schema's first compile, are silence."""
    connect.to(simulator.url, claude=options)

    async def read_timeout() -> float:
        async with connected(CONN_ID, shared=False) as client:
            sent: list[httpx2.Request] = []

            async def noted(request: httpx2.Request) -> None:
                sent.append(request)

            client._client.event_hooks["request"] = [noted]
            said = {"thinking": thinking} if thinking else {}
            await call_once(client, HELLO | {"model": model} | said, subject="a test")
            timeouts: dict[str, float] = sent[0].extensions["timeout"]
            return timeouts["read"]

    assert asyncio.run(read_timeout()) == silence


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The clients made in this test, in order."""
    found: list[Any] = []
    build = ClaudeBedrockHook.build

    def noted(hook: ClaudeBedrockHook, access: BedrockAccess) -> Any:
        found.append(build(hook, access))
        return found[-1]

    monkeypatch.setattr(ClaudeBedrockHook, "build", noted)
    return found


def test_forty_first_callers_get_one_client_and_later_ones_the_same(
    connect: Connect, simulator: Simulator, control: SimulatorControl, made: list[Any]
) -> None:
    connect.to(simulator.url)

    async def work() -> None:
        await asyncio.gather(*(shared_hello() for _ in range(40)))
        await shared_hello()

    asyncio.run(work())
    assert len(made) == 1
    assert len(control.requests(status=200)) == 41


def test_each_event_loop_has_its_own(connect: Connect, simulator: Simulator, made: list[Any]) -> None:
    connect.to(simulator.url)
    for _ in range(2):
        asyncio.run(shared_hello())
    assert len(made) == 2
    assert len([loop for loop in client_pool._shelves if loop.is_closed()]) <= 1, "ended loops are let go"


def test_a_changed_connection_counts_for_the_next_call_and_ends_none(
    connect: Connect, simulator: Simulator, control: SimulatorControl, made: list[Any]
) -> None:
    connect.to(simulator.url)
    control.set_latency(60)

    async def work() -> None:
        before = asyncio.create_task(shared_hello())
        await asyncio.to_thread(control.wait_for_requests, 1)
        connect.to(simulator.url, claude={"timeout_seconds": 17})
        async with connected(CONN_ID, shared=True) as new:
            assert new.timeout.read == 17
        old, new = made
        assert not old.is_closed(), "its call goes on"
        await asyncio.to_thread(control.set_latency, 0)
        assert (await before).simulated
        await until(old.is_closed)
        await shared_hello()
        assert not new.is_closed()

    asyncio.run(work())
    assert len(made) == 2


def test_a_client_that_nobody_used_yet_is_replaced_as_well(
    connect: Connect, simulator: Simulator, made: list[Any]
) -> None:
    """Back and forth: no client of an old state of the connection is used again, and all of them are closed."""

    async def work() -> None:
        for timeout in (11, 22, 11, 22):
            connect.to(simulator.url, claude={"timeout_seconds": timeout})
            async with connected(CONN_ID, shared=True) as client:
                assert client.timeout.read == timeout
        await until(lambda: [client.is_closed() for client in made] == [True, True, True, False])

    asyncio.run(work())


def test_keys_changed_in_a_file_count_for_the_next_call(
    connect: Connect, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[Any]
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    connect(extra=endpoint(simulator.url) | {"profile_name": "team"})

    async def work() -> None:
        for key in ("AKIASOMEBODYELSES", ACCESS_KEY):
            file.write_text(f"[team]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET_KEY}\n")
            async with connected(CONN_ID, shared=True) as client:
                if key == ACCESS_KEY:
                    assert (await hello(client)).simulated

    asyncio.run(work())
    assert len(made) == 2


def test_few_idle_clients_are_kept(connect: Connect, simulator: Simulator, made: list[Any]) -> None:
    async def work() -> None:
        async with AsyncExitStack() as users:
            for number in range(10):
                conn_id = f"conn_{number}"
                connect(conn_id=conn_id, login=ACCESS_KEY, password="x", extra=endpoint(simulator.url))
                await users.enter_async_context(connected(conn_id, shared=True))
            assert not any(client.is_closed() for client in made), "all ten are in use"
        kept = client_pool._MOST_IDLE
        await until(lambda: sum(not client.is_closed() for client in made) == kept)
        async with connected("conn_9", shared=True) as client:
            assert client is made[9]

    asyncio.run(work())


def test_a_role_is_assumed_once_for_forty_calls_and_its_renewal_keeps_the_client(
    connect: Connect,
    sts: str,  # noqa: F811  the fixture
    made: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hook_module, "_renewing", {})
    with ScriptedBedrock([SimulatedReply("hi", "end_turn")] * 41) as server:
        role(connect, server.url, sts)

        async def work() -> None:
            await asyncio.gather(*(shared_hello() for _ in range(40)))
            (credentials,) = hook_module._renewing.values()
            credentials._expiry_time = credentials._time_fetcher()
            await shared_hello()

        asyncio.run(work())
        tokens = [token_of(headers) for headers in server.headers]
    assert len(set(tokens[:40])) == 1
    assert tokens[40] != tokens[0]
    assert len(made) == 1


def test_a_worker_has_a_client_of_its_own_which_is_closed_at_the_end(
    connect: Connect, simulator: Simulator, made: list[Any]
) -> None:
    connect.to(simulator.url)

    async def work() -> None:
        async with connected(CONN_ID, shared=True) as shared, connected(CONN_ID, shared=False) as own:
            assert own is not shared
            assert (await hello(own)).simulated
        with pytest.raises(ZeroDivisionError):
            async with connected(CONN_ID, shared=False):
                raise ZeroDivisionError
        assert [client.is_closed() for client in made] == [False, True, True]

    asyncio.run(work())


@pytest.mark.parametrize("moment", ["before the answer", "in the middle of the answer"])
def test_a_cancelled_call_closes_its_own_connection_within_a_second_and_harms_no_other(
    connect: Connect, simulator: Simulator, control: SimulatorControl, moment: str
) -> None:
    connect.to(simulator.url)
    if moment == "before the answer":
        control.set_latency(60)
    else:
        control.add_fault("stall", times=1)

    async def work() -> tuple[float, list[Reply]]:
        first = asyncio.create_task(shared_hello())
        (entry,) = await asyncio.to_thread(control.wait_for_requests, 1)
        control.set_latency(60)
        others = [asyncio.create_task(shared_hello()) for _ in range(10)]
        await asyncio.to_thread(control.wait_for_requests, 11)
        cancelled_at = time.time()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.to_thread(control.wait_for_requests, 1, disconnected=True)
        (gone,) = control.requests(disconnected=True)
        assert gone["request_id"] == entry["request_id"]
        await asyncio.to_thread(control.set_latency, 0)
        return gone["ended"] - cancelled_at, await asyncio.gather(*others)

    seconds, answers = asyncio.run(work())
    assert seconds < 1.0
    assert all(answer.simulated for answer in answers)
    assert len(control.requests(status=200, disconnected=False)) == 10


def test_a_caller_that_is_cancelled_while_the_connection_is_read_harms_no_other(
    connect: Connect, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, made: list[Any]
) -> None:
    connect.to(simulator.url)
    reading, go = threading.Event(), threading.Event()
    access = ClaudeBedrockHook.access

    def slow(hook: ClaudeBedrockHook) -> BedrockAccess:
        reading.set()
        assert go.wait(10)
        return access(hook)

    monkeypatch.setattr(ClaudeBedrockHook, "access", slow)

    async def work() -> None:
        calls = [asyncio.create_task(shared_hello()) for _ in range(5)]
        await asyncio.to_thread(reading.wait)
        calls[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        go.set()
        assert all(answer.simulated for answer in await asyncio.gather(*calls[1:]))

    asyncio.run(work())
    assert len(made) == 1


def test_what_is_wrong_with_the_connection_is_told_to_each_caller_and_a_correction_counts(
    connect: Connect, simulator: Simulator
) -> None:
    async def work() -> list[BaseException | Reply]:
        connect.to(simulator.url, claude={"max_in_flight": 0})
        failures = await asyncio.gather(*(shared_hello() for _ in range(5)), return_exceptions=True)
        connect.to(simulator.url, claude={"max_in_flight": 7})
        async with connected(CONN_ID, shared=True) as client:
            assert (client.max_in_flight, client.quick_retries) == (7, 0)
        return failures

    failures = asyncio.run(work())
    assert {type(failure) for failure in failures} == {ConnectionSetupError}
    assert all("max_in_flight" in str(failure) for failure in failures)
    assert len({id(failure) for failure in failures}) == 5, (
        "an exception that all raise collects all tracebacks"
    )


ACCESS = BedrockAccess(
    conn_id="c",
    region="us-east-1",
    endpoint=None,
    auth=Credentials("key", "secret", "token"),
    options=ClaudeOptions(),
    verify=None,
)


@pytest.mark.parametrize(
    "change",
    [
        {"conn_id": "d"},
        {"region": "eu-central-1"},
        {"endpoint": "http://127.0.0.1"},
        {"auth": Credentials("other", "secret", "token")},
        {"auth": Credentials("key", "other", "token")},
        {"auth": Credentials("key", "secret", "other")},
        {"auth": Credentials("key", "secret")},
        {"auth": "key"},
        {"options": ClaudeOptions(max_retries=1)},
        {"options": ClaudeOptions(anthropic_version="2026-10-21")},
        {"verify": False},
        {"verify": "/etc/ssl/own.pem"},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_everything_that_a_client_is_made_of_is_in_its_fingerprint(change: dict[str, Any]) -> None:
    assert set(change) <= {field.name for field in dataclasses.fields(BedrockAccess)}
    assert dataclasses.replace(ACCESS, **change).fingerprint != ACCESS.fingerprint
    again = dataclasses.replace(ACCESS, auth=Credentials("key", "secret", "token"), options=ClaudeOptions())
    assert again.fingerprint == ACCESS.fingerprint


def test_neither_the_fingerprint_nor_the_text_of_an_access_tells_a_secret() -> None:
    for auth in (Credentials("key", "the-secret", "the-token"), "the-secret"):
        access = dataclasses.replace(ACCESS, auth=auth)
        assert "the-secret" not in f"{access!r} {access.fingerprint}"
