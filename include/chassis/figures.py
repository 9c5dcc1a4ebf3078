"""Formats dollars, counts and durations the same way for the command line and the pages."""

from __future__ import annotations

_CENT = 0.01
_MINUTE = 60
_HOUR = 3600


def dollars(usd: float, places: int | None = None) -> str:
    """An amount of money, with two decimals, or more if they are significant.

    :param places: maximum number of decimals; None: four, or six below a cent
    """
    places = (6 if abs(usd) < _CENT else 4) if places is None else places
    whole, _, decimals = f"{usd:,.{places}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 call``, ``1,200 calls``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A duration in one or two units: ``3.2 s``, ``2 min 05 s``, ``1 h 04 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def minute(moment: str | None) -> str:
    """An ISO 8601 time to the minute, such as ``2026-11-28 10:30``; empty for None."""
    return (moment or "")[:16].replace("T", " ")
