"""Files that only save work: JSON with its digest, so that an edited file counts as none."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_FILE = re.compile(
    rb'\{(?:"fingerprint": "([0-9a-f]{64})", )?"([a-z]+)": (.*), "sha256": "([0-9a-f]{64})"\}\n', re.DOTALL
)


def canonical(value: dict[str, Any]) -> bytes:
    """Serialise JSON independently of the order of keys.

    :raises TypeError: it contains something that isn't JSON
    :raises ValueError: it contains an infinite number or NaN
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sealed(kind: str, value: dict[str, Any], fingerprint: str = "") -> bytes:
    """The content of a value's file. Raises what :func:`canonical` raises.

    :param kind: what the value is, in lower-case letters
    :param fingerprint: what it was made from: 64 hexadecimal digits, or empty
    """
    text = canonical(value)
    made_from = b'"fingerprint": "%b", ' % fingerprint.encode() if fingerprint else b""
    digest = _digest(fingerprint.encode(), text).encode()
    return b'{%b"%b": %b, "sha256": "%b"}\n' % (made_from, kind.encode(), text, digest)


def unsealed(kind: str, content: bytes) -> tuple[str, dict[str, Any]] | None:
    """Fingerprint and value of a file; None if it is of another kind, or was edited."""
    match = _FILE.fullmatch(content)
    if match is None or match[2] != kind.encode() or _digest(match[1] or b"", match[3]) != match[4].decode():
        return None
    value: dict[str, Any] = json.loads(match[3])
    return (match[1] or b"").decode(), value


def _digest(fingerprint: bytes, text: bytes) -> str:
    return hashlib.sha256((fingerprint + b"\0" if fingerprint else b"") + text).hexdigest()
