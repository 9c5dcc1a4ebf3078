"""Answers of Claude, kept before anything is done with them, so that a try that died isn't paid for twice.

An answer belongs to one clear of one task, or of one item of it, and to one payload: an Airflow retry asks the same
and finds it; after a person's clear, or with another prompt, there is nothing to find. A kept answer is only a
saving: one that can't be understood, or was edited, counts as none.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

from chassis.contract.record_paths import RunPaths, path_segment
from chassis.errors import NotStoredError
from chassis.files.sealed import canonical, sealed, unsealed

if TYPE_CHECKING:
    from chassis.files import Files
    from chassis.ledger.call_identity import CallIdentity

log = logging.getLogger(__name__)


class KeptAnswers:
    """The answers kept for one clear of one task. Its methods read and write files, and so block.

    :param files: the record store
    """

    def __init__(self, files: Files, identity: CallIdentity) -> None:
        self._files = files
        self._folder = RunPaths(identity.dag_id, identity.run_id).answers(
            identity.clear_number, identity.task_id, identity.item
        )

    def recall(self, digest: str) -> dict[str, Any] | None:
        """The answer to a payload; None if none is kept.

        :param digest: of the payload, see :func:`payload_digest`
        :raises StoreError: it can't be told whether one is kept
        """
        name = self._name(digest)
        try:
            content = self._files.read(name)
        except NotStoredError:
            return None
        if (found := unsealed("answer", content)) is not None:
            return found[1]
        log.warning("%s is no kept answer, or was edited; the call is made again.", self._files.locate(name))
        return None

    def keep(self, digest: str, answer: dict[str, Any]) -> None:
        """Keep an answer, as JSON. One that is kept already stays, unless it is broken.

        :raises TypeError: something in it is no JSON
        :raises ValueError: a number in it is infinite or none
        :raises StoreError: it is unknown whether the answer is kept; keeping it again is safe
        """
        name, content = self._name(digest), sealed("answer", answer)
        if not self._files.create(name, content) and self.recall(digest) is None:
            self._files.write(name, content)

    def _name(self, digest: str) -> str:
        return f"{self._folder}/{path_segment(digest)}.json"


def payload_digest(payload: dict[str, Any]) -> str:
    """The name of what is asked: the same JSON, in whatever order of keys, has the same.

    :raises TypeError: something in it is no JSON
    :raises ValueError: a number in it is infinite or none
    """
    return hashlib.sha256(canonical(payload)).hexdigest()
