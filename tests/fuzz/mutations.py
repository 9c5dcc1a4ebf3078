"""How a plan is damaged: anywhere in its text, or in one value, which gets further."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from chassis.workflow.yaml_text import YamlError, read_yaml, write_yaml
from tests.injection.corpus import CORPUS

Input = str | bytes

TOKENS = [
    *(
        "- ",
        ": ",
        "? ",
        "| ",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "!a ",
        "!!python/object:os.system ",
        "%YAML 1.1\n",
        "--- \n",
        "...\n",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        ",",
        "#",
        "'",
        '"',
        "\\",
        "\n",
        "\n  ",
        "\t",
        "\r\n",
        " ",
        "\ufeff",
        "\x00",
        "\x85",
        "\u2028",
    ),
    *("~", "null", "true", "no", "1e999", "-0", "0x1F", "9" * 30, "1.5", ".inf", "2026-03-01", "<<: "),
    *(
        "id: ",
        "tasks:\n",
        "for_each: ",
        "same_as: ",
        "output_of: ",
        "items: [a, a]",
        "depends_on: [",
        "output_schema: ",
    ),
    *(
        "{$ref: '#'}",
        "$defs: ",
        "anyOf: ",
        "{item}",
        "{item.__class__}",
        "__type: ",
        "cron: ",
        "@daily",
        "schema_version: ",
    ),
    *(
        "\ud800",
        "\U000e0041",
        "\u202e",
        "é",
        "🐕",
        "inputs:\n",
        "  - id: ",
        "limits: ",
        "budget_usd: ",
        "provenance: ",
    ),
    *(attack.text[:300] for attack in CORPUS),
]
SMALL = 40
IDS = ["discover", "build", "verify", "deploy", "report", "product", "regions", "item", "services", "a", "x1"]
KEYS = [
    "items",
    "input",
    "same_as",
    "output_of",
    "path",
    "$ref",
    "type",
    "properties",
    "default",
    "cron",
    "preset",
    "asset",
]
VALUES = [
    None,
    True,
    0,
    1,
    -1,
    3,
    20,
    200,
    2.5,
    2**53,
    "",
    " ",
    [],
    {},
    ["a"],
    {"type": "string"},
    "@daily",
    "0 6 * * 1",
    "UTC",
]


def mutate(text: str, chance: random.Random, others: list[str]) -> Input:
    """The text, damaged once, often twice, and so on."""
    text = chance.choice(MUTATIONS)(text, chance, others)[:50_000]
    while chance.random() < 0.5:
        text = chance.choice(MUTATIONS)(text, chance, others)[:50_000]
    if chance.random() < 0.1:
        raw = bytearray(text.encode("utf-8", "surrogatepass"))
        for _ in range(chance.randint(1, 4)):
            if raw:
                raw[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(raw)
    return text


def _span(text: str, chance: random.Random, most: int = SMALL) -> tuple[int, int]:
    start = chance.randint(0, len(text))
    return start, min(len(text), start + chance.randint(0, most))


def _delete(text: str, chance: random.Random, others: list[str]) -> str:
    start, end = _span(text, chance)
    return text[:start] + text[end:]


def _insert(text: str, chance: random.Random, others: list[str]) -> str:
    start = chance.randint(0, len(text))
    return text[:start] + chance.choice(TOKENS) + text[start:]


def _replace(text: str, chance: random.Random, others: list[str]) -> str:
    start, end = _span(text, chance, 12)
    return text[:start] + chance.choice(TOKENS) + text[end:]


def _repeat(text: str, chance: random.Random, others: list[str]) -> str:
    start, end = _span(text, chance, 200)
    return text[:end] + text[start:end] * chance.choice([1, 1, 2, 50]) + text[end:]


def _splice(text: str, chance: random.Random, others: list[str]) -> str:
    other = chance.choice(others)
    start, end = _span(other, chance, 400)
    here = chance.randint(0, len(text))
    return text[:here] + other[start:end] + text[here:]


def _value(text: str, chance: random.Random, others: list[str]) -> str:
    """Another value for a key: the mutation that gets furthest."""
    lines = text.split("\n")
    keyed = [index for index, line in enumerate(lines) if ": " in line]
    if keyed:
        index = chance.choice(keyed)
        key = lines[index].partition(": ")[0]
        value = chance.choice([*TOKENS, json.dumps(chance.choice(CORPUS).text[:200])])
        lines[index] = f"{key}: {value}"
    return "\n".join(lines)


def _data(text: str, chance: random.Random, others: list[str]) -> str:
    """The same plan but for one value: what the YAML can't be blamed for."""
    try:
        data = read_yaml(text)
    except YamlError:
        return text
    here, way = data, []
    while isinstance(here, dict | list) and here and chance.random() < 0.9:
        key = chance.choice(list(here) if isinstance(here, dict) else range(len(here)))
        way.append((here, key))
        here = here[key]
    if way:
        holder, key = way[-1]
        other = chance.choice(
            [
                chance.choice(CORPUS).text[:200],
                chance.choice(IDS),
                chance.choice(VALUES),
                holder[key],
                [holder[key]] * 2,
            ]
        )
        if isinstance(holder, dict) and chance.random() < 0.2:
            holder[chance.choice([*IDS, *KEYS])] = holder.pop(key)
        elif isinstance(holder, list) and chance.random() < 0.3:
            holder.insert(key, other)
        elif chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = other
    # JSON is YAML, and quickly written.
    return write_yaml(data) if chance.random() < 0.1 else json.dumps(data, ensure_ascii=False, indent=1)


def _swap(text: str, chance: random.Random, others: list[str]) -> str:
    lines = text.split("\n")
    here, there = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[here], lines[there] = lines[there], lines[here]
    return "\n".join(lines)


def _indent(text: str, chance: random.Random, others: list[str]) -> str:
    lines = text.split("\n")
    here = chance.randrange(len(lines))
    lines[here] = " " * chance.randint(0, 8) + lines[here].lstrip(" ")
    return "\n".join(lines)


def _deepen(text: str, chance: random.Random, others: list[str]) -> str:
    start = chance.randint(0, len(text))
    opening = chance.choice(["[", "{a: ", "- ", "? ", '{"$defs": '])
    return text[:start] + opening * chance.choice([3, 70, 1_000]) + text[start:]


def _cut(text: str, chance: random.Random, others: list[str]) -> str:
    return text[: chance.randint(0, len(text))]


MUTATIONS: list[Callable[[str, random.Random, list[str]], str]] = [
    *[_data] * 12,
    *[_value] * 4,
    *(_delete, _insert, _insert, _replace, _replace, _repeat, _splice, _swap, _indent, _deepen, _cut),
]
