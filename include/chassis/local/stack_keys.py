"""Secrets of a local stack: generated once, kept in its home, readable by their owner only.

They survive ``chassis down``: with another Fernet key the connections and trigger arguments in the database
couldn't be read again, with another signing secret a browser would have to sign in anew after each start.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pathlib import Path

USERNAME = "admin"
PASSWORD_FILE = "password.json"  # noqa: S105  a file name
_KEY_FILE = "keys.json"


class Keys(BaseModel):
    """What signs, encrypts and opens one local stack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fernet_key: str = Field(description="32 random bytes, URL-safe base64, as Airflow's Fernet key.")
    jwt_secret: str = Field(description="Signs API and task tokens.")
    api_secret_key: str = Field(description="Signs sessions and requests for logs.")
    password: str = Field(description="Password of the stack's one user.")


def password_file(home: Path) -> Path:
    """The file that Airflow's simple auth manager reads: ``{"admin": "<password>"}``."""
    return home / PASSWORD_FILE


def read_password(home: Path) -> str:
    """The password of the stack's user.

    :raises FileNotFoundError: no stack was ever started in this home
    """
    return str(json.loads(password_file(home).read_bytes())[USERNAME])


def load_keys(home: Path) -> Keys:
    """The stack's secrets; generated and written with mode 0600 when they aren't there yet."""
    path = home / _KEY_FILE
    if path.exists():
        keys = Keys.model_validate_json(path.read_bytes())
    else:
        keys = Keys(
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            jwt_secret=secrets.token_urlsafe(48),
            api_secret_key=secrets.token_urlsafe(32),
            password=secrets.token_urlsafe(12),
        )
        write_private(path, keys.model_dump_json())
    write_private(password_file(home), json.dumps({USERNAME: keys.password}) + "\n")
    return keys


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only its owner can read (0600 from the first byte on)."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
