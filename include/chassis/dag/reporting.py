"""What a failed task leaves for its readers, before Airflow sees the error.

The types of XComs are imported only where one is made: a task that just hands its work to the triggerer needs none.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from chassis.contract.names import CARD, ERROR
from chassis.errors import ChassisError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import BaseOperator, Context


@contextmanager
def reported(operator: BaseOperator, context: Context) -> Iterator[None]:
    """Log a :class:`ChassisError` as one clear sentence, and leave it as the XCom ``error``."""
    try:
        yield
    except ChassisError as error:
        operator.log.error("%s: %s", type(error).__name__, error)  # noqa: TRY400  the traceback follows anyway
        context["ti"].xcom_push(ERROR, error.describe())
        raise


@contextmanager
def card_on_error(context: Context) -> Iterator[None]:
    """Leave a card for a :class:`ChassisError` that is raised before or without a call."""
    try:
        yield
    except ChassisError as error:
        from chassis.contract.xcoms import Card

        context["ti"].xcom_push(CARD, Card.made(error=error).document())
        raise
