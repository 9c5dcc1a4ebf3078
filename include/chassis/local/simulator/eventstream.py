"""AWS event-stream framing, as Bedrock uses it for ``invoke-with-response-stream``.

A frame is: total length and headers length (4 bytes each, big endian), CRC-32 of those eight bytes, the
headers, the payload, and the CRC-32 of everything before it.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_STRING_HEADER = 7
_ENVELOPE_BYTES = 16  # prelude (8), its checksum (4) and the frame's checksum (4)
# Bedrock pads each chunk with characters of no meaning, so that its length does not give the answer away.
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def encode_frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame with string headers."""
    packed = b"".join(_encode_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", _ENVELOPE_BYTES + len(packed) + len(payload), len(packed))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return body + struct.pack("!I", zlib.crc32(body))


def chunk_frame(event: dict[str, Any]) -> bytes:
    """The frame that carries one of Claude's stream events."""
    data = json.dumps(event, separators=(",", ":")).encode()
    content = {"bytes": base64.b64encode(data).decode(), "p": _PADDING[: 1 + len(data) % len(_PADDING)]}
    return encode_frame(
        {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
        json.dumps(content, separators=(",", ":")).encode(),
    )


def exception_frame(name: str, message: str) -> bytes:
    """The frame that ends a stream that has failed; ``name`` is such as ``throttlingException``."""
    return encode_frame(
        {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"},
        json.dumps({"message": message}).encode(),
    )


def _encode_header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    return (
        struct.pack("!B", len(raw_name))
        + raw_name
        + struct.pack("!BH", _STRING_HEADER, len(raw_value))
        + raw_value
    )
