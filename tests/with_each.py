"""One test for a rule that must hold in many cases: it is collected once, tries them all, and names those that fail."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

_NAMED = 10
_LONGEST = 100


Test = Callable[..., None]


def with_each(names: str, cases: Iterable[Any] | Mapping[str, Any]) -> Callable[[Test], Test]:
    """Call a test with each case, as ``pytest.mark.parametrize`` would, but as one test.

    For many examples of one rule; cases that are rules of their own are parametrised. The cases share the test's
    fixtures: what one leaves there (a log, a folder) is there for the next.

    :param names: names of the test's arguments that the cases give, with commas
    :param cases: a value, or a tuple for several arguments; in a mapping, each by a name that tells it
    """
    wanted = [name.strip() for name in names.split(",")]
    listed = list(cases.items()) if isinstance(cases, Mapping) else [(str(case), case) for case in cases]
    assert listed, f"no case of {names}: the test would show nothing"

    def made(test: Test) -> Test:
        @functools.wraps(test)
        def tries_all(*args: Any, **fixtures: Any) -> None:
            failed: list[tuple[str, BaseException]] = []
            for name, case in listed:
                given = dict(zip(wanted, case if len(wanted) > 1 else (case,), strict=True))
                try:
                    test(*args, **fixtures, **given)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  it is raised below
                    failed.append((name[:_LONGEST], error))
            if failed:
                error = failed[0][1]
                others = "\n".join(name for name, _ in failed[:_NAMED])
                error.add_note(f"It fails with {len(failed)} of {len(listed)} cases, first with:\n{others}")
                raise error

        signature = inspect.signature(test)
        left = [each for name, each in signature.parameters.items() if name not in wanted]
        tries_all.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return tries_all

    return made
