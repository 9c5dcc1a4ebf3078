"""The plan store: every revision of every workflow's plan, in files that are written once and never changed.

The problem: workflows are planned again while their runs continue; planners publish at the same moment, on several
machines, and any of them may be killed. A run must find the exact plan it started with, years later.

Layout, below one root (a folder or an S3 prefix, see ``chassis.files``)::

    add_pet_insurance/000001-5f0c8a1b2c3d.yaml           revision 1; then the start of the plan's digest
    add_pet_insurance/000002-5f0c8a1b2c3d.retired.yaml   revision 2 retires the workflow; same plan
    .claims/add_pet_insurance/000001                     revision number 1 is taken
    .versions/0011223344556677.json                      newest plans, for a version of the bundle

Invariants that must not be relaxed:

1. A revision number is claimed before its plan is written, and belongs to one publisher for ever. So no plan is
   overwritten, and a publisher that died leaves a gap in the numbers, never half a plan.
2. The listing is the index: a plan is published once its file has its name; nothing else needs to be kept in step.
3. Nothing is deleted. A pinned run needs its old plan; retiring a workflow is a revision, too.
4. A plan is trusted only if its digest is the one in its name, so a file edited by hand is refused. (The digest leaves
   out the provenance and the YAML layout; see ``chassis.workflow.plan_digest``.)
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.crashpoints import PLAN_WRITTEN, REVISION_CLAIMED, reached
from chassis.errors import NotStoredError, PlanError, PlanFault, PlanNotFoundError, StoreError
from chassis.files import open_files
from chassis.plans.refs import (
    MAX_REVISION,
    PlanRef,
    check_id,
    is_id,
    is_version,
    manifest_of,
    newest,
    version_of,
)
from chassis.workflow import WorkflowSpec, dump_plan, load_plan, plan_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLAIMS = ".claims"
VERSIONS = ".versions"


@dataclass(frozen=True, slots=True)
class Published:
    """The result of publishing.

    :ivar digest: the plan's digest, 64 hexadecimal digits
    :ivar name: the revision's file name
    :ivar changed: False if the newest revision already was this plan, and nothing was written
    """

    workflow_id: str
    revision: int
    digest: str
    name: str
    changed: bool


class PlanStore:
    """The plans below one root. Nothing is kept in memory: every answer is read from the store at that moment.

    :param root: absolute folder, or ``s3://bucket/prefix``
    :param conn_id: Airflow connection for S3; empty for AWS's default chain
    :param cache: folder on this machine for copies from S3; None to keep none. A store in a folder is always read
        directly.
    :raises SettingsError: the root is unusable
    """

    def __init__(self, root: str, conn_id: str = "", *, cache: str | Path | None = None) -> None:
        self._files = open_files(root, conn_id, Path(cache) if cache else None)

    def publish(self, spec: WorkflowSpec) -> Published:
        """Make a plan the newest revision of its workflow, unless it already is.

        If two publish at once, the one with the higher number wins; the other's plan is in the history.

        :raises StoreError: it is unknown whether the plan is stored; publishing again is safe
        """
        return self._append(spec.id, dump_plan(spec), plan_digest(spec), retired=False)

    def retire(self, workflow_id: str) -> Published:
        """Retire a workflow, so that it doesn't run any more. Its history stays; publishing a plan brings it back.

        :raises PlanNotFoundError: there is no such workflow
        :raises PlanError: its newest plan is broken; publish a good one first
        """
        head = self.get(workflow_id)
        digest = plan_digest(self.read(head))
        return self._append(workflow_id, self.read_text(head), digest, retired=True)

    def _append(self, workflow_id: str, text: str, digest: str, *, retired: bool) -> Published:
        revisions = self.revisions(workflow_id)
        if revisions and self._is_plan(revisions[-1], digest, retired=retired):
            return self._published(revisions[-1], digest, changed=False)
        number = self._claim(workflow_id, revisions[-1].revision + 1 if revisions else 1)
        reached(REVISION_CLAIMED)
        ref = PlanRef(workflow_id, number, digest[:12], retired=retired)
        self._files.write(ref.path, text.encode())
        reached(PLAN_WRITTEN)
        return self._published(ref, digest, changed=True)

    def _is_plan(self, ref: PlanRef, digest: str, *, retired: bool) -> bool:
        """Whether a revision is this plan. A broken one isn't, so publishing again repairs it."""
        if ref.retired != retired or not digest.startswith(ref.digest12):
            return False
        try:
            return plan_digest(self.read(ref)) == digest
        except PlanError:
            return False

    def _claim(self, workflow_id: str, number: int) -> int:
        """The first free number, starting at ``number``."""
        for candidate in range(number, MAX_REVISION + 1):
            if self._files.claim(f"{CLAIMS}/{workflow_id}/{candidate:06d}"):
                return candidate
        raise StoreError(
            f"Workflow '{workflow_id}' has used up its {MAX_REVISION} revisions.",
            hint="Plan it under another workflow id.",
        )

    @staticmethod
    def _published(ref: PlanRef, digest: str, *, changed: bool) -> Published:
        return Published(ref.id, ref.revision, digest, ref.name, changed)

    def heads(self) -> dict[str, PlanRef]:
        """The newest revision of every workflow, by its id, from one listing.

        :raises StoreError: the listing failed; that doesn't mean that the store is empty
        """
        return newest(self._refs(self._files.names_below(is_id)))

    def revisions(self, workflow_id: str) -> tuple[PlanRef, ...]:
        """Every revision of a workflow, oldest first; none if there is no such workflow."""
        check_id(workflow_id)
        return tuple(
            sorted(self._refs(self._files.names(workflow_id)), key=lambda ref: (ref.revision, ref.name))
        )

    @staticmethod
    def _refs(paths: Iterable[str]) -> list[PlanRef]:
        split = (path.split("/") for path in paths)
        return [ref for parts in split if len(parts) == 2 and (ref := PlanRef.parse(*parts))]

    def get(self, workflow_id: str, revision: int | None = None) -> PlanRef:
        """One revision of a workflow, by default its newest.

        :raises PlanNotFoundError: names the workflow that was perhaps meant, or the existing revisions
        """
        revisions = self.revisions(workflow_id)
        if not revisions:
            near = difflib.get_close_matches(workflow_id, self.heads(), n=1)
            hint = (
                f"Did you mean '{near[0]}'?" if near else "'chassis list' shows the workflows that there are."
            )
            raise PlanNotFoundError(f"There is no workflow '{workflow_id}' in the plan store.", hint=hint)
        if revision is None:
            return revisions[-1]
        for ref in reversed(revisions):
            if ref.revision == revision:
                return ref
        there = ", ".join(str(ref.revision) for ref in revisions)
        raise PlanNotFoundError(
            f"Workflow '{workflow_id}' has no revision {revision}.", hint=f"It has: {there}."
        )

    def read(self, ref: PlanRef) -> WorkflowSpec:
        """The plan of a revision.

        :raises PlanError: the file isn't the plan that was published under this name; the message names the file
        :raises PlanNotFoundError: there is no such file
        :raises StoreError: the file can't be read
        """
        where = self.locate(ref)
        spec = load_plan(self.read_text(ref), source=where)
        if spec.id != ref.id:
            raise _edited(where, f"it is the plan of workflow '{spec.id}', not of '{ref.id}'")
        if not plan_digest(spec).startswith(ref.digest12):
            raise _edited(where, f"its digest is {plan_digest(spec)[:12]}, its name says {ref.digest12}")
        return spec

    def read_text(self, ref: PlanRef) -> str:
        """The unchecked text of a revision's file. Raises the same errors as :meth:`read`."""
        try:
            return self._read(ref.path).decode()
        except UnicodeDecodeError as error:
            raise _edited(self.locate(ref), f"it isn't UTF-8 text: {error}") from error

    def _read(self, path: str) -> bytes:
        try:
            return self._files.read(path)
        except NotStoredError as error:
            raise PlanNotFoundError(error.message) from error

    def fetch(self, refs: Iterable[PlanRef]) -> None:
        """Copy plans to the cache, so that reading them can't fail because of the network.

        :raises StoreError: not all of them are there
        """
        self._files.fetch(ref.path for ref in refs)

    def locate(self, ref: PlanRef) -> str:
        """The path or address of a revision's file, for people."""
        return self._files.locate(ref.path)

    def record_version(self, heads: Mapping[str, PlanRef]) -> str:
        """Store a set of heads for ever and return its name: the same heads always have the same name.

        :raises StoreError: it is unknown whether it is stored; recording it again is safe
        """
        manifest = manifest_of(heads)
        version = version_of(manifest)
        self._files.write(f"{VERSIONS}/{version}.json", manifest.encode())
        return version

    def version_heads(self, version: str) -> dict[str, PlanRef]:
        """The set of heads that :meth:`record_version` stored under a name.

        :raises PlanNotFoundError: there is no such version
        :raises PlanError: its file was edited by hand
        :raises StoreError: its file can't be read
        """
        if not is_version(version):
            raise PlanNotFoundError(f"There is no version {version!r} of the plans.")
        path = f"{VERSIONS}/{version}.json"
        content = self._read(path)
        manifest = content.decode(errors="replace")
        if version_of(manifest) != version:
            raise _edited(self._files.locate(path), "its content isn't the one that its name stands for")
        names: dict[str, str] = json.loads(manifest)["workflows"]
        return newest(ref for workflow_id, name in names.items() if (ref := PlanRef.parse(workflow_id, name)))


def newest_plan(store: PlanStore, workflow_id: str) -> WorkflowSpec | None:
    """A workflow's newest plan; None if none is readable, so that there is nothing to keep or compare.

    :raises StoreError: the store can't tell
    """
    revisions = store.revisions(workflow_id) if is_id(workflow_id) else ()
    try:
        return store.read(revisions[-1]) if revisions else None
    except PlanError:
        return None


def _edited(where: str, what: str) -> PlanError:
    return PlanError(
        [PlanFault("edited", where, what)],
        subject="A file of the plan store",
        hint="It was changed by hand. Put the original back, or publish the plan again as a new revision.",
    )
