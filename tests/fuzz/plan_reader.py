"""Throws mutated plans at the plan reader: ``make fuzz``, or ``python -m tests.fuzz.plan_reader --seconds 60``.

Whatever the input, it is a plan or a :class:`PlanError`, within seconds, in bounded words that nothing obeys; and what
is a plan comes back from its own text as it was. Inputs are real plans that were damaged a few times over, so that most
of them get past the YAML and into the rules. A run is told by its seed: the same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import PlanError
from chassis.text import DECEIVING
from chassis.workflow import dump_plan, load_plan, plan_digest
from chassis.workflow.yaml_text import YamlError, read_yaml, write_yaml
from tests.injection.corpus import CORPUS
from tests.unit.workflow.wrong_plans import CASES, PLAN, SERVICES

PROJECT = Path(__file__).parents[2]
SLOWEST = 5.0
"""Seconds of CPU that one input may take."""
LONGEST = 100_000
"""Characters of a refusal: a hundred faults."""
MOST_MEMORY = 500
"""Megabytes that the process may grow by over a run."""

Input = str | bytes


class Finding(Exception):  # noqa: N818  it is what a fuzzer finds
    """An input for which the reader doesn't do what it promises."""


@dataclass
class Tally:
    """What a run came to."""

    inputs: int = 0
    plans: int = 0
    seconds: float = 0
    slowest: float = 0

    def __str__(self) -> str:
        refused = self.inputs - self.plans
        return (
            f"plan reader: {self.inputs:,} inputs in {self.seconds:.1f} s ({self.inputs / self.seconds:,.0f}/s), "
            f"{self.plans:,} plans and {refused:,} refused, the slowest in {self.slowest:.2f} s"
        )


def seeds() -> list[str]:
    """Plans to begin with: the golden one, the one of the tests, the documented ones, and each wrong one."""
    golden = PROJECT / "tests/unit/workflow/golden/add_pet_insurance.yaml"
    documented = (
        (PROJECT / "docs/reference/plan-format.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    )
    texts = [golden.read_text(encoding="utf-8"), PLAN, *(text.partition("```")[0] for text in documented)]
    wrong = [case.text for case in CASES]
    return [*texts * (5 * len(wrong) // len(texts)), *wrong]


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


def examine(given: Input) -> bool:
    """Read one input. Returns whether it is a plan.

    :raises Finding: the reader doesn't do what it promises
    """
    started = time.process_time()
    try:
        accepted = _read(given)
    except Finding:
        raise
    except BaseException as error:
        raise Finding(f"{type(error).__name__}: {error}") from error
    if (seconds := time.process_time() - started) > SLOWEST:
        raise Finding(f"it took {seconds:.1f} s of CPU")
    return accepted


def _read(given: Input) -> bool:
    try:
        plan = load_plan(given, services=SERVICES)
    except PlanError as error:
        told = str(error)
        if DECEIVING.search(told) or len(told) > LONGEST or len(json.dumps(error.describe())) > 20 * LONGEST:
            raise Finding(f"its refusal has {len(told):,} characters, or some that are obeyed") from error
        if not error.faults or len(error.faults) > 101:
            raise Finding(f"its refusal has {len(error.faults)} faults") from error
        return False
    text = dump_plan(plan)
    again = load_plan(text, services=SERVICES)
    if again != plan or plan_digest(again) != plan_digest(plan) or dump_plan(again) != text:
        raise Finding("its text is that of another plan")
    return True


def inputs(seed: int) -> Iterator[Input]:
    """Inputs without end; the same ones for the same seed."""
    chance, texts = random.Random(seed), seeds()
    yield from texts
    while True:
        yield mutate(chance.choice(texts), chance, texts)


def fuzz(seed: int, *, seconds: float | None = None, count: int | None = None) -> Tally:
    """Read inputs until the time is over, or so many.

    :raises Finding: an input is one that the reader fails on; ``given`` is that input, as short as it was got
    """
    tally, started = Tally(), time.monotonic()
    for given in inputs(seed):
        if (seconds and time.monotonic() - started > seconds) or (count and tally.inputs >= count):
            break
        before = time.process_time()
        try:
            tally.plans += examine(given)
        except Finding as finding:
            finding.given = shortened(given)  # type: ignore[attr-defined]
            raise
        tally.inputs += 1
        tally.slowest = max(tally.slowest, time.process_time() - before)
    tally.seconds = time.monotonic() - started
    return tally


def shortened(given: Input) -> Input:
    """The input without what it fails without."""

    def fails(candidate: Input) -> bool:
        try:
            examine(candidate)
        except Finding:
            return True
        return False

    size = len(given) // 2
    while size:
        start = 0
        while start < len(given):
            shorter = given[:start] + given[start + size :]  # type: ignore[operator]
            if fails(shorter):
                given = shorter
            else:
                start += size
        size //= 2
    return given


def main() -> int:
    arguments = argparse.ArgumentParser(description="Throw mutated plans at the plan reader.")
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    chosen = arguments.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        tally = fuzz(chosen.seed, seconds=chosen.seconds)
    except Finding as finding:
        print(f"Seed {chosen.seed}: {finding}\n{finding.given!r}")  # type: ignore[attr-defined]
        return 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{tally}; seed {chosen.seed}, {grown:.0f} MB more memory")
    return int(grown > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
