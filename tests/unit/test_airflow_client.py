from __future__ import annotations

import socket
from typing import Any

import pytest

from chassis.airflow_client import Airflow, SignIn
from chassis.errors.client import (
    AirflowRefusedError,
    AirflowUnreachableError,
    PluginMissingError,
    SignInError,
)
from tests.unit.fake_airflow import PASSWORD, TOKEN, USERNAME, FakeAirflow, FakeDag, FakeRun, instance


def test_it_signs_in_once_and_again_when_the_token_has_expired(fake: FakeAirflow, airflow: Airflow) -> None:
    assert airflow.find_dag("nope") is None
    assert airflow.find_dag("nope") is None
    assert len(fake.sent("POST", "/auth/token")) == 1
    fake.tokens_expire = 1
    assert airflow.find_dag("nope") is None
    assert len(fake.sent("POST", "/auth/token")) == 2


def test_a_token_of_ones_own_is_used_as_it_is_and_never_renewed(fake: FakeAirflow) -> None:
    with Airflow(SignIn(fake.url, token=TOKEN)) as airflow:
        assert airflow.find_dag("nope") is None
        fake.tokens_expire = 1
        with pytest.raises(SignInError):
            airflow.find_dag("nope")
    assert fake.sent("POST", "/auth/token") == []


def test_a_wrong_password_is_refused_with_airflows_words_and_what_to_set(fake: FakeAirflow) -> None:
    with (
        Airflow(SignIn(fake.url, username=USERNAME, password="wrong")) as airflow,
        pytest.raises(SignInError, match="Invalid credentials") as caught,
    ):
        airflow.find_dag("x")
    assert caught.value.status == 401
    assert "CHASSIS_AIRFLOW_PASSWORD" in caught.value.hint


def test_every_page_is_read(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.dags["wide"] = FakeDag(
        runs={"r": FakeRun(snapshots=[[instance("t", "success", n) for n in range(250)]])}
    )
    found = airflow.task_instances("wide", "r")
    assert [one["map_index"] for one in found] == list(range(250))


def test_a_name_with_odd_characters_is_one_part_of_the_path(fake: FakeAirflow, airflow: Airflow) -> None:
    run_id = "manual__2026-03-01T06:00:00+00:00/../x?y"
    fake.dags["wide"] = FakeDag(runs={run_id: FakeRun()})
    found = airflow.find_run("wide", run_id)
    assert found is not None
    assert found["dag_run_id"] == run_id


def test_a_refusal_carries_each_fault_that_airflow_names(fake: FakeAirflow, airflow: Airflow) -> None:
    with pytest.raises(AirflowRefusedError) as caught:
        airflow.create_entry("pools", {"name": "p", "slots": 0})
    assert caught.value.status == 422
    assert caught.value.detail == "body.slots: must not be 0"


def test_no_server_a_failing_one_and_something_else_are_out_of_reach(fake: FakeAirflow) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for url in (closed, "http://no-such-host.invalid", "localhost:8080"):
        with (
            Airflow(SignIn(url, token=TOKEN)) as airflow,
            pytest.raises(AirflowUnreachableError, match="answer"),
        ):
            airflow.find_dag("x")
    fake.failing = 1
    with (
        Airflow(SignIn(fake.url, token=TOKEN)) as airflow,
        pytest.raises(AirflowUnreachableError, match="503"),
    ):
        airflow.find_dag("x")


def test_a_proxy_for_the_outside_world_is_not_asked_for_this_machine(
    fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with Airflow(SignIn(fake.url, username=USERNAME, password=PASSWORD)) as airflow:
        assert airflow.version() == "3.3.2"


@pytest.mark.parametrize(
    "answer", [(404, {"detail": "Not Found"}), (200, "<html>")], ids=["404", "its own page"]
)
def test_an_airflow_without_the_plugin_is_told_what_it_lacks(
    fake: FakeAirflow, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, Any]
) -> None:
    fake.dags["onboard"] = FakeDag(runs={"r": FakeRun()})
    airflow.require_plugin()
    assert airflow.run_view("onboard", "r") is not None
    assert airflow.run_view("onboard", "other") is None
    monkeypatch.setattr(fake, "pages", lambda *_: answer)
    for ask in (airflow.require_plugin, lambda: airflow.run_view("onboard", "r")):
        with pytest.raises(PluginMissingError, match="doesn't have the Chassis plugin") as caught:
            ask()
        assert "Install airflow-chassis" in caught.value.hint
