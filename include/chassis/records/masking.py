"""Masks secrets in conversations with Claude before anything is kept.

Two masks apply in turn. Airflow's own masks the values of passwords, extras and variables that this process has read.
The second masks whatever has the format of a well-known key, whoever owns it: a person may paste one into a
requirement, and a model may repeat it. A password that looks like an ordinary word and that this process has not read
from a connection can't be recognised.
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
    # Has no format but its length, so it is recognised by the name before it.
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
"""Formats of well-known keys by name: words of which every such key contains one, and the whole pattern.

A prompt has a hundred thousand characters and hardly ever a key. Searching it for a word takes microseconds; trying a
pattern at each character takes milliseconds, in which no other thread of the process runs."""

_FORMS = [(words, re.compile(form)) for words, form in KEY_FORMATS.values()]


def masked(text: str) -> str:
    """Replace each secret that is known by value or by format with ``***``."""
    # Airflow masks strings inside an object only down to the fifth level; a bare string it always masks.
    from airflow.sdk._shared.secrets_masker import redact

    text = str(redact(text))
    for words, form in _FORMS:
        if any(word in text for word in words):
            text = form.sub(_mask, text)
    return text


def _mask(found: re.Match[str]) -> str:
    """The mask, after the name that revealed the secret, if any."""
    return f"{found.groupdict().get('name', '')}{MASK}"


def masked_data(value: Any) -> Any:
    """Mask each string in JSON-safe data, except names of fields."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_data(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [masked_data(part) for part in value]
    return value
