"""Names: of a plan's revision, of a set of heads, of a workflow's loader file.

Standard library only: this is imported at every task start. A :class:`PlanRef` can't hold a path trick, because it
consists only of a workflow id, a number and hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.errors import PlanError, PlanFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_REVISION = 999_999
_ID = re.compile(r"[a-z][a-z0-9_]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{12}")
_VERSION = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"([0-9]{6})-([0-9a-f]{12})(\.retired)?\.yaml")


@dataclass(frozen=True, slots=True)
class PlanRef:
    """One immutable revision of a workflow's plan.

    :ivar id: the workflow's id, which is also its DAG id
    :ivar revision: from 1; numbers grow with time but may have gaps (left by publishers that died)
    :ivar digest12: the first twelve characters of the plan's digest
    :ivar retired: the revision retires the workflow; it holds the plan that was the newest until then
    :raises PlanError: a part is invalid
    """

    id: str
    revision: int
    digest12: str
    retired: bool = False

    def __post_init__(self) -> None:
        check_id(self.id)
        if not 1 <= self.revision <= MAX_REVISION or not _DIGEST.fullmatch(self.digest12):
            fault = PlanFault("revision", f"workflow '{self.id}'", f"there can't be a revision {self.name!r}")
            raise PlanError([fault], subject="The name of a plan")

    @property
    def name(self) -> str:
        """File name in the workflow's folder."""
        return f"{self.revision:06d}-{self.digest12}{'.retired' if self.retired else ''}.yaml"

    @property
    def path(self) -> str:
        """Path below the store's root."""
        return f"{self.id}/{self.name}"

    @classmethod
    def parse(cls, workflow_id: str, name: str) -> PlanRef | None:
        """The revision that a file name stands for; None for other files, such as an editor's backup."""
        match = _NAME.fullmatch(name)
        if not match or not is_id(workflow_id) or int(match[1]) == 0:
            return None
        return cls(workflow_id, int(match[1]), match[2], retired=match[3] is not None)


def is_id(text: str) -> bool:
    """Whether a text can be a workflow's id."""
    return _ID.fullmatch(text) is not None


def check_id(workflow_id: str) -> None:
    """Refuse what can't be a workflow's id before it becomes part of a path.

    :raises PlanError: it can't
    """
    if not is_id(workflow_id):
        rule = "an id begins with a small letter and has up to 100 small letters, digits and underscores"
        raise PlanError([PlanFault("workflow_id", repr(workflow_id), rule)], subject="The name of a plan")


def is_version(text: str) -> bool:
    """Whether a text can be a version from :func:`version_of`."""
    return _VERSION.fullmatch(text) is not None


def newest(refs: Iterable[PlanRef]) -> dict[str, PlanRef]:
    """The newest revision of each workflow, by its id, in the order of the ids."""
    heads: dict[str, PlanRef] = {}
    for ref in refs:
        held = heads.get(ref.id)
        if held is None or (ref.revision, ref.name) > (held.revision, held.name):
            heads[ref.id] = ref
    return {workflow_id: heads[workflow_id] for workflow_id in sorted(heads)}


def manifest_of(heads: Mapping[str, PlanRef]) -> str:
    """The canonical text that lists each workflow's plan file: same heads, same text, in any process."""
    workflows = {workflow_id: ref.name for workflow_id, ref in heads.items()}
    return json.dumps({"workflows": workflows}, sort_keys=True, indent=0) + "\n"


def version_of(manifest: str) -> str:
    """A manifest's name: sixteen hexadecimal digits of its sha256."""
    return hashlib.sha256(manifest.encode()).hexdigest()[:16]


def shard_of(workflow_id: str, shards: int) -> int:
    """The number, from 0, of a workflow's loader file; the same on every machine."""
    return int.from_bytes(hashlib.sha256(workflow_id.encode()).digest()[:8], "big") % shards
