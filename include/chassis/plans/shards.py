"""The loader files that Airflow parses: each names the plan file of every workflow of its shard, literally.

With the mapping in the loader file itself, one read gives one consistent state, and a changed workflow touches one
file. Two facts of Airflow 3.3 rule the times of these files:

- The dag-processor notices a change only if the file is younger than the *end* of its last parse. If a parse was
  running when the file was replaced, the change would stay hidden for ``min_file_process_interval`` (30 s), with the
  old graph beside the new bundle version. So a replaced file is dated a little ahead.
- Python's bytecode cache, through which loader files are imported, tells two texts of a file apart by whole seconds and
  size. Two revisions of a plan make texts of the same size, so these must never share a second.
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
"""How far ahead a replaced loader file is dated: longer than one parse and one turn of the dag-processor's loop. Until
then the file is parsed again and again, so it can't be much more.
"""

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
    """A loader file's name. It includes the number of shards, to tell files of another number apart."""
    return f"chassis_{shard:03d}_of_{shards:03d}.py"


def loader_files(heads: Mapping[str, PlanRef], shards: int, cache: Path) -> dict[str, str]:
    """The text of each loader file, by its name. A shard without workflows has none: parsing a file costs a process.

    :param shards: number of shards that workflows are spread over
    :param cache: folder on this machine for copies of plans from a store on S3
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
    """Update these loader files, by name. Leave others alone, and files that are right already.

    :param again: rewrite them all, so that Airflow parses them at once
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
    """Remove all other loader files: of emptied shards, or of another number of shards."""
    for path in folder.glob(_PATTERN):
        if path.name not in texts:
            path.unlink()
