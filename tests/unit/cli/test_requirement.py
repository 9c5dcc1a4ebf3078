"""The requirement: on the line, in a file, or from standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow, FakeDag

LONG = "Onboard a product.\n\nIt is called “Pet & Co”: \t50 % off.\n" * 100


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("where", ["file", "-"])
def test_a_long_text_comes_from_a_file_or_standard_input_as_it_is(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, tmp_path: Path, command: str, where: str
) -> None:
    file = tmp_path / "requirement.md"
    file.write_bytes(b"\xef\xbb\xbf" + LONG.replace("\n", "\r\n").encode())
    name, stdin = (str(file), "") if where == "file" else ("-", LONG)
    result = chassis(command, "--requirement-file", name, stdin=stdin)
    assert result.exit_code == 0, result.output
    (sent,) = fake.sent("POST", "/dags/plan_workflow/dagRuns")
    assert sent["conf"]["requirement"] == LONG.strip()


@pytest.mark.parametrize(
    ("arguments", "content", "words"),
    [
        ((), b"", "Say what is to be done, once."),
        (("Onboard", "--requirement-file", "FILE"), b"x", "Say what is to be done, once."),
        ((" \n",), b"", "The requirement is blank."),
        (("--requirement-file", "FILE"), b" \n", "The requirement is blank."),
        (("--requirement-file", "FILE"), b"caf\xe9", "is not text in UTF-8"),
        (("--requirement-file", "FILE"), b"x" * 100_001, "has 100,001 characters"),
        (("x" * 100_001,), b"", "has 100,001 characters"),
        (("--requirement-file", "/dev/zero"), b"", "is too long"),
        (("--requirement-file", "/nonexistent"), b"", "No such file or directory"),
        (("--requirement-file", "FILE"), b"a\x1b[31mb", "control character U+001B"),
    ],
)
def test_what_cannot_be_one_is_refused_before_anything_is_asked(
    chassis: Chassis,
    fake: FakeAirflow,
    planner: FakeDag,
    tmp_path: Path,
    arguments: tuple[str, ...],
    content: bytes,
    words: str,
) -> None:
    file = tmp_path / "requirement.md"
    file.write_bytes(content)
    result = chassis("plan", *(str(file) if each == "FILE" else each for each in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert fake.requests == []
