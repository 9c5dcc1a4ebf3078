"""What a plan store promises, whatever it is kept in: each test runs on a folder and on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.errors import PlanError, PlanNotFoundError, StoreError
from chassis.files import open_files
from chassis.plans.refs import PlanRef
from chassis.plans.store import PlanStore
from chassis.workflow import dump_plan, plan_digest
from tests.integration.s3 import CONN_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.workflow import WorkflowSpec

    Plan = Callable[..., WorkflowSpec]


def test_a_new_store_is_empty(store: PlanStore) -> None:
    assert store.heads() == {}
    assert store.revisions("add_pet") == ()


def test_a_published_plan_is_read_back_as_it_was(store: PlanStore, plan: Plan) -> None:
    spec = plan("add_pet", "Ein schöner Titel 🐕")
    published = store.publish(spec)
    ref = store.get("add_pet")
    assert published.changed
    assert (published.workflow_id, published.revision, published.digest) == ("add_pet", 1, plan_digest(spec))
    assert published.name == ref.name
    assert store.read(ref) == spec
    assert store.read_text(ref) == dump_plan(spec)


def test_another_process_sees_what_was_published(store: PlanStore, root: str, plan: Plan) -> None:
    """A store object keeps nothing: neither what it listed before nor that a file wasn't there."""
    other = PlanStore(root, CONN_ID)
    assert other.heads() == {}
    for title, revision in (("One", 1), ("Two", 2)):
        spec = plan("add_pet", title)
        expected = PlanRef("add_pet", revision, plan_digest(spec)[:12])
        with pytest.raises(PlanNotFoundError):
            other.read_text(expected)
        store.publish(spec)
        assert other.read(expected) == spec
        assert other.heads() == {"add_pet": expected}


def test_the_newest_plan_published_again_changes_nothing(store: PlanStore, plan: Plan) -> None:
    first = store.publish(plan("add_pet"))
    again = store.publish(plan("add_pet"))
    assert (again.changed, again.revision, again.name) == (False, 1, first.name)
    assert len(store.revisions("add_pet")) == 1


def test_an_older_plan_published_again_is_a_new_revision(store: PlanStore, plan: Plan) -> None:
    for title in ("One", "Two", "One"):
        assert store.publish(plan("add_pet", title)).changed
    revisions = store.revisions("add_pet")
    assert [ref.revision for ref in revisions] == [1, 2, 3]
    assert [store.read(ref).title for ref in revisions] == ["One", "Two", "One"]
    assert store.heads() == {"add_pet": revisions[-1]}


def test_workflows_are_listed_by_id_each_with_its_newest_revision(store: PlanStore, plan: Plan) -> None:
    for workflow_id in ("report", "add_pet", "onboard"):
        store.publish(plan(workflow_id))
    store.publish(plan("onboard", "Two"))
    assert [(ref.id, ref.revision) for ref in store.heads().values()] == [
        ("add_pet", 1),
        ("onboard", 2),
        ("report", 1),
    ]


def test_a_workflow_whose_id_begins_like_another_is_not_mixed_up_with_it(
    store: PlanStore, plan: Plan
) -> None:
    store.publish(plan("add"))
    store.publish(plan("add_pet"))
    assert [ref.id for ref in store.revisions("add")] == ["add"]


def test_a_revision_is_found_by_its_number(store: PlanStore, plan: Plan) -> None:
    for title in ("One", "Two"):
        store.publish(plan("add_pet", title))
    assert store.read(store.get("add_pet", 1)).title == "One"
    assert store.read(store.get("add_pet")).title == "Two"


def test_what_is_not_there_is_named_with_what_is(store: PlanStore, plan: Plan) -> None:
    store.publish(plan("add_pet"))
    with pytest.raises(PlanNotFoundError, match="Did you mean 'add_pet'") as caught:
        store.get("add_pets")
    assert not caught.value.retryable
    with pytest.raises(PlanNotFoundError, match=r"no revision 7.*It has: 1"):
        store.get("add_pet", 7)


def test_a_retired_workflow_keeps_its_history_and_comes_back_with_its_next_plan(
    store: PlanStore, plan: Plan
) -> None:
    store.publish(plan("add_pet"))
    retired = store.retire("add_pet")
    assert (retired.changed, retired.revision) == (True, 2)
    head = store.heads()["add_pet"]
    assert head.retired
    assert store.read(head) == plan("add_pet")
    assert not store.retire("add_pet").changed
    back = store.publish(plan("add_pet"))
    assert (back.changed, back.revision) == (True, 3)
    assert [ref.retired for ref in store.revisions("add_pet")] == [False, True, False]


def test_only_a_workflow_that_is_there_can_be_retired(store: PlanStore) -> None:
    with pytest.raises(PlanNotFoundError):
        store.retire("add_pet")
    assert store.heads() == {}


