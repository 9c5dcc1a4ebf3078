"""Where each record of a run stands: every path below the root of the record store.

Ids of DAGs and runs can be almost any text, and become names of folders here. So each is quoted: an id can't leave
its folder, and two ids never share one. A run is forgotten by deleting its folder::

    add_pet_insurance/manual__2026-11-22T10%3A00/run.json              the ids themselves
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/000001.json    an entry, see chassis.ledger.journal
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/checkpoints/000250.json
    add_pet_insurance/manual__2026-11-22T10%3A00/answers/<clear>/<task>/<item>/<digest of the payload>.json
    add_pet_insurance/manual__2026-11-22T10%3A00/results.json          the ids, and since when there are results
    add_pet_insurance/manual__2026-11-22T10%3A00/results/<task>/<item>.json
    add_pet_insurance/manual__2026-11-22T10%3A00/transcripts/<task>/<item>/<try>-<call>.json
    add_pet_insurance/manual__2026-11-22T10%3A00/amendments/000001.json
    plan_workflow/manual__2026-11-22T09%3A00/decisions/000001.json
    plan_workflow/manual__2026-11-22T09%3A00/proposal/<clear>-<tries>.json
"""

from __future__ import annotations

import hashlib
import string

_LONGEST = 120
"""Characters of a folder's name; file systems allow 255 bytes."""
_DIGEST = 32
_PLAIN = frozenset((string.ascii_letters + string.digits + "_-.").encode())

IDS = "run.json"
FIRST_ENTRY = "ledger/000001.json"
RESULTS_SINCE = "results.json"
TRANSCRIPTS = "transcripts"


def path_segment(text: str) -> str:
    """A text as the name of a folder or file: different texts get different names.

    Letters, digits, ``_``, ``-`` and ``.`` stay, except a leading dot; everything else becomes ``%XX``. A name that
    would be too long is cut and ends with ``~`` and a digest; ``~`` occurs in no other name.
    """
    raw = text.encode("utf-8", "surrogatepass")
    whole = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw) or "%"
    if whole.startswith("."):
        whole = f"%2E{whole[1:]}"
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[: _LONGEST - _DIGEST - 1]}~{hashlib.sha256(raw).hexdigest()[:_DIGEST]}"


def item_segment(item: str | None) -> str:
    """The name of a mapped task's item: a digest; ``_`` for a task that isn't mapped."""
    raw = None if item is None else item.encode("utf-8", "surrogatepass")
    return "_" if raw is None else hashlib.sha256(raw).hexdigest()[:_DIGEST]


class RunPaths:
    """The paths of one run's records, relative to the root of the record store.

    Ledger entries, amendments and decisions (on the plan of a planner's run) are numbered files.

    :ivar folder: holds everything of the run
    :ivar ids: the file with the run's ids: the names of its folders may be cut
    :ivar checkpoints: the ledger's checkpoints, each named by the last entry that it covers
    :ivar results: the results, with a folder for each task
    :ivar results_since: the file that says since when the run has results
    """

    def __init__(self, dag_id: str, run_id: str) -> None:
        self.folder = f"{path_segment(dag_id)}/{path_segment(run_id)}"
        self.ids = f"{self.folder}/{IDS}"
        self.ledger = f"{self.folder}/ledger"
        self.checkpoints = f"{self.ledger}/checkpoints"
        self.results = f"{self.folder}/results"
        self.results_since = f"{self.folder}/{RESULTS_SINCE}"
        self.amendments = f"{self.folder}/amendments"
        self.decisions = f"{self.folder}/decisions"

    def answers(self, clear_number: int, task_id: str, item: str | None) -> str:
        """The folder of the answers kept for one clear of a task, or of one of its items."""
        return f"{self.folder}/answers/{clear_number}/{path_segment(task_id)}/{item_segment(item)}"

    def results_of(self, task_id: str) -> str:
        """The folder of one task's results."""
        return f"{self.results}/{path_segment(task_id)}"

    def result(self, task_id: str, item: str | None) -> str:
        """The result of a task, or of one of its items."""
        return f"{self.results_of(task_id)}/{item_segment(item)}.json"

    def transcripts(self, task_id: str, item: str | None) -> str:
        """The folder of the transcripts of a task, or of one of its items."""
        return f"{self.folder}/{TRANSCRIPTS}/{path_segment(task_id)}/{item_segment(item)}"

    def pending_plan(self, clear_number: int, tries: int) -> str:
        """The plan with which a planner's run waits for a decision.

        :param tries: Airflow's ``max_tries`` of the waiting task, which a clear raises
        """
        return f"{self.folder}/proposal/{clear_number}-{tries}.json"
