"""Which Airflow a command talks to."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.cli.target import PASSWORD, TOKEN, URL, USERNAME, connect
from chassis.errors.client import UsageError


def test_an_address_that_holds_a_password_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(URL, "https://ada:lovelace-1815@airflow.example.com")
    with pytest.raises(UsageError) as caught:
        connect(tmp_path)
    assert "lovelace" not in f"{caught.value} {caught.value.hint}"
    assert USERNAME in caught.value.hint
    assert PASSWORD in caught.value.hint


def test_without_saying_who_signs_in_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(URL, "https://airflow.example.com")
    for name in (TOKEN, USERNAME, PASSWORD):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="not who signs in"):
        connect(tmp_path)
