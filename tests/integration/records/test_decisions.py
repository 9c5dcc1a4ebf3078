"""The log of who decided what on a plan, in a folder and on S3."""

from __future__ import annotations

import pytest

from chassis.files import open_files
from chassis.records.decisions import Decision, Decisions
from tests.integration.s3 import CONN_ID

PROPOSED = Decision(kind="proposed", at="2026-03-02T00:00:00+00:00", digest="d1")
APPROVED = Decision(kind="approved", at="2026-03-02T00:00:09+00:00", by="Ada", by_id="ada", digest="d1")


@pytest.fixture
def decisions(root: str) -> Decisions:
    return Decisions(open_files(root, CONN_ID, what="record store"), "plan_workflow", "a run")


def test_a_step_that_is_taken_again_in_a_later_try_is_there_once(decisions: Decisions) -> None:
    assert [decisions.add(each) for each in (PROPOSED, APPROVED, APPROVED)] == [1, 2, 2]
    assert decisions.all() == {1: PROPOSED, 2: APPROVED}


def test_the_newest_decision_counts_also_when_it_was_taken_before(decisions: Decisions) -> None:
    rejected = Decision(kind="rejected", at="2026-03-02T00:01:00+00:00", digest="d1")
    steps = (PROPOSED, APPROVED, rejected, APPROVED)
    settled = [decisions.settled() for each in steps if decisions.add(each)]
    assert settled == ["", "d1", "", "d1"]
