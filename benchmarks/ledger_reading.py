"""What it takes to read the ledger of a long run, and to write to it: in a folder, and on S3 (moto).

Prints, for each number of entries: the time of a process's first look and of its next one, the files or S3 requests
of the first look and its peak memory, and the time of an append: the mean, and the longest, which writes a checkpoint.
Entries are those of 200 tasks that make turn after turn. With ``--without-checkpoints`` the ledger has none, as one
that an earlier version wrote. With ``--client`` it is read and written by another checkout's code, to compare.

    python benchmarks/ledger_reading.py [--entries 200 2000 20000] [--without-checkpoints] [--client ../other/include]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

PROJECT = Path(__file__).parents[1]
DAG, RUN = "long_work", "manual__1"
TASKS = 200
APPENDS = 250


def an_entry(number: int) -> tuple[str, bytes]:
    """The file of one entry: calls are opened and closed in turn."""
    from chassis.contract.record_paths import RunPaths
    from chassis.contract.spending import Bound
    from chassis.contract.usage import Usage
    from chassis.files import numbered
    from chassis.ledger.entries import Closed, Opened, entry_text

    call = (number - 1) // 2
    name, task = f"{call:032x}", f"task_{call % TASKS}"
    if number % 2:
        bound = Bound(tokens=30_000, cost_usd=0.9)
        times = {"opened_at": 1e9 + number, "until": 1e9 + number + 3600}
        entry: Any = Opened(
            call=name, task_id=task, model="us.anthropic.claude-opus-4-6-v1", bound=bound, **times
        )
    else:
        usage = Usage(input_tokens=900, output_tokens=700, cache_read_tokens=20_000, calls=1)
        entry = Closed(
            call=name, outcome="answered", closed_at=1e9 + number, usage=usage, cost_usd=0.032, seconds=9.5
        )
    # Without owners, so that an earlier version can read it, too.
    text = entry_text(entry).replace(b'"owner": "", ', b"")
    return numbered(RunPaths(DAG, RUN).ledger, number), text


def fill(root: str, conn_id: str, entries: int, *, checkpoints: bool) -> None:
    """Have a ledger of so many entries under a root."""
    from concurrent.futures import ThreadPoolExecutor

    from chassis.contract.record_paths import RunPaths
    from chassis.files import open_files
    from chassis.ledger.checkpoints import EVERY, Checkpoints
    from chassis.ledger.entries import parse_entry
    from chassis.ledger.sums import Fold

    files = open_files(root, conn_id, what="record store")
    contents = dict(an_entry(number) for number in range(1, entries + 1))
    if root.startswith("s3"):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(files.write, contents, contents.values()))
    for name, content in contents.items():
        if not root.startswith("s3"):
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    fold, keeper = Fold(), Checkpoints(files, RunPaths(DAG, RUN))
    for number, content in enumerate(contents.values(), start=1):
        fold.add(parse_entry(content))
        if checkpoints and number % EVERY == 0:
            keeper.write(number, content, fold)


def read(root: str, conn_id: str, *, memory: bool) -> dict[str, Any]:
    """A process's first look at the ledger, its next one, and some appends. Runs in a process of its own."""

    from chassis.files import open_files

    try:
        from chassis.ledger.journal import RunLedger
    except ImportError:  # Before modules were renamed.
        from chassis.ledger.book import RunLedger  # type: ignore[import-not-found, no-redef]
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    files = open_files(root, conn_id, what="record store")
    files.names("warm/the/client/up")
    ledger = RunLedger(files, DAG, RUN, clock=lambda: 1e9)
    if memory:
        tracemalloc.start()
    opened.clear()
    mark(root)
    found: dict[str, Any] = {"first": timed(ledger.totals)}
    mark(root)
    found["files"] = sum("/ledger/" in name for name in opened)
    if memory:
        found["memory"] = tracemalloc.get_traced_memory()[1]
        return found
    found["again"] = timed(ledger.totals)
    found["calls"] = ledger.totals().calls
    found["appends"] = [timed(lambda n=n: append(ledger, n)) for n in range(APPENDS // 2)]
    return found


def append(ledger: Any, number: int) -> None:
    """Open a call and close it."""
    from chassis.ledger.entries import parse_entry

    try:
        from chassis.contract.spending import RunLimits
    except ImportError:  # Before they were moved there.
        from chassis.ledger.limits import RunLimits  # type: ignore[import-not-found, no-redef]

    opening = {"kind": "opened", "call": f"new-{number}", "task_id": f"task_{number % TASKS}", "model": "m"}
    times = {"opened_at": 1e9, "until": 2e9, "bound": {"tokens": 1, "cost_usd": 0.1}}
    end = {"kind": "closed", "call": f"new-{number}", "outcome": "answered", "closed_at": 1e9}
    assert ledger.reserve(parse_entry(json.dumps(opening | times).encode()), RunLimits())
    ledger.close(parse_entry(json.dumps(end).encode()))


def mark(root: str) -> None:
    """Let the server know that reading begins, or has ended."""
    if root.startswith("s3"):
        with suppress(HTTPError):  # It is no bucket.
            urlopen(f"{os.environ['S3_URL']}/mark-of-the-benchmark")  # noqa: S310


def timed(work: Any) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(root: str, conn_id: str, include: str, requests: list[str]) -> dict[str, Any]:
    """What a reader finds, by two processes: for the times, and for the memory, whose measure takes time."""
    found: dict[str, Any] = {}
    for option in ("memory", "times"):
        requests.clear()
        command = [sys.executable, __file__, "--reader", root, conn_id, option]
        environment = os.environ | {"PYTHONPATH": f"{include}:{PROJECT}"}
        done = subprocess.run(  # noqa: S603  its own program
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        found |= json.loads(done.stdout.splitlines()[-1])
        marks = [at for at, path in enumerate(requests) if "mark-of-the-benchmark" in path]
        if marks:
            found["files"] = marks[1] - marks[0] - 1
    return found


def told(kind: str, entries: int, found: dict[str, Any]) -> str:
    """One line of the table."""
    appends = found["appends"]
    return (
        f"{kind:6} {entries:>7,} {found['first'] * 1000:>10.0f} {found['again'] * 1000:>8.1f} {found['files']:>9,} "
        f"{found['memory'] / 1e6:>9.1f} {sum(appends) / len(appends) * 500:>9.2f} {max(appends) * 1000:>8.1f}"
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", nargs="*", type=int, default=[200, 2_000, 20_000])
    parser.add_argument("--without-checkpoints", action="store_true")
    parser.add_argument("--client", default=str(PROJECT / "include"))
    parser.add_argument("--kinds", nargs="*", default=["folder", "s3"])
    parser.add_argument("--reader", nargs=3, help=argparse.SUPPRESS)
    given, rest = parser.parse_known_args()
    if given.reader:
        root, conn_id, option = given.reader
        print(json.dumps(read(root, conn_id, memory=option == "memory")))
        return
    if rest:
        parser.error(f"unknown: {rest}")
    sys.path[:0] = [str(PROJECT), str(PROJECT / "include")]
    from tests.integration import s3

    requests: list[str] = []

    class Counting(s3.QuietHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            requests.append(self.path)

    s3.QuietHandler = Counting  # type: ignore[misc]
    print("store  entries  first (ms) again (ms) read  peak (MB) append (ms) longest")
    with s3.serve_s3() as url, tempfile.TemporaryDirectory() as folder:
        os.environ |= s3.connection_to(url) | {"S3_URL": url}
        from airflow.sdk.io import get_fs

        for kind in given.kinds:
            for entries in given.entries:
                root = f"{folder}/{entries}" if kind == "folder" else f"s3://bucket-{entries}/records"
                if kind == "s3":
                    get_fs("s3", s3.CONN_ID).mkdir(f"bucket-{entries}")
                fill(root, s3.CONN_ID, entries, checkpoints=not given.without_checkpoints)
                print(told(kind, entries, measure(root, s3.CONN_ID, given.client, requests)), flush=True)


if __name__ == "__main__":
    main()
