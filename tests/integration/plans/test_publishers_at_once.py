"""Planners that publish at the same moment lose nothing, and nobody ever reads half a plan."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chassis.errors import PlanNotFoundError
from chassis.plans.store import PlanStore
from tests.integration.s3 import CONN_ID

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).with_name("publishers.py")
COUNT = {"folder": 50, "s3": 5}


@pytest.fixture(params=["folder", "s3"])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int]:
    """Root of a store and the number of planners; fewer on S3, where each makes an AWS client of its own."""
    root = str(tmp_path / "plans") if request.param == "folder" else str(request.getfixturevalue("s3_root"))
    return root, COUNT[request.param]


def start(root: str, count: int, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), root, CONN_ID, str(count), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def watch(crowd: subprocess.Popen[str], look: Callable[[], None]) -> list[dict[str, Any]]:
    """Look at the store again and again while planners publish; what they were told."""
    try:
        while crowd.poll() is None:
            look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                crowd.wait(timeout=0.02)
        out, err = crowd.communicate(timeout=60)
    finally:
        crowd.kill()
    assert crowd.returncode == 0, err
    return [json.loads(line) for line in out.splitlines() if line.startswith('{"title"')]


def test_many_workflows_published_at_once_are_all_there(crowd: tuple[str, int]) -> None:
    root, count = crowd
    store = PlanStore(root, CONN_ID)
    seen: list[int] = []

    def look() -> None:
        heads = store.heads()
        assert all(store.read(ref).id == ref.id for ref in heads.values())
        seen.append(len(heads))

    told = watch(start(root, count, "different"), look)
    assert [entry["revision"] for entry in told] == [1] * count
    assert {store.read(ref).title for ref in store.heads().values()} == {f"Plan {n}" for n in range(count)}
    assert seen == sorted(seen), "a plan that was visible may not vanish"


def test_many_revisions_of_one_workflow_published_at_once_are_all_there(crowd: tuple[str, int]) -> None:
    root, count = crowd
    store = PlanStore(root, CONN_ID)
    heads: list[int] = []

    def look() -> None:
        try:
            head = store.get("shared")
        except PlanNotFoundError:
            assert not heads
            return
        assert store.read(head).id == "shared"
        heads.append(head.revision)

    told = watch(start(root, count, "same"), look)
    assert sorted(entry["revision"] for entry in told) == list(range(1, count + 1))
    stored = {ref.revision: store.read(ref).title for ref in store.revisions("shared")}
    assert stored == {entry["revision"]: entry["title"] for entry in told}
    assert heads == sorted(heads), "the newest revision may not become an older one"
