"""A conversation with Claude as text for a terminal: nothing said in it is obeyed, or passes for a heading."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.text import Text

from chassis.cli.console import safe_line, safe_text
from chassis.cli.render import SIMULATED
from chassis.figures import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from chassis.airflow_client import Json

_WHO = {"user": "Chassis", "assistant": "Claude"}


def transcript_lines(found: Json) -> Iterator[Text]:
    """A try's conversation, turn by turn.

    :param found: what Airflow's Chassis gives for a task, with a transcript
    """
    transcript = found["transcript"]
    tries = ", ".join(str(number) for number in sorted(found["tries"]))
    yield Text(f"Try {transcript['try_number']} (with a transcript: {tries})", style="bold")
    system: Sequence[str] = ()
    for number, turn in enumerate(transcript["turns"], start=1):
        yield Text(f"== Turn {number}: {_heading(turn)}", style="bold")
        if turn["error_message"]:
            yield _said(turn["error_message"], "red")
        if turn["system"] and turn["system"] != system:
            system = turn["system"]
            yield from _speech("System", "\n\n".join(system))
        for message in turn["messages"]:
            yield from _speech(_WHO.get(message["role"], message["role"]), _words(message["content"]))
        if turn["answer"]:
            yield from _speech("Claude answers", _words(turn["answer"]), "green")
    if transcript["unreadable"]:
        yield Text(
            f"{counted(transcript['unreadable'], 'turn')} can't be read: edited by hand.", style="yellow"
        )


def _heading(turn: Mapping[str, Any]) -> str:
    usage = turn["usage"]
    read = usage["input_tokens"] + usage["cache_read_tokens"] + usage["cache_write_tokens"]
    parts = [
        turn["outcome"] if not turn["error"] else f"{turn['outcome']}, {turn['error']}",
        f"{str(turn['at'])[:19].replace('T', ' ')} UTC",
        duration(turn["seconds"]),
        turn["model"],
        f"{read:,} tokens in, {usage['output_tokens']:,} out",
        f"request {turn['request_id'] or '-'}",
    ]
    parts += ["an earlier try's answer, not asked again"] if turn["recalled"] else []
    parts += [SIMULATED] if turn["simulated"] else []
    return safe_line(" · ".join(parts))


def _speech(who: str, text: str, style: str = "") -> Iterator[Text]:
    yield Text(f"{safe_line(who)}:", style="bold")
    yield _said(text, style)


def _said(text: str, style: str = "") -> Text:
    """Set off, so that none of its lines can pass for a heading."""
    return Text("\n".join(f"    {line}" for line in safe_text(text).split("\n")), style=style)


def _words(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Content blocks as text: texts as they are, a tool's input as the JSON that it is."""
    return "\n".join(_block(block) for block in blocks)


def _block(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "thinking":
            return f"(thinking)\n{block.get('thinking', '')}"
        case "tool_use":
            given = block.get("input")
            return f"({block.get('name')})\n{given if isinstance(given, str) else _json(given)}"
        case "tool_result":
            content = block.get("content")
            return _words(content) if isinstance(content, list) else str(content)
        case _:
            return _json(block)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
