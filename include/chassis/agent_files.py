"""Reads an agent's file: front matter between two lines of ``---``, then the prompt.

This module decides whether a file is an agent at all, and explains unreadable front matter to people who don't know
YAML's rules. ``agents`` defines what the keys mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from chassis.workflow.yaml_text import MAX_TEXT, YamlError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FENCE = "---"
_LINE_END = re.compile(r"\r\n|\n|\r")
_NAME_LINE = re.compile(r"\s*name\s*:\s*[\"']?([A-Za-z][\w-]*)")
_MARKS_AN_AGENT = re.compile(r"\s*(name|description)\s*:")
_KEY_LINE = re.compile(r"[A-Za-z_][\w-]*:[ \t]+\S.*")


@dataclass(frozen=True)
class FrontMatter:
    """The content of an agent's file. Without keys and faults, the file is no agent's.

    :ivar keys: the front matter; empty if it can't be read
    :ivar text: the text after it
    :ivar name: the agent's name as far as it can be told, even from unreadable front matter
    :ivar faults: why the front matter can't be read
    """

    keys: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    name: str = ""
    faults: tuple[str, ...] = ()


_NO_AGENT = FrontMatter()


def read_front_matter(path: Path) -> FrontMatter:
    """The front matter of a file, and the text after it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT + 1)
    except OSError as error:
        return FrontMatter(faults=(f"can't be read: {error.strerror or error}",))
    text, undecodable = _decoded(content)
    front, prompt, closed = _parts(text)
    if not closed and not any(_MARKS_AN_AGENT.match(line) for line in front):
        return _NO_AGENT  # a text that begins with a line of dashes
    name = next((match[1] for line in front if (match := _NAME_LINE.match(line))), "")
    if undecodable:
        return FrontMatter(name=name, faults=(undecodable,)) if name else _NO_AGENT
    if len(content) > MAX_TEXT:
        return FrontMatter(name=name, faults=(f"has more than {MAX_TEXT:,} bytes",))
    if not closed:
        wrong = f"the front matter has no end; add a line {_FENCE} before the prompt"
        return FrontMatter(name=name, faults=(wrong,))
    try:
        keys = read_yaml("\n".join(front))
    except YamlError as error:
        return FrontMatter(name=name, faults=tuple(_yaml_faults(front, error)))
    if keys is None or (isinstance(keys, dict) and not {"name", "description"} & keys.keys()):
        return _NO_AGENT
    if not isinstance(keys, dict):
        return FrontMatter(faults=("the front matter must be a mapping with name and description",))
    return FrontMatter(keys, prompt, name)


def _decoded(content: bytes) -> tuple[str, str]:
    """The text, and the faults of its bytes."""
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        if len(content) > MAX_TEXT and error.start > MAX_TEXT - 4:
            return content[: error.start].decode("utf-8-sig"), ""
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"line {line}: is not UTF-8 (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        return content.decode("latin-1"), wrong


def _parts(text: str) -> tuple[list[str], str, bool]:
    """The lines of the front matter, the text after it, and whether a line ends it.

    Lines before the front matter are included as empty ones, so that line numbers stay right.
    """
    lines = _LINE_END.split(text)
    start = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[start].rstrip() != _FENCE:
        return [], "", False
    lines[: start + 1] = [""] * (start + 1)
    ends = [line.rstrip() for line in lines]
    if _FENCE in ends:
        end = ends.index(_FENCE)
        return lines[:end], "\n".join(lines[end + 1 :]).strip(), True
    return lines[: ends.index("", start + 1)] if "" in ends[start + 1 :] else lines, "", False


def _yaml_faults(front: list[str], error: YamlError) -> Iterator[str]:
    """Why the front matter can't be read, for people who don't know YAML's rules."""
    for number, line in enumerate(front, start=1):
        if line.startswith("\t"):
            yield f"line {number}: begins with a tab; indent with blanks"
            return
    starts = [index for index, line in enumerate(front) if _KEY_LINE.fullmatch(line)]
    for start, end in pairwise([*starts, len(front)]):
        entry = "\n".join(front[start:end])
        try:
            read_yaml(entry)
        except YamlError:
            key, _, value = entry.partition(":")
            if value.strip()[0] not in "|>":
                yield f"line {start + 1}: {_quoting(key, value.strip())}"
                return
    for each in error.faults:
        if each.code == "not_yaml":
            advice = "indent with blanks, and put a text with a colon, a quote or a bracket in quotes"
            yield f"{each.where}: the front matter can't be read here; {advice}"
        else:
            yield str(each)


def _quoting(key: str, value: str) -> str:
    """How to fix a value that YAML doesn't read as text."""
    block = f"write `{key}: >` and the text indented in the next lines"
    if value[0] in "\"'":
        return f"{key} has a quote that doesn't go around all of it; {block}"
    colon = re.search(r":(\s|$)", value)
    why = "has a colon, which YAML takes for a key" if colon else "begins as no text does in YAML"
    if '"' not in value and "\\" not in value:
        return f"{key} {why}; put the {key} in quotes"
    if "'" not in value:
        return f"{key} {why}; put the {key} in single quotes"
    return f"{key} {why}; {block}"
