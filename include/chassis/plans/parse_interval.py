"""Works around a fault of Airflow 3.3.2's dag-processor that would use up a core for good (apache/airflow#73432).

After a callback has run for a file of a versioned bundle, the dag-processor keeps two entries for that file: one for
its parses, and one for the callback, without a parse time. It reads the latter, concludes that the file was never
parsed, and parses it again without pause until it restarts, whatever ``min_file_process_interval`` says. It requests
such a callback whenever a task ends in the triggerer, even if nobody listens, so every task of Chassis would trigger
the fault.

Remove this module once Airflow keeps to its interval: the unit test that shows the fault fails then.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

_MANAGER = "airflow.dag_processing.manager"


def keep_parse_interval() -> None:
    """Make the dag-processor forget a callback's entry; does nothing in other processes."""
    if (module := sys.modules.get(_MANAGER)) is not None:
        _forget_callbacks(module.DagFileProcessorManager)


def _forget_callbacks(manager: Any) -> None:
    handle = getattr(manager, "handle_parsing_result", None)
    if handle is None or hasattr(handle, "__wrapped_for_chassis__"):
        return

    @functools.wraps(handle)
    def handle_and_forget(self: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        handle(self, file, *args, **kwargs)
        # Only callbacks have a version: files parsed for display belong to the current bundle.
        if file.bundle_version is not None:
            self._file_stats.pop(file, None)

    handle_and_forget.__wrapped_for_chassis__ = True  # type: ignore[attr-defined]
    manager.handle_parsing_result = handle_and_forget
