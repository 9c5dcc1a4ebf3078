"""YAML as Chassis reads and writes it: the part of YAML that is JSON with fewer quotes.

Reading is stricter than a YAML library's safe loader. It refuses tags, anchors, aliases (an alias can turn a kilobyte
into a gigabyte) and duplicate keys. Only what looks like JSON's null, booleans and numbers is one: ``no``, ``12:30``,
``007`` and ``2026-03-01`` are the texts that their authors meant. Writing quotes whatever another YAML reader could
take for something else, so that all readers agree on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from chassis.errors import PlanFault
from chassis.text import one_line
from chassis.workflow.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.emitter import ScalarAnalysis

MAX_TEXT = 1_000_000
"""Bytes of one text."""

MAX_DEPTH = 64
"""Levels of nested mappings and lists."""

MAX_FAULTS = 100
"""Faults that one error lists. A megabyte can have a quarter of a million, and finding the nearest name for each
would take minutes.
"""

_SHOWN = 100
"""Characters of a tag, an anchor or a key that a fault shows; one can be as long as the text."""

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser reads the same language some ten times faster; PyYAML may have been built without it."""

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_QUOTE = "put the text in quotes"
_IN_PLAIN_WORDS = {
    "mapping values are not allowed": f"a colon stands where none can; {_QUOTE}",
    "tab character": "indent with blanks, not with tabs",
    "cannot start any token": f"a text can't begin like this; {_QUOTE}, and indent with blanks, not with tabs",
    "alphabetic or numeric character": f"a text can't begin like this; {_QUOTE}",
    "end of stream": "a quote or a bracket isn't closed",
    "expected ',' or": "a bracket isn't closed, or a comma is missing",
    "expected key": "this doesn't fit the lines before; look at quotes and indentation",
    "expected <block end>": "this doesn't fit the lines before; look at quotes and indentation",
    "expected '-' indicator": "this doesn't fit the list before; look at the indentation",
    "escape character": "between double quotes a backslash is written twice; use single quotes",
}
"""What a reader of YAML says, and what its user can do."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_MAX_DIGITS = 40
"""A longer plain number is text: Python refuses to read very long ones, and nobody means them as an input."""


class WrittenFloat(float):
    """A number that remembers its spelling: whoever writes 1.10 without quotes may mean the text.

    It equals its number and is written as that; only messages show the spelling in the file.
    """

    def __new__(cls, text: str) -> WrittenFloat:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


class YamlError(Exception):
    """A text can't be read; ``faults`` says why and in which lines."""

    def __init__(self, faults: list[PlanFault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


def read_yaml(text: str | bytes, *, first_line: int = 1) -> Any:
    """The data in a text: dicts with text keys, lists, text, numbers, booleans, None.

    :param first_line: number of the text's first line in its file, for messages
    :raises YamlError: with all faults found before the text became unreadable
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        size = len(text.encode("utf-8"))
    except UnicodeError as error:
        raise YamlError([PlanFault("not_utf8", "the text", f"is not UTF-8: {error}")]) from None
    if size > MAX_TEXT:
        message = f"has {size:,} bytes, and at most {MAX_TEXT:,} are allowed"
        raise YamlError([PlanFault("text_too_long", "the text", message)])
    return _Reader(first_line).read(text.removeprefix("\ufeff"))


class _Reader:
    """Builds data from the events of PyYAML's parser, which knows the syntax but builds nothing itself."""

    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self.faults: list[PlanFault] = []

    def read(self, text: str) -> Any:
        data = None
        try:
            events = yaml.parse(text, Loader=_PARSER)
            documents = 0
            for event in events:
                if isinstance(event, yaml.NodeEvent):
                    documents += 1
                    if documents > 1:
                        message = "a second document begins here; there must be one"
                        self._fault("several_documents", event, message)
                        break
                    data = self._node(event, events, depth=1)
        except yaml.MarkedYAMLError as error:
            self._not_yaml(self._line(error.problem_mark), error.problem)
        except yaml.YAMLError as error:
            self._not_yaml("the text", getattr(error, "reason", None) or error)
        except UnicodeDecodeError:  # from libyaml: %ED%A0%80 in a tag is half of a character
            self._not_yaml("the text", "a tag's escapes are not UTF-8")
        if self.faults:
            raise YamlError(self.faults)
        return data

    def _node(self, event: yaml.NodeEvent, events: Iterator[Any], *, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            message = f"has the alias *{_short(event.anchor)}; write the value out"
            return self._fault("yaml_alias", event, message)
        if event.anchor is not None:
            message = f"has the anchor &{_short(event.anchor)}; write the value out where it is needed"
            self._fault("yaml_alias", event, message)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._fault("yaml_tag", event, f"has the tag {_short(tag)}; only plain data is read")
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else plain(event.value)
        if depth > MAX_DEPTH:
            self._fault("too_deep", event, f"is more than {MAX_DEPTH} levels deep")
            raise YamlError(self.faults)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, depth)
        return self._mapping(events, depth)

    def _list(self, events: Iterator[Any], depth: int) -> list[Any]:
        found = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            found.append(self._node(event, events, depth=depth + 1))
        return found

    def _mapping(self, events: Iterator[Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth=depth + 1)
            if isinstance(event, yaml.ScalarEvent):
                key = event.value
            else:
                self._fault("key_not_text", event, "has a key that isn't a plain text")
                key = ""
            if key in found:
                self._fault("duplicate_key", event, f"has the key {shown(key)} a second time")
            found[key] = self._node(next(events), events, depth=depth + 1)
        return found

    def _fault(self, code: str, event: Any, message: str) -> None:
        self.faults.append(PlanFault(code, self._line(event.start_mark), message))
        if len(self.faults) == MAX_FAULTS:
            more = f"has perhaps more faults; these are the first {MAX_FAULTS}"
            raise YamlError([*self.faults, PlanFault("more_faults", "the text", more)])

    def _not_yaml(self, where: str, problem: object) -> None:
        text = one_line(problem, 2 * _SHOWN)
        said = next((words for part, words in _IN_PLAIN_WORDS.items() if part in text), text)
        self.faults.append(PlanFault("not_yaml", where, f"is not YAML: {said}"))

    def _line(self, mark: Any) -> str:
        return f"line {mark.line + self.first_line}, column {mark.column + 1}" if mark else "the text"


def _short(name: object) -> str:
    return one_line(name, _SHOWN)


def plain(text: str) -> Any:
    """What a text without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if repr(number) == text else WrittenFloat(text)
    return text


def write_yaml(data: Any) -> str:
    """A text that :func:`read_yaml` reads as the same data, with keys in order and long texts as blocks."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_FOLD)


_NEVER_FOLD = 1 << 30
_ONE_LINE_LIST = 100
"""Characters up to which a list of texts and numbers stays on one line."""

_OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper without aliases, with indented lists, and with blocks that read back unchanged."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        # PyYAML counts a tab as unprintable: a text with one would become a line of escapes. (Not at the very
        # beginning, where libyaml takes the tab for indentation.)
        tabs = "\t" in scalar and not scalar.lstrip("\n").startswith("\t")
        analysis = super().analyze_scalar(scalar.replace("\t", " ") if tabs else scalar)
        analysis.scalar = scalar
        if (tabs and "\n" not in scalar) or _OTHER_LINE_ENDS.search(scalar):
            # Written as they are, these would read back differently; double quotes escape them.
            analysis.allow_flow_plain = analysis.allow_block_plain = False
            analysis.allow_single_quoted = analysis.allow_block = False
        return analysis


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    quoted = None if plain(text) is text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else quoted)


def _represent_list(dumper: _Dumper, items: list[Any]) -> yaml.SequenceNode:
    short = all(isinstance(item, str | int | float | None) and "\n" not in str(item) for item in items)
    one_line = short and sum(len(str(item)) + 2 for item in items) <= _ONE_LINE_LIST
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=one_line)


_Dumper.add_representer(WrittenFloat, lambda dumper, number: dumper.represent_float(float(number)))
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(
    dict, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=False)
)
