"""Transcripts of conversations with Claude: one file for each call of each try, for people to read.

The problem: Airflow deletes a task's XComs when the task starts again, and kept answers serve retries and hold no
prompt. People want to see the conversation of the try that went wrong, even after it was cleared and has succeeded.

State: ``<run folder>/transcripts/<task>/<item's digest, or _>/<try>-<n>.json`` in the record store. A try's calls are
numbered in the order in which they ended.

Invariants that must not be relaxed:

1. Everything is masked before it is written (:mod:`chassis.records.masking`).
2. Transcripts are only for reading. Nothing depends on one: any may be missing, because its process was killed or the
   store was away, and all are deleted after ``transcript_days``.
3. Texts of Claude and of people are kept as they were, hostile or not: whoever shows them escapes them.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.contract.record_paths import RunPaths
from chassis.contract.usage import Usage
from chassis.ledger.entries import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chassis.files import Files

log = logging.getLogger(__name__)

_NAME = re.compile(r"(?P<try_number>[0-9]{4,})-(?P<number>[0-9]{3,})\.json")


class Turn(BaseModel):
    """One call to Claude: what was sent, and the outcome.

    A call repeats all earlier messages of its conversation. A turn holds only what the previous call didn't have.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    call: str = Field(description="Name of the call in the ledger.")
    task_id: str
    item: str | None = None
    map_index: int = -1
    try_number: int = 1
    clear_number: int = 0
    kind: Literal["task", "plan"] = "task"
    model: str = Field(description="Bedrock model id, as it was asked for.")
    at: str = Field(description="When the call began: ISO 8601, UTC.")
    seconds: float = Field(0.0, description="How long it took.")
    outcome: Outcome = Field(description="answered, failed or cancelled, as in the ledger.")
    error: str = Field("", description="Name of the error's class; empty without one.")
    error_message: str = Field("", description="The error in words.")
    request_id: str = ""
    simulated: bool = Field(False, description="Whether the simulator answered instead of Claude.")
    usage: Usage = Usage()
    cost_usd: float | None = Field(
        None,
        description="List price in US dollars; None when it isn't known. A recalled answer cost nothing.",
    )
    recalled: bool = Field(False, description="No call was made: an earlier try had paid for this answer.")
    system: tuple[str, ...] = Field(
        (), description="Parts of the system prompt; empty when they are those of the call before."
    )
    messages: tuple[dict[str, Any], ...] = Field(
        (), description="Messages (role and content blocks) that the call before did not have."
    )
    messages_before: int = Field(0, description="How many messages were sent before those.")
    answer_schema: dict[str, Any] | None = Field(
        None, description="JSON schema of the answer; None when it is that of the call before."
    )
    answer: tuple[dict[str, Any], ...] = Field(
        (),
        description="Content blocks that came, also of an answer that broke off. A tool's input is JSON text.",
    )
    stop_reason: str | None = Field(None, description="Why Claude stopped; None when the answer broke off.")
    cut_chars: int = Field(0, description="Characters left out because the transcript would be too long.")


class TryTranscript(BaseModel):
    """The conversation of one try of a task, or of one item of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    item: str | None
    try_number: int
    turns: tuple[Turn, ...] = Field(description="Its calls, oldest first.")
    unreadable: int = Field(0, description="Files of it that were edited, or written by a later Chassis.")

    @property
    def clear_number(self) -> int:
        """How often a person had cleared tasks of the run when this try started."""
        return self.turns[0].clear_number if self.turns else 0

    @property
    def system(self) -> tuple[str, ...]:
        """Parts of the system prompt."""
        return next((turn.system for turn in self.turns if turn.system), ())

    @property
    def answer_schema(self) -> dict[str, Any] | None:
        """The JSON schema that the answer had to match."""
        return next((turn.answer_schema for turn in self.turns if turn.answer_schema is not None), None)

    @property
    def request_ids(self) -> tuple[str, ...]:
        """AWS's request ids, in order."""
        return tuple(turn.request_id for turn in self.turns if turn.request_id)

    @property
    def simulated(self) -> bool:
        """Whether the simulator answered any call."""
        return any(turn.simulated for turn in self.turns)


class Transcripts:
    """The transcripts of one run. Its methods read and write the record store, so they block."""

    def __init__(self, files: Files, dag_id: str, run_id: str) -> None:
        self._files = files
        self._paths = RunPaths(dag_id, run_id)

    def tries(self, task_id: str, item: str | None = None) -> list[TryTranscript]:
        """The tries of a task, or of one item of it, that have transcripts, newest first.

        :raises StoreError: the transcripts can't be listed or read
        """
        return [
            self._read(task_id, item, number, names)
            for number, names in sorted(self._names(task_id, item).items(), reverse=True)
        ]

    def find(self, task_id: str, item: str | None, try_number: int) -> TryTranscript | None:
        """One try; None if it has no transcript.

        :raises StoreError: the transcripts can't be listed or read
        """
        names = self._names(task_id, item).get(try_number)
        return self._read(task_id, item, try_number, names) if names else None

    def try_numbers(self, task_id: str, item: str | None = None) -> list[int]:
        """Numbers of the tries that have transcripts, newest first, without reading any of them.

        :raises StoreError: the transcripts can't be listed
        """
        return sorted(self._names(task_id, item), reverse=True)

    def write(self, turn: Turn, number: int) -> int:
        """Keep one call of a try under the next free number, from ``number`` on, and return that number.

        :param turn: already masked
        :raises StoreError: it is unknown whether the transcript is kept
        """
        content = json.dumps(turn.model_dump(mode="json"), ensure_ascii=False).encode("utf-8", "replace")
        folder = self._paths.transcripts(turn.task_id, turn.item)
        while not self._files.create(f"{folder}/{turn.try_number:04d}-{number:03d}.json", content):
            number += 1
        return number

    def _names(self, task_id: str, item: str | None) -> dict[int, list[str]]:
        """The files of each try, in the order of its calls."""
        found: dict[int, list[tuple[int, str]]] = {}
        for name in self._files.names(self._paths.transcripts(task_id, item)):
            if match := _NAME.fullmatch(name.rpartition("/")[2]):
                found.setdefault(int(match["try_number"]), []).append((int(match["number"]), name))
        return {number: [name for _, name in sorted(names)] for number, names in found.items()}

    def _read(self, task_id: str, item: str | None, try_number: int, names: Sequence[str]) -> TryTranscript:
        # Files that upkeep deleted after they were listed are left out.
        contents = self._files.read_all(names)
        found = [self._parsed(name, contents[name]) for name in names if name in contents]
        turns = [turn for turn in found if turn is not None]
        # S3 may have stored a file although it told the writer that the name was taken.
        once = {(turn.call, turn.recalled): turn for turn in turns}
        return TryTranscript(
            task_id=task_id,
            item=item,
            try_number=try_number,
            turns=tuple(once.values()),
            unreadable=len(found) - len(turns),
        )

    def _parsed(self, name: str, content: bytes) -> Turn | None:
        try:
            return Turn.model_validate_json(content)
        except ValidationError:
            log.warning("%s is no transcript, or of a later Chassis.", self._files.locate(name))
            return None
