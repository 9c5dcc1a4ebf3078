"""What a Bedrock client needs to know. The hook reads it from an Airflow connection."""

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
    """Everything a client needs, from a connection and its environment.

    :ivar region: AWS region; part of every signature
    :ivar endpoint: URL to call; None for the region's own AWS endpoint
    :ivar auth: live AWS credentials, which may renew themselves, or a Bedrock API key
    :ivar verify: False to skip certificate checks; a path to use other certificate authorities
    """

    conn_id: str
    region: str
    endpoint: str | None
    auth: Credentials | str = field(repr=False)
    options: ClaudeOptions
    verify: bool | str | None

    @property
    def fingerprint(self) -> str:
        """The same for two connections whose clients would behave alike. It is a hash, because it covers the secret
        key.
        """
        who: list[Any]
        if isinstance(self.auth, str):
            who = ["token", self.auth]
        elif isinstance(self.auth, RefreshableCredentials):
            who = ["renewing", id(self.auth)]  # the keys keep changing but the object stays, see _renewing
        else:
            who = ["keys", *self.auth.get_frozen_credentials()]
        facts = [self.conn_id, self.region, self.endpoint, self.verify, self.options.model_dump(), who]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
