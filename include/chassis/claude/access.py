"""What a client of Bedrock needs to know, read from an Airflow connection by the hook."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.credentials import RefreshableCredentials  # noqa: TID253  imported by the hook's base class anyway

if TYPE_CHECKING:
    from botocore.credentials import Credentials

    from chassis.claude.connection_options import ClaudeOptions


@dataclass(frozen=True)
class BedrockAccess:
    """All that a client needs, read from a connection and its surroundings.

    :ivar conn_id: the connection's id, for messages
    :ivar region: AWS region, which is part of every signature
    :ivar endpoint: address to call; None for AWS's own of the region
    :ivar auth: live AWS credentials, which may renew themselves, or a Bedrock API key
    :ivar verify: False for no check of certificates, a path for one's own authorities
    """

    conn_id: str
    region: str
    endpoint: str | None
    auth: Credentials | str = field(repr=False)
    options: ClaudeOptions
    verify: bool | str | None

    @property
    def fingerprint(self) -> str:
        """The same for two whose clients would do the same. It is hashed: it holds the secret key."""
        who: list[Any]
        if isinstance(self.auth, str):
            who = ["token", self.auth]
        elif isinstance(self.auth, RefreshableCredentials):
            who = ["renewing", id(self.auth)]  # the keys change all the time; the object stays, see _renewing
        else:
            who = ["keys", *self.auth.get_frozen_credentials()]
        facts = [self.conn_id, self.region, self.endpoint, self.verify, self.options.model_dump(), who]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
