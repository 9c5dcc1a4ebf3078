"""The requirement: an argument, or the text of a file or of standard input."""

from __future__ import annotations

from chassis.cli.argument_checks import CONTROLS
from chassis.cli.file_text import read_text
from chassis.errors.client import UsageError


def read_requirement(argument: str, file: str | None) -> str:
    """What is to be done.

    :param file: path of a file in UTF-8, ``-`` for standard input, None for the argument
    :raises UsageError: none or two are given, or the text can't be a requirement
    """
    from chassis.workflow.spec import MAX_REQUIREMENT

    if (file is not None) == bool(argument):
        raise UsageError(
            "Say what is to be done, once.",
            hint='Give REQUIREMENT in quotes, or --requirement-file FILE; "-" reads standard input.',
        )
    text = argument if file is None else read_text(file, most_bytes=4 * MAX_REQUIREMENT).strip()
    if found := CONTROLS.search(text):
        raise UsageError(f"The requirement holds the control character U+{ord(found[0]):04X}. Leave it out.")
    if not text.strip():
        raise UsageError("The requirement is blank.", hint="Say in plain words what is to be done.")
    if len(text) > MAX_REQUIREMENT:
        raise UsageError(
            f"The requirement has {len(text):,} characters; at most {MAX_REQUIREMENT:,} are allowed.",
            hint="Shorten it, or split it into several workflows.",
        )
    return text
