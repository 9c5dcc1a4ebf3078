"""One call's request and outcome, for those who record calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chassis.claude.reply import Reply
    from chassis.ledger.entries import Closed


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A call that ended: answered, failed or cancelled.

    :ivar payload: the request, see ``client.messages.create``
    :ivar reply: the answer; partial or empty unless the call was answered
    :ivar closed: how the ledger closed the call
    :ivar error_message: Chassis's own error, in words; empty if there was none
    :ivar recalled: no call was made; ``reply`` is the kept answer of the earlier call in ``closed``
    """

    payload: dict[str, Any]
    reply: Reply
    closed: Closed
    error_message: str = ""
    recalled: bool = False


Recorder = Callable[[Exchange], None]
"""Records an exchange. Called in the event loop, after the answer is kept and the ledger is written. It must neither
block nor raise, because the exchange has been paid for."""
