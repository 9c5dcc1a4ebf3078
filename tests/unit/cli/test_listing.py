"""Tables: an id is copied from them, so none is ever broken."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from chassis.cli.listing import Listing

LONG = "add_pet_insurance_product_to_all_services_and_tell_everybody"


def shown(width: int, *, terminal: bool) -> list[str]:
    listing = Listing("Workflow", "State", "Tokens", "Title", numbers=("Tokens",))
    listing.add(
        LONG, "upstream_failed", "1,200", "Add pet insurance to all services, and tell everybody about it"
    )
    listing.section()
    listing.add("b", "", "7", "", style="bold")
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal, soft_wrap=not terminal).print(listing)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_a_row_is_a_few_lines(width: int) -> None:
    lines = shown(width, terminal=True)
    assert max(map(len, lines)) <= width
    assert LONG in lines
    assert "  State: upstream_failed" in lines
    assert "  Title: " not in "\n".join(lines[lines.index("b") :]), "what is empty has no line"


@pytest.mark.parametrize(("width", "terminal"), [(160, True), (60, False), (200, False)])
def test_on_a_wide_one_and_in_a_pipe_it_is_a_line(width: int, terminal: bool) -> None:
    (line,) = [line for line in shown(width, terminal=terminal) if LONG in line]
    assert line.split()[1:3] == ["upstream_failed", "1,200"]
    assert line.endswith("tell everybody about it")
