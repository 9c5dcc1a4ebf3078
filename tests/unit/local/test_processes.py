"""A stack's processes: one session, ended whole.

The components are small programs here; ``tests/system`` starts, kills and ends the real ones.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from chassis.errors.client import StackError
from chassis.local import stack
from chassis.local.processes import ProcessId, session_members
from chassis.local.stack import LocalStack, running_stack, stop_stack
from chassis.local.stack_file import StackRecord, read_record, record_file, write_record
from chassis.local.stack_keys import load_keys
from tests.unit.cli.stand_ins import FAMILY, SLEEPER, STUBBORN, alive, run_supervisor, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    stop_stack(home)


def pid_of(home: Path, component: str) -> int:
    record = read_record(home)
    assert record is not None
    process = record.components[component].process
    assert process is not None
    return process.pid


def grandchild_of(home: Path, file: Path) -> int:
    until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def test_down_ends_every_process_also_in_other_process_groups_and_deaf_to_sigterm(
    home: Path, tmp_path: Path
) -> None:
    supervisor, record = run_supervisor(home, family=[FAMILY, str(tmp_path / "pid")], sleeper=[SLEEPER])
    grandchild = grandchild_of(home, tmp_path / "pid")
    everyone = [supervisor.pid, grandchild, pid_of(home, "family"), pid_of(home, "sleeper")]
    assert os.getpgid(grandchild) != os.getpgid(supervisor.pid)
    assert all(alive(pid) for pid in everyone)
    assert stop_stack(home) is True
    supervisor.wait(5)
    assert [pid for pid in everyone if alive(pid)] == []
    assert record.leftovers() == []
    assert read_record(home) is None


def test_a_component_that_does_not_listen_is_killed_after_its_grace(home: Path) -> None:
    supervisor, _ = run_supervisor(home, grace=0.3, sleeper=[SLEEPER], stubborn=[STUBBORN])
    stubborn = pid_of(home, "stubborn")
    assert stop_stack(home) is True
    supervisor.wait(5)
    assert not alive(stubborn)


def test_down_finds_the_orphans_of_a_killed_supervisor_and_component(home: Path, tmp_path: Path) -> None:
    supervisor, _ = run_supervisor(home, family=[FAMILY, str(tmp_path / "pid")])
    grandchild = grandchild_of(home, tmp_path / "pid")
    for pid in (supervisor.pid, pid_of(home, "family")):
        os.kill(pid, signal.SIGKILL)
    supervisor.wait(5)
    assert alive(grandchild)
    assert stop_stack(home) is True
    assert not alive(grandchild)


def test_down_without_a_stack_says_so(home: Path) -> None:
    home.mkdir()
    assert stop_stack(home) is False


def test_ending_the_supervisor_ends_the_stack(home: Path) -> None:
    supervisor, record = run_supervisor(home, sleeper=[SLEEPER])
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert record.leftovers() == []
    assert read_record(home) is None


def test_a_component_that_ends_is_recorded_with_its_exit_code(home: Path) -> None:
    run_supervisor(home, sleeper=[SLEEPER], failing=["import sys; print('no config'); sys.exit(7)"])

    def exit_code() -> int | None:
        record = read_record(home)
        return record.components["failing"].exit_code if record else None

    until(lambda: exit_code() == 7)
    record = read_record(home)
    assert record is not None
    assert record.dead() == ["failing"]
    assert Path(record.components["failing"].log).read_text() == "no config\n"
    assert record.runs(), "one component's end is not the stack's"


def test_the_record_tells_no_secret_and_not_where_it_came_from(home: Path) -> None:
    home.mkdir()
    keys = load_keys(home)
    run_supervisor(home, sleeper=[SLEEPER])
    text = record_file(home).read_text()
    assert not [value for value in keys.model_dump().values() if value in text]


def test_a_restarted_component_is_another_process(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStack, "_wait_until_ready", lambda *_: None)
    run_supervisor(home, family=[FAMILY, str(tmp_path / "pid")], sleeper=[SLEEPER])
    grandchild_of(home, tmp_path / "pid")
    (tmp_path / "pid").unlink()
    running, other = pid_of(home, "family"), pid_of(home, "sleeper")
    local = LocalStack(home)
    local.restart("family")
    killed = local.processes["family"]
    assert killed != running
    os.kill(killed, signal.SIGKILL)
    local.restart("family")
    assert local.processes["family"] not in (running, killed)
    assert local.processes["sleeper"] == other
    assert alive(grandchild_of(home, tmp_path / "pid"))
    with pytest.raises(StackError, match="it has family, sleeper"):
        local.restart("webserver")


def test_a_component_that_ends_starts_again_each_time_after_twice_the_pause(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    moments = tmp_path / "moments"
    program = f"import time; open({str(moments)!r}, 'a').write(f'{{time.time()}}\\n'); raise SystemExit(3)"
    run_supervisor(home, pause=0.2, sleeper=[SLEEPER], failing=[program])
    until(lambda: moments.exists() and len(moments.read_text().split()) == 4)
    first, second, third, fourth = map(float, moments.read_text().split())
    assert second - first >= 0.2
    assert third - second >= 0.4
    assert fourth - third >= 0.8
    said = capfd.readouterr().out
    assert "The failing ended with code 3; it starts again in 0.2 s." in said
    assert "The failing ended with code 3; it starts again in 0.8 s." in said
    sleeper = pid_of(home, "sleeper")
    os.kill(sleeper, signal.SIGKILL)
    until(lambda: LocalStack(home).processes.get("sleeper", sleeper) != sleeper)


def test_orphans_of_a_component_that_started_again_have_their_time_and_then_end(
    home: Path, tmp_path: Path
) -> None:
    run_supervisor(home, pause=0.1, orphan=2, family=[FAMILY, str(tmp_path / "pid")], sleeper=[SLEEPER])
    orphan = grandchild_of(home, tmp_path / "pid")
    (tmp_path / "pid").unlink()
    killed = time.monotonic()
    os.kill(pid_of(home, "family"), signal.SIGKILL)
    successor = grandchild_of(home, tmp_path / "pid")
    assert alive(orphan), "it may still have a task to end"
    until(lambda: not alive(orphan))
    assert time.monotonic() - killed >= 2
    assert alive(successor)
    assert alive(pid_of(home, "sleeper"))


def test_a_second_start_finds_the_first_and_starts_again_what_has_ended(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[float] = []
    monkeypatch.setattr(LocalStack, "_wait_until_ready", lambda *_: None)
    monkeypatch.setattr(LocalStack, "_finish_start", lambda _, since, __: finished.append(since))
    _, record = run_supervisor(home, sleeper=[SLEEPER], other=[SLEEPER])
    told: list[str] = []
    assert LocalStack(home).start(told.append) is False
    assert told == []
    assert finished == [record.supervisor.started], "it may have been left half started"
    before = pid_of(home, "other")
    os.kill(before, signal.SIGKILL)
    until(lambda: LocalStack(home).processes.keys() == {"sleeper"})
    assert LocalStack(home).start(told.append) is False
    assert told == ["Starting again: other"]
    assert pid_of(home, "other") != before


def test_a_record_of_another_boot_or_a_reused_process_id_is_stale_and_nobody_is_killed(
    tmp_path: Path,
) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    try:
        started = psutil.Process(bystander.pid).create_time()
        reused = ProcessId(pid=bystander.pid, started=started - 3600)
        for name, supervisor, booted in (
            ("reused", reused, psutil.boot_time()),
            ("rebooted", ProcessId(pid=4_000_000, started=started), psutil.boot_time() - 86_400),
        ):
            home = tmp_path / name
            home.mkdir()
            write_record(home, _record(supervisor, booted))
            assert running_stack(home) is None
            assert stop_stack(home) is False
            assert not record_file(home).exists()
        assert alive(bystander.pid)
    finally:
        bystander.kill()
        bystander.wait()


def test_another_sessions_processes_are_no_members(home: Path) -> None:
    _, record = run_supervisor(home, sleeper=[SLEEPER])
    assert [process.pid for process in session_members(record.supervisor)] == [pid_of(home, "sleeper")]


def test_a_torn_or_foreign_record_is_no_record(tmp_path: Path) -> None:
    for text in ("", "{", json.dumps({"pid": 1}), "[]"):
        record_file(tmp_path).write_text(text)
        assert read_record(tmp_path) is None


def _record(supervisor: ProcessId, booted: float) -> StackRecord:
    return StackRecord(
        url="http://127.0.0.1:9",
        simulator_url=None,
        username="admin",
        password_file="password.json",
        booted=booted,
        supervisor=supervisor,
    )


def test_a_port_that_is_taken_is_refused_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStack, "_migrate", lambda *_: pytest.fail("it went on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=f"Port {port} is taken"):
            LocalStack(home, port=port).start()


@pytest.mark.parametrize("how", ["fails", "is_interrupted"])
def test_a_start_that_fails_leaves_nothing_running(
    home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def give_up(*_: object) -> None:
        raise StackError("not ready") if how == "fails" else KeyboardInterrupt

    monkeypatch.setattr(stack, "component_commands", lambda _: {"sleeper": [sys.executable, "-c", SLEEPER]})
    monkeypatch.setattr(LocalStack, "_migrate", lambda *_: None)
    monkeypatch.setattr(LocalStack, "_wait_until_ready", give_up)
    records: list[StackRecord] = []
    supervise = LocalStack._supervise

    def remember(self: LocalStack, *arguments: object) -> None:
        supervise(self, *arguments)  # type: ignore[arg-type]
        record = read_record(self.home)
        assert record is not None
        records.append(record)

    monkeypatch.setattr(LocalStack, "_supervise", remember)
    with pytest.raises((StackError, KeyboardInterrupt)):
        LocalStack(home).start()
    (record,) = records
    assert not record.runs()
    assert record.leftovers() == []
    assert running_stack(home) is None
