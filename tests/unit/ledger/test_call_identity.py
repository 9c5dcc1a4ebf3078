"""Who asks for a call, as data."""

from __future__ import annotations

from chassis.ledger.call_identity import CallIdentity


def test_an_identity_survives_the_way_through_a_triggers_arguments() -> None:
    identity = CallIdentity(dag_id="d", run_id="r", clear_number=2, task_id="t", item="a b", map_index=3)
    assert CallIdentity.model_validate(identity.model_dump(mode="json")) == identity
    assert identity.task_key == ("t", "a b")
