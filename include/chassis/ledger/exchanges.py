"""What was sent to Claude in one call and what came of it, for whoever takes note of calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chassis.claude.reply import Reply
    from chassis.ledger.entries import Closed


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One call as it ended: answered, failed or cancelled.

    :ivar payload: what was sent, see ``client.messages.create``
    :ivar reply: what came, which is a part, or nothing, unless the call was answered
    :ivar closed: how the ledger closed the call
    :ivar error_message: what went wrong, in words; empty without an error of Chassis's own
    :ivar recalled: no call was made; the reply is what an earlier call, that of ``closed``, had been answered
    """

    payload: dict[str, Any]
    reply: Reply
    closed: Closed
    error_message: str = ""
    recalled: bool = False


Recorder = Callable[[Exchange], None]
"""Takes note of an exchange. It is called in the event loop when everything that matters is done, and must neither
block nor raise: what it is told of has been paid for."""
