"""How a command ends: with an exit code and, where it failed, with the error in words."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import typer
from rich.text import Text

from chassis.cli.console import err, print_json, safe_text
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
from chassis.errors.client import (
    AirflowUnreachableError,
    PluginMissingError,
    SignInError,
    StackError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SUCCESS, FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

P = ParamSpec("P")
R = TypeVar("R")

_WRONG_USAGE = (UsageError, PlanError, PlanNotFoundError, SettingsError)
_OUT_OF_REACH = (
    StackError,
    PluginMissingError,
    AirflowUnreachableError,
    SignInError,
    UnreachableError,
    ConnectionSetupError,
    CredentialsMissingError,
    CredentialsRefusedError,
    AccessDeniedError,
    AccessPendingError,
    ModelNotFoundError,
)


def exit_code(error: ChassisError) -> int:
    """2 for wrong usage, 3 for what is out of reach, 1 for the rest."""
    if isinstance(error, _WRONG_USAGE):
        return USAGE
    return UNREACHABLE if isinstance(error, _OUT_OF_REACH) else FAILED


def show_error(error: ChassisError) -> None:
    """Print what happened and where, then what to do next."""
    console = err()
    message = safe_text(error.message).rstrip()
    console.print(Text("Error: ", style="bold red").append(message, style="not bold default"))
    if error.hint:
        console.print(safe_text(error.hint), style="yellow")


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an error of Chassis into its message and exit code; with ``--json``, also into the document."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ChassisError as error:
            show_error(error)
            if kwargs.get("as_json"):
                from chassis.cli.report import failed_document

                print_json(failed_document(error))
            raise typer.Exit(exit_code(error)) from None
        except BrokenPipeError:
            raise  # whoever reads has enough: Typer ends quietly
        except OSError as error:
            where = f"{error.filename} can't be used" if error.filename else "The system refused a call"
            show_error(ChassisError(f"{where}: {error.strerror or error}."))
            raise typer.Exit(FAILED) from None

    return wrapper
