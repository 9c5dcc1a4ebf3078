"""Where the command line writes, and how it ends.

Answers go to standard output, everything about the way there to standard error: a pipe gets answers only.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from chassis.cli.terminal_text import plain
from chassis.errors import (
    AccessDeniedError,
    AccessPendingError,
    ChassisError,
    ConnectionSetupError,
    CredentialsMissingError,
    CredentialsRefusedError,
    ModelNotFoundError,
    PlanError,
    PlanNotFoundError,
    SettingsError,
    UnreachableError,
)
from chassis.text import DECEIVING, MARKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment

SUCCESS, FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

_OBEYED = re.compile(f"{DECEIVING.pattern}|{MARKS.pattern}")
_PIPE_WIDTH = 200  # of tables in a pipe: nobody's screen says how wide they may be

P = ParamSpec("P")
R = TypeVar("R")

_OUT_OF_REACH = (
    UnreachableError,
    ConnectionSetupError,
    CredentialsMissingError,
    CredentialsRefusedError,
    AccessDeniedError,
    AccessPendingError,
    ModelNotFoundError,
)


def out() -> Console:
    """The console for answers."""
    return _console(sys.stdout.isatty(), stderr=False)


def err() -> Console:
    """The console for progress and errors."""
    return _console(sys.stderr.isatty(), stderr=True)


class _PlainConsole(Console):
    """Lets nothing out that a terminal would obey, whatever is printed; colours and cursor are Rich's own.

    What prints text of people and models makes it plain itself, because only then do tables fit; this is the net.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def _console(terminal: bool, *, stderr: bool) -> Console:
    """No markup, no emoji codes: text is printed as it is. In a pipe nothing is wrapped, and no colours."""
    width = None if terminal else _PIPE_WIDTH
    return _PlainConsole(
        stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=not terminal, width=width
    )


def tell(line: str) -> None:
    """A line of progress."""
    err().print(Text(plain(line), style="dim"), soft_wrap=True)


def print_json(document: Any) -> None:
    """The one document of a ``--json`` command: readable, and with escapes for what a terminal would obey."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    print(_OBEYED.sub(lambda match: json.dumps(match[0])[1:-1], text))


def confirmed(question: str, *, yes: bool, otherwise: str = "Nothing was changed.") -> None:
    """Ask before something is lost.

    :param yes: whether the person has said so beforehand
    :param otherwise: what a no means
    :raises UsageError: there is nobody to ask
    :raises typer.Exit: the answer is no
    """
    from chassis.errors.client import UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("This needs a confirmation, and there is no terminal to ask on.", hint="Add --yes.")
    if not typer.confirm(plain(question), err=True):
        tell(otherwise)
        raise typer.Exit(FAILED)


def exit_code(error: ChassisError) -> int:
    """2 for what was asked wrongly, 3 for what is out of reach, 1 for the rest."""
    from chassis.errors.client import AirflowUnreachableError, SignInError, StackError, UsageError

    if isinstance(error, UsageError | PlanError | PlanNotFoundError | SettingsError):
        return USAGE
    if isinstance(error, (StackError, AirflowUnreachableError, SignInError, *_OUT_OF_REACH)):
        return UNREACHABLE
    return FAILED


def show_error(error: ChassisError) -> None:
    """What happened and where, then what to do next."""
    console = err()
    console.print(
        Text("Error: ", style="bold red").append(plain(error.message).rstrip(), style="not bold default")
    )
    if error.hint:
        console.print(Text(plain(error.hint), style="yellow"))


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an error of Chassis into its message and exit code; with ``--json``, also into the document."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ChassisError as error:
            show_error(error)
            if kwargs.get("as_json"):
                print_json(_failed_document(error))
            raise typer.Exit(exit_code(error)) from None
        except BrokenPipeError:
            raise  # whoever reads has enough: Typer ends quietly
        except OSError as error:
            where = f"{error.filename} can't be used" if error.filename else "The system refused a call"
            show_error(ChassisError(f"{where}: {error.strerror or error}."))
            raise typer.Exit(FAILED) from None

    return wrapper


def _failed_document(error: ChassisError) -> dict[str, Any]:
    from chassis.cli.report import Report
    from chassis.cli.task_failure import error_document

    nothing = Report(workflow_id=None, revision=None, dag_run_id=None, state="failed")
    return replace(nothing, error=error_document(error)).document()
