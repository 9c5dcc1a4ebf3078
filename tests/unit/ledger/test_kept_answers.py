"""A kept answer is found again by the same clear of the same task asking the same, and by nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import StoreError
from chassis.ledger.call_identity import CallIdentity
from chassis.ledger.kept_answers import KeptAnswers, payload_digest
from tests.unit.ledger.makers import DAG, RUN, MemoryFiles

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
WHO: dict[str, Any] = {
    "dag_id": DAG,
    "run_id": RUN,
    "clear_number": 0,
    "task_id": "update",
    "item": "billing",
}


def kept(files: MemoryFiles, **changes: Any) -> KeptAnswers:
    return KeptAnswers(files, CallIdentity(**WHO | changes))


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


@given(OBJECTS, st.text())
def test_what_is_kept_is_what_is_recalled(answer: dict[str, Any], digest: str) -> None:
    files = MemoryFiles()
    kept(files).keep(digest, answer)
    assert kept(files).recall(digest) == answer


def test_numbers_as_keys_are_no_obstacle(files: MemoryFiles) -> None:
    """JSON makes them texts, which have another order."""
    kept(files).keep("d", {"blocks": dict.fromkeys(range(12), "text")})
    assert kept(files).recall("d") == {"blocks": {str(number): "text" for number in range(12)}}


@pytest.mark.parametrize("changes", [{"try_number": 2}, {"map_index": 5}])
def test_a_retry_finds_it(files: MemoryFiles, changes: dict[str, Any]) -> None:
    kept(files).keep("d", {"text": "paid"})
    assert kept(files, **changes).recall("d") == {"text": "paid"}


@pytest.mark.parametrize(
    "changes",
    [
        {"dag_id": "other"},
        {"run_id": "other"},
        {"clear_number": 1},
        {"task_id": "other"},
        {"item": "other"},
        {"item": None},
        {"item": "_"},
        {"item": "billing "},
    ],
)
def test_nobody_else_does(files: MemoryFiles, changes: dict[str, Any]) -> None:
    kept(files).keep("d", {"text": "paid"})
    assert kept(files, **changes).recall("d") is None
    assert kept(files).recall("other payload") is None


def test_every_part_of_who_asks_is_tried_here() -> None:
    assert set(CallIdentity.model_fields) == {*WHO, "try_number", "map_index"}


def test_what_is_kept_stays(files: MemoryFiles) -> None:
    kept(files).keep("d", {"text": "first"})
    kept(files).keep("d", {"text": "second"})
    assert kept(files).recall("d") == {"text": "first"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"\xff",
        b"[]",
        b"{}",
        b'{"answer": {"text": "edited"}}',
        b'{"answer": {"text": "edited"}, "sha256": "' + b"0" * 64 + b'"}\n',
    ],
)
def test_an_edited_one_is_none_is_said_and_is_replaced(
    files: MemoryFiles, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    kept(files).keep("d", {"text": "paid"})
    [name] = files.content
    files.content[name] = content
    assert kept(files).recall("d") is None
    assert name in caplog.text
    kept(files).keep("d", {"text": "paid again"})
    assert kept(files).recall("d") == {"text": "paid again"}


def test_one_letter_changed_is_noticed(files: MemoryFiles) -> None:
    kept(files).keep("d", {"text": "paid"})
    [name] = files.content
    files.content[name] = files.content[name].replace(b"paid", b"laid")
    assert kept(files).recall("d") is None


def test_unreadable_is_not_absent(files: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> bytes:
        raise StoreError("No access.")

    monkeypatch.setattr(files, "read", fail)
    with pytest.raises(StoreError):
        kept(files).recall("d")


@pytest.mark.parametrize("task_id", ["../../../etc", "group.task", "a/b", ".."])
def test_no_id_leads_out_of_the_runs_folder(files: MemoryFiles, task_id: str) -> None:
    kept(files, task_id=task_id, item="../..", run_id="..").keep("../d", {})
    [name] = files.content
    assert name.startswith("add_pet/%2E./answers/0/")
    assert len(name.split("/")) == 7
    assert not {".", "..", ""} & set(name.split("/"))


@given(OBJECTS)
def test_the_digest_does_not_depend_on_the_order_of_keys(payload: dict[str, Any]) -> None:
    shuffled = dict(reversed(payload.items()))
    assert payload_digest(shuffled) == payload_digest(payload)
    assert payload_digest(json.loads(json.dumps(payload))) == payload_digest(payload)


@given(OBJECTS, OBJECTS)
def test_other_payloads_have_other_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (payload_digest(one) == payload_digest(other)) == same


@pytest.mark.parametrize(
    ("one", "other"), [({"a": 1}, {"a": 1.0}), ({"a": 1}, {"a": True}), ({"a": "1"}, {"a": 1})]
)
def test_a_value_of_another_type_is_another_payload(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert payload_digest(one) != payload_digest(other)


@pytest.mark.parametrize(
    ("payload", "error"), [({"a": float("nan")}, ValueError), ({"a": object()}, TypeError)]
)
def test_what_is_no_json_is_refused(payload: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        payload_digest(payload)
