"""Tables that never break an id: on a narrow terminal each row becomes a few lines, in a pipe a row is one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.console import Console, ConsoleOptions, RenderResult

_ENOUGH = 100_000
"""Columns that any table fits into."""


class Listing:
    """Rows under headings. The first cell of a row is its name.

    :param numbers: headings of columns that are aligned on the right
    """

    def __init__(self, *headings: str, numbers: Collection[str] = ()) -> None:
        self._headings = headings
        self._numbers = numbers
        self._rows: list[tuple[tuple[Text, ...], str]] = []
        self._sections: set[int] = set()

    def add(self, *cells: str | Text, style: str = "") -> None:
        """Add a row."""
        texts = (cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        self._rows.append((tuple(texts), style))

    def section(self) -> None:
        """Set the rows that follow apart."""
        self._sections.add(len(self._rows))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(width=_ENOUGH, max_width=_ENOUGH)
        table = self._table()
        width = Measurement.get(console, wide, table).maximum
        if width <= options.max_width or not console.is_terminal:
            yield from console.render(table, options.update(width=width, max_width=width))
        else:
            for row, style in self._rows:
                yield from self._lines(row, style)

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in self._headings:
            table.add_column(heading, no_wrap=True, justify="right" if heading in self._numbers else "left")
        for number, (cells, style) in enumerate(self._rows):
            if number in self._sections:
                table.add_section()
            table.add_row(*cells, style=style)
        return table

    def _lines(self, row: tuple[Text, ...], style: str) -> RenderResult:
        """A row as its name, and what else is known of it, a line each."""
        yield Text.assemble(row[0], style=style or "bold")
        for heading, cell in zip(self._headings[1:], row[1:], strict=True):
            if cell.plain:
                yield Text.assemble((f"  {heading}: ", "dim"), cell)
