"""The results of a run's tasks, kept by fingerprint so that a later run can reuse them.

The fingerprint (``TaskBrief.fingerprint``) covers whatever the task was told, and nothing else. A task of another run,
maybe of another revision, that is told the same finds the result. Only the newest result of a task and item counts:
once a person reruns a task, its earlier result is not found, even if the new attempt fails.

A kept result only saves work. If it is missing, invalid or edited, it counts as none, and the task runs.

The files, below the root of the record store; items are named by digests::

    add_pet_insurance/manual__2026-11-22T10%3A00/results.json                      whose they are, and since when
    add_pet_insurance/manual__2026-11-22T10%3A00/results/update_service/3fa9c1.json
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from chassis.contract.record_paths import RunPaths
from chassis.errors import NotStoredError
from chassis.files.sealed import sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chassis.files import Files

log = logging.getLogger(__name__)

_FORGOTTEN = b"{}\n"


class Results:
    """The kept results of one run. Its methods read and write the record store, so they block.

    :param clock: returns seconds since 1970
    """

    def __init__(
        self, files: Files, dag_id: str, run_id: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._files = files
        self._ids = {"dag_id": dag_id, "run_id": run_id}
        self._paths = RunPaths(dag_id, run_id)
        self._clock = clock

    def keep(self, fingerprint: str, result: dict[str, Any]) -> None:
        """Keep the result of its ``task`` and ``item``, as JSON, replacing an earlier one.

        :raises TypeError: it contains something that isn't JSON
        :raises ValueError: it contains an infinite number or NaN
        :raises StoreError: it is unknown whether it is kept; keeping it again is safe
        """
        self._files.write(
            self._paths.result(result["task"], result["item"]), sealed("result", result, fingerprint)
        )
        ids = json.dumps(self._ids | {"at": self._clock()}, sort_keys=True)
        self._files.create(self._paths.results_since, f"{ids}\n".encode())

    def find(self, fingerprint: str, task_id: str, item: str | None) -> dict[str, Any] | None:
        """Find the result of a task, or of one item of it; None if its fingerprint differs or it is invalid.

        :raises StoreError: it is unknown whether one is kept
        """
        name = self._paths.result(task_id, item)
        try:
            found = self._unpacked(name, self._files.read(name))
        except NotStoredError:
            return None
        return found[1] if found is not None and found[0] == fingerprint else None

    def forget(self, task_id: str, item: str | None) -> None:
        """Forget the result of a task, or of one item of it, because it runs again.

        :raises StoreError: it is unknown whether it can still be found
        """
        self._files.write(self._paths.result(task_id, item), _FORGOTTEN)

    def forget_others(self, task_id: str, items: Iterable[str]) -> None:
        """Forget all results of a task but those of ``items``, because the run has no other items any more.

        :raises StoreError: it is unknown whether one can still be found
        """
        kept = {self._paths.result(task_id, item) for item in items}
        for name in self._files.names(self._paths.results_of(task_id)):
            if name.endswith(".json") and name not in kept:
                self._files.write(name, _FORGOTTEN)

    def all(self) -> list[dict[str, Any]]:
        """Every valid result, by task and item.

        :raises StoreError: the results can't be listed or read
        """
        folder = self._paths.results
        names = [
            name
            for task in self._files.folders(folder)
            for name in self._files.names(f"{folder}/{task}")
            if name.endswith(".json")
        ]
        contents = self._files.read_all(names)
        found = [
            kept[1] for name, text in contents.items() if (kept := self._unpacked(name, text)) is not None
        ]
        return sorted(found, key=lambda result: (str(result["task"]), str(result["item"])))

    def _unpacked(self, name: str, content: bytes) -> tuple[str, dict[str, Any]] | None:
        if content == _FORGOTTEN:
            return None
        found = unsealed("result", content)
        if found is None:
            log.warning("%s is no kept result, or was edited; it counts as none.", self._files.locate(name))
        return found
