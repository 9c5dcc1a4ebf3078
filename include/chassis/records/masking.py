"""Secrets in what was said to and by Claude, masked before any of it is kept.

Two masks, one after the other. Airflow's own: the passwords, extras and variables that this process has read, by
their values. And the formats of well-known keys, whoever they belong to: a person may paste one into a
requirement, and a model may repeat one. A password that looks like any other word, and that this process has not
read as a connection, can't be known.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "***"

_KEY_LINE = r"-----%s [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
KEY_FORMATS: dict[str, tuple[tuple[str, ...], str]] = {
    "AWS access key id": (
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])",
    ),
    # Without a form of its own but for its length: it is told by the name before it.
    "AWS secret key": (
        ("secret", "session", "SECRET", "SESSION", "Secret", "Session"),
        r"(?P<name>(?i:secret_?(?:access_?)?key|session_?token)[\"'\\]{0,3}\s{0,3}[:=]\s{0,3}[\"'\\]{0,3})"
        r"[A-Za-z0-9/+]{40,2000}={0,2}",
    ),
    "Bedrock API key": (("ABSK",), r"(?<![A-Za-z0-9])ABSK[A-Za-z0-9+/]{40,400}={0,2}"),
    "GitHub token": (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    ),
    "Slack token": (("xox",), r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    "Anthropic key": (("sk-ant-",), r"(?<![A-Za-z0-9])sk-ant-[A-Za-z0-9_-]{16,250}"),
    "JSON web token": (
        ("eyJ",),
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}",
    ),
    "private key": (("-----BEGIN ",), rf"(?s:{_KEY_LINE % 'BEGIN'}.*?(?:{_KEY_LINE % 'END'}|\Z))"),
}
"""What a well-known key looks like, by its name: words of which one is in it, and its whole form.

A prompt has a hundred thousand characters and hardly ever a key. To look for a word in it takes microseconds, to try
a form at each of its characters takes milliseconds, in which no other thread of the process works.
"""

_FORMS = [(words, re.compile(form)) for words, form in KEY_FORMATS.values()]


def masked(text: str) -> str:
    """The text with ``***`` in place of each secret that is known by its value or by its format."""
    # Airflow masks strings deep inside an object only down to its fifth level; a string by itself it always masks.
    from airflow.sdk._shared.secrets_masker import redact

    text = str(redact(text))
    for words, form in _FORMS:
        if any(word in text for word in words):
            text = form.sub(_mask, text)
    return text


def _mask(found: re.Match[str]) -> str:
    """The mask, behind the name by which a secret was told, if it was."""
    return f"{found.groupdict().get('name', '')}{MASK}"


def masked_data(value: Any) -> Any:
    """JSON-safe data with each of its strings masked, names of fields excepted."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_data(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [masked_data(part) for part in value]
    return value
