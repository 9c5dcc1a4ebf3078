"""Whatever is published, retired, read and broken, in any order: the store's invariants hold."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from chassis.errors import PlanError, PlanNotFoundError
from chassis.plans.refs import PlanRef
from chassis.plans.store import CLAIMS, PlanStore
from chassis.workflow import WorkflowSpec, check_plan, plan_digest

IDS = ("add", "add_pet", "report")
TITLES = ("One", "Two", "Drei äöü 🐕", "{{ 6 * 7 }}")


def plan(workflow_id: str, title: str) -> WorkflowSpec:
    task = {"id": "first", "name": "First", "instruction": "Do it."}
    data = {"schema_version": 1, "id": workflow_id, "title": title, "requirement": "Do it.", "tasks": [task]}
    return check_plan(data)


class Store(RuleBasedStateMachine):
    """A store in a folder, next to a list of what must be in it."""

    versions: Bundle[tuple[str, dict[str, PlanRef]]] = Bundle("versions")
    refs: Bundle[PlanRef] = Bundle("refs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.root = self.folder / "plans"
        self.published: dict[str, list[tuple[PlanRef, WorkflowSpec]]] = {}
        self.broken: set[PlanRef] = set()
        self.taken: dict[str, int] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def store(self) -> PlanStore:
        """Another object each time: it keeps nothing in memory."""
        return PlanStore(str(self.root))

    def newest(self, workflow_id: str) -> tuple[PlanRef, WorkflowSpec] | None:
        return (self.published.get(workflow_id) or [None])[-1]

    def appended(self, workflow_id: str, spec: WorkflowSpec, done: Any, *, retired: bool) -> PlanRef:
        ref = PlanRef(workflow_id, done.revision, plan_digest(spec)[:12], retired=retired)
        last = self.newest(workflow_id)
        same = (
            last is not None and last[0] not in self.broken and last[1] == spec and last[0].retired == retired
        )
        assert done.changed is not same
        assert (done.name, done.digest) == (ref.name, plan_digest(spec))
        if done.changed:
            assert ref.revision > max(self.taken.get(workflow_id, 0), last[0].revision if last else 0)
            self.published.setdefault(workflow_id, []).append((ref, spec))
        else:
            assert last is not None
            assert ref == last[0]
        return ref

    @rule(target=refs, workflow_id=st.sampled_from(IDS), title=st.sampled_from(TITLES))
    def publish(self, workflow_id: str, title: str) -> PlanRef:
        spec = plan(workflow_id, title)
        return self.appended(workflow_id, spec, self.store.publish(spec), retired=False)

    @rule(workflow_id=st.sampled_from(IDS))
    def retire(self, workflow_id: str) -> None:
        last = self.newest(workflow_id)
        if last is None:
            with pytest.raises(PlanNotFoundError):
                self.store.retire(workflow_id)
        elif last[0] in self.broken:
            with pytest.raises(PlanError):
                self.store.retire(workflow_id)
        else:
            self.appended(workflow_id, last[1], self.store.retire(workflow_id), retired=True)

    @rule(workflow_id=st.sampled_from(IDS), ahead=st.integers(1, 3))
    def a_publisher_dies_after_its_claim(self, workflow_id: str, ahead: int) -> None:
        last = self.newest(workflow_id)
        number = (last[0].revision if last else 0) + ahead
        claim = self.root / CLAIMS / workflow_id / f"{number:06d}"
        claim.parent.mkdir(parents=True, exist_ok=True)
        claim.touch()
        if ahead == 1:
            self.taken[workflow_id] = max(self.taken.get(workflow_id, 0), number)

    @rule(ref=consumes(refs), how=st.sampled_from([b"", b"{", b"\xff", b"id: other\n", b"&a [*a]"]))
    def somebody_edits_a_plan(self, ref: PlanRef, how: bytes) -> None:
        (self.root / ref.path).write_bytes(how)
        self.broken.add(ref)

    @rule(
        workflow_id=st.sampled_from(IDS),
        name=st.sampled_from(["x.yaml~", "000001-0.yaml", ".000009.tmp", "a/b"]),
    )
    def somebody_leaves_a_file(self, workflow_id: str, name: str) -> None:
        stray = self.root / workflow_id / name
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_text("not a plan")

    @rule(target=versions)
    def record_a_version(self) -> tuple[str, dict[str, PlanRef]]:
        heads = self.store.heads()
        return self.store.record_version(heads), heads

    @rule(version=versions)
    def a_version_stays_what_it_was(self, version: tuple[str, dict[str, PlanRef]]) -> None:
        name, heads = version
        assert self.store.version_heads(name) == heads

    @invariant()
    def the_listing_is_what_was_published(self) -> None:
        store = self.store
        for workflow_id in IDS:
            listed = store.revisions(workflow_id)
            assert list(listed) == [ref for ref, _ in self.published.get(workflow_id, [])]
            assert [ref.revision for ref in listed] == sorted({ref.revision for ref in listed})
        heads = {workflow_id: done[-1][0] for workflow_id, done in self.published.items()}
        assert store.heads() == dict(sorted(heads.items()))

    @precondition(lambda self: self.published)
    @invariant()
    def each_revision_is_the_plan_that_was_published_or_refused(self) -> None:
        for done in self.published.values():
            for ref, spec in done[-3:]:
                if ref in self.broken:
                    with pytest.raises(PlanError):
                        self.store.read(ref)
                else:
                    assert self.store.read(ref) == spec

    @invariant()
    def nothing_lies_beside_the_store(self) -> None:
        assert {path.name for path in self.folder.iterdir()} <= {"plans"}


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
