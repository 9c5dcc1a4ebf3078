"""The loader files that Airflow parses: each holds the plan file of every workflow of its shard, literally.

A mapping in the loader file itself makes one read of the file one consistent state, and a change of one
workflow touches one file. Two facts of Airflow 3.3 rule the times of these files:

- The dag-processor notices a change only if the file is younger than the *end* of its last parse. A parse
  that was running when the file was replaced would hide the change for ``min_file_process_interval`` (30
  s), and its old graph would stand beside the new bundle version for as long. So a replaced file is dated a
  little ahead.
- Loader files are imported through Python's bytecode cache, which tells two texts of a file apart by whole
  seconds and size. Two revisions of a plan make texts of the same size, so these must never share a second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chassis.crashpoints import SHARD_REPLACED, reached
from chassis.files import write_atomically
from chassis.plans.refs import PlanRef, shard_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AHEAD_SECONDS = 2.0
"""How far ahead a replaced loader file is dated: one parse and one turn of the dag-processor's loop take
less. Until then the file is parsed again and again, so it may not be much more."""

_PATTERN = "chassis_*_of_*.py"
_TEMPLATE = """\
# Airflow DAGs of Chassis, shard {number} of {shards}.
# Written by chassis.plans.bundle from the plan store; a change made here is overwritten.
from chassis.dag.loader import load_shard

globals().update(
    load_shard(
        {{
{lines}
        }},
        cache={cache!r},
    )
)
"""


def file_name(shard: int, shards: int) -> str:
    """Name of a loader file. It says how many there are, so that files of another number are told apart."""
    return f"chassis_{shard:03d}_of_{shards:03d}.py"


def loader_files(heads: Mapping[str, PlanRef], shards: int, cache: Path) -> dict[str, str]:
    """Text of each loader file, by its name. A shard without workflows has none: a file costs a process to
    parse.

    :param shards: number of shards that workflows are spread over
    :param cache: folder on this machine for copies of plans of a store on S3
    """
    members: dict[int, list[str]] = {}
    for workflow_id in sorted(heads):
        members.setdefault(shard_of(workflow_id, shards), []).append(workflow_id)
    return {
        file_name(shard, shards): _TEMPLATE.format(
            number=shard,
            shards=shards,
            lines="\n".join(
                f'            "{workflow_id}": "{heads[workflow_id].name}",' for workflow_id in ids
            ),
            cache=str(cache),
        )
        for shard, ids in sorted(members.items())
    }


def write_loader_files(folder: Path, texts: Mapping[str, str], *, again: bool = False) -> None:
    """Bring these loader files up to date, by name; one that is right already isn't touched, others stay.

    :param again: write them all anew, so that Airflow parses them at once
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        content = text.encode()
        mtime = None
        if path.exists():
            if path.read_bytes() == content and not again:
                continue
            mtime = max(time.time() + AHEAD_SECONDS, int(path.stat().st_mtime) + 1.0)
        write_atomically(path, content, mtime=mtime)
        reached(SHARD_REPLACED)


def remove_other_loader_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Remove the loader files that are none of these: of emptied shards, or of another number of shards."""
    for path in folder.glob(_PATTERN):
        if path.name not in texts:
            path.unlink()
