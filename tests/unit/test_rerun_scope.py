"""Which task instances run again with one that is cleared."""

from __future__ import annotations

import pytest

from chassis.rerun_scope import Instance, instances_to_clear

CLAIMS: Instance = ("update", 1)
AFTER_CLAIMS: list[tuple[Instance, str | None]] = [
    (CLAIMS, "failed"),
    (("verify", 1), "upstream_failed"),
    (("report", -1), "upstream_failed"),
]


def test_a_rerun_clears_the_item_and_what_it_kept_from_running() -> None:
    assert instances_to_clear([CLAIMS], AFTER_CLAIMS, downstream=False) == [
        CLAIMS,
        ("verify", 1),
        ("report", -1),
    ]


@pytest.mark.parametrize(
    ("state", "alone", "downstream"),
    [
        ("success", False, True),
        ("upstream_failed", True, True),
        ("skipped", True, True),
        ("removed", True, True),
        ("failed", False, True),
        (None, False, True),
    ],
)
def test_which_followers_run_again_is_decided_by_their_state(
    state: str | None, alone: bool, downstream: bool
) -> None:
    followers = [(CLAIMS, "failed"), (("report", -1), state)]
    assert (("report", -1) in instances_to_clear([CLAIMS], followers, downstream=False)) is alone
    assert (("report", -1) in instances_to_clear([CLAIMS], followers, downstream=True)) is downstream