@pytest.mark.parametrize("workflow_id", ["../outside", "/etc", ".versions", "a/../b", ""])
def test_no_path_leads_out_of_the_store(store: PlanStore, plan: Plan, workflow_id: str) -> None:
    """The spec refuses such an id; a spec made around its checks meets the store's own."""
    forged = plan("add_pet").model_copy(update={"id": workflow_id})
    for attempt in (
        lambda: store.publish(forged),
        lambda: store.retire(workflow_id),
        lambda: store.get(workflow_id),
        lambda: store.revisions(workflow_id),
    ):
        with pytest.raises(PlanError, match="an id begins with a small letter"):
            attempt()
    assert store.heads() == {}


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "another instruction": lambda text: text.replace(b"Do it.", b"Do that."),
    "another workflow": lambda text: text.replace(b"id: add_pet", b"id: add_bet"),
    "a plan that breaks a rule": lambda text: text.replace(b"id: first", b"id: plan__first"),
    "no YAML": lambda _: b"{",
    "cut in half": lambda text: text[: len(text) // 2],
    "empty": lambda _: b"",
    "another encoding": lambda text: text.replace(b"A title", "Ä".encode("latin-1")),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_file_that_was_edited_by_hand_is_refused_by_name_and_publishing_repairs_it(
    store: PlanStore, root: str, plan: Plan, edit: Callable[[bytes], bytes]
) -> None:
    store.publish(plan("add_pet"))
    ref = store.get("add_pet")
    files = open_files(root, CONN_ID)
    files.write(ref.path, edit(files.read(ref.path)))
    with pytest.raises(PlanError) as caught:
        store.read(ref)
    assert store.locate(ref) in str(caught.value)
    assert store.heads() == {"add_pet": ref}, "a broken plan is there, and says that it is broken"
    repaired = store.publish(plan("add_pet"))
    assert (repaired.changed, repaired.revision) == (True, 2)
    assert store.read(store.get("add_pet")) == plan("add_pet")


def test_a_plan_in_another_workflows_folder_is_refused(store: PlanStore, root: str, plan: Plan) -> None:
    store.publish(plan("add_pet"))
    ref = store.get("add_pet")
    files = open_files(root, CONN_ID)
    files.write(f"report/{ref.name}", files.read(ref.path))
    with pytest.raises(PlanError, match="it is the plan of workflow 'add_pet', not of 'report'"):
        store.read(store.get("report"))


def test_stray_files_are_no_plans(store: PlanStore, root: str, plan: Plan) -> None:
    store.publish(plan("add_pet"))
    files = open_files(root, CONN_ID)
    for stray in ("add_pet/000002-0123456789ab.yaml~", "add_pet/notes.txt", "add_pet/.000009-x.tmp"):
        files.write(stray, b"")
    assert [ref.revision for ref in store.revisions("add_pet")] == [1]
    assert list(store.heads()) == ["add_pet"]


def test_a_number_is_claimed_once(root: str) -> None:
    files = open_files(root, CONN_ID)
    assert files.claim(".claims/add_pet/000001")
    assert not files.claim(".claims/add_pet/000001")
    assert not open_files(root, CONN_ID).claim(".claims/add_pet/000001")


def test_a_number_that_is_taken_is_passed_over(store: PlanStore, root: str, plan: Plan) -> None:
    for number in (1, 2):
        open_files(root, CONN_ID).claim(f".claims/add_pet/{number:06d}")
    assert store.publish(plan("add_pet")).revision == 3


def test_when_all_numbers_are_used_up_publishing_says_so(store: PlanStore, root: str, plan: Plan) -> None:
    digest = plan_digest(plan("add_pet"))[:12]
    open_files(root, CONN_ID).write(f"add_pet/999999-{digest}.yaml", b"")
    with pytest.raises(StoreError, match="used up its 999999 revisions"):
        store.publish(plan("add_pet", "Another"))


def test_a_version_holds_its_heads_for_ever(store: PlanStore, plan: Plan) -> None:
    store.publish(plan("add_pet", "One"))
    store.publish(plan("report"))
    store.retire("report")
    heads = store.heads()
    version = store.record_version(heads)
    store.publish(plan("add_pet", "Two"))
    assert store.version_heads(version) == heads
    assert store.record_version(heads) == version
    assert store.record_version(store.heads()) != version


@pytest.mark.parametrize("version", ["0123456789abcdef", "../add_pet/000001", ""])
def test_a_version_that_never_was_is_not_found(store: PlanStore, version: str) -> None:
    with pytest.raises(PlanNotFoundError, match="version"):
        store.version_heads(version)


def test_a_version_that_was_edited_by_hand_is_refused(store: PlanStore, root: str, plan: Plan) -> None:
    store.publish(plan("add_pet"))
    version = store.record_version(store.heads())
    files = open_files(root, CONN_ID)
    files.write(f".versions/{version}.json", files.read(f".versions/{version}.json") + b" ")
    with pytest.raises(PlanError, match=version):
        store.version_heads(version)


def test_a_folder_is_always_read_itself_and_never_from_copies(tmp_path: Path, plan: Plan) -> None:
    """Who breaks a plan in the folder sees it break."""
    store = PlanStore(str(tmp_path / "plans"), cache=tmp_path / "copies")
    store.publish(plan("add_pet"))
    store.fetch(store.heads().values())
    store.read(store.get("add_pet"))
    assert not (tmp_path / "copies").exists()
