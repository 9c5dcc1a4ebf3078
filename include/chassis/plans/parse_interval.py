"""A cure for a fault of Airflow 3.3.2's dag-processor, which would cost a core for good (apache/airflow#73432).

After a callback has run for a file of a versioned bundle, the dag-processor keeps two entries for that file: one of
its parses, and one of the callback, which has no time of a parse. It goes by the latter, takes the file for one that
was never parsed, and parses it again without pause until it is restarted, whatever ``min_file_process_interval`` says.
It asks for such a callback whenever a task ends in the triggerer, also when nobody listens, and so each task of
Chassis would bring it on.

Remove this module once Airflow keeps to its interval: the unit test that shows the fault fails then.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

_MANAGER = "airflow.dag_processing.manager"


def keep_parse_interval() -> None:
    """Make the dag-processor forget a callback's entry; does nothing in any other process."""
    if (module := sys.modules.get(_MANAGER)) is not None:
        _forget_callbacks(module.DagFileProcessorManager)


def _forget_callbacks(manager: Any) -> None:
    handle = getattr(manager, "handle_parsing_result", None)
    if handle is None or hasattr(handle, "__wrapped_for_chassis__"):
        return

    @functools.wraps(handle)
    def handle_and_forget(self: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        handle(self, file, *args, **kwargs)
        # Only callbacks are for a version: what is parsed to be shown is the bundle as it is now.
        if file.bundle_version is not None:
            self._file_stats.pop(file, None)

    handle_and_forget.__wrapped_for_chassis__ = True  # type: ignore[attr-defined]
    manager.handle_parsing_result = handle_and_forget
