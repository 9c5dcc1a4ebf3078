"""Claude's answers, kept before anything is done with them, so that a try that died isn't paid for twice.

An answer belongs to one payload and to one clear of a task, or of one item. An Airflow retry sends the same payload and
finds the answer; after a person's clear, or with another prompt, there is none. A kept answer only saves money: an
invalid or edited one counts as none.
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
    """The answers kept for one clear of one task. Its methods read and write the record store, so they block."""

    def __init__(self, files: Files, identity: CallIdentity) -> None:
        self._files = files
        self._folder = RunPaths(identity.dag_id, identity.run_id).answers(
            identity.clear_number, identity.task_id, identity.item
        )

    def recall(self, digest: str) -> dict[str, Any] | None:
        """Return the kept answer to a payload, or None.

        :param digest: of the payload, see :func:`payload_digest`
        :raises StoreError: it is unknown whether one is kept
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
        """Keep an answer, as JSON. One that is already kept stays, unless it is broken.

        :raises TypeError: it contains something that isn't JSON
        :raises ValueError: it contains an infinite number or NaN
        :raises StoreError: it is unknown whether the answer is kept; keeping it again is safe
        """
        name, content = self._name(digest), sealed("answer", answer)
        if not self._files.create(name, content) and self.recall(digest) is None:
            self._files.write(name, content)

    def _name(self, digest: str) -> str:
        return f"{self._folder}/{path_segment(digest)}.json"


def payload_digest(payload: dict[str, Any]) -> str:
    """Return the payload's digest, which doesn't depend on the order of keys.

    :raises TypeError: it contains something that isn't JSON
    :raises ValueError: it contains an infinite number or NaN
    """
    return hashlib.sha256(canonical(payload)).hexdigest()
