"""The card that a task leaves when it fails before any call."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from chassis.contract.names import CARD
from chassis.contract.xcoms import Card
from chassis.errors import ChassisError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context


@contextmanager
def card_on_error(context: Context) -> Iterator[None]:
    """Leave a card for an error of Chassis's own that comes before any call, or where none is made."""
    try:
        yield
    except ChassisError as error:
        context["ti"].xcom_push(CARD, Card.made(error=error).document())
        raise
