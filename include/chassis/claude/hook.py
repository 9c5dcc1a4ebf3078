"""The Airflow hook for Claude on Bedrock.

It reads a connection of type ``aws`` or ``claude_bedrock`` as the amazon provider does (keys, profile, assumed role,
web identity, AWS's default chain), and adds a Bedrock API key (``bearer_token``), the endpoint and the options of
:mod:`chassis.claude.connection_options`. Without a connection, it uses AWS's default chain.

Importing this module imports boto3 (0.3 s): workers and the triggerer do so when they make a call, never to parse a
DAG.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook  # noqa: TID253  the base class
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper  # noqa: TID253
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.sdk.log import mask_secret
from botocore.config import Config  # noqa: TID253  imported by the base class anyway
from botocore.credentials import RefreshableCredentials  # noqa: TID253

from chassis.claude.access import BedrockAccess
from chassis.claude.call_failures import claude_failure, foreign_errors, quoted
from chassis.claude.connection_form import CONNECTION_TYPE
from chassis.claude.connection_options import ClaudeOptions, claude_extra, read_options
from chassis.claude.endpoint import check_endpoint
from chassis.errors import ChassisError, ConnectionSetupError, CredentialsMissingError
from chassis.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Connection
    from botocore.credentials import Credentials

    from chassis.claude.client import BedrockClient

T = TypeVar("T")

SERVICE = "bedrock-runtime"
_BASE_URL = "ANTHROPIC_BEDROCK_BASE_URL"
_MOST_RENEWING = 32

_PATIENCE = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 2})
"""For STS, which a call waits for in one of the triggerer's few threads. AWS's own default is minutes."""

# Self-renewing credentials by connection: without this, forty calls with an assumed role would ask STS forty times.
# Other credentials are cheap and resolved each time, so that a changed file or variable takes effect.
_renewing: dict[str, RefreshableCredentials] = {}
_renewing_lock = threading.Lock()


class ClaudeBedrockHook(AwsBaseHook):
    """Reaches Claude on Bedrock through an Airflow connection.

    :param aws_conn_id: the connection; None for AWS's default chain
    """

    conn_name_attr = "aws_conn_id"
    default_conn_name = CONNECTION_TYPE
    conn_type = CONNECTION_TYPE
    hook_name = "Claude on Amazon Bedrock"

    def __init__(self, aws_conn_id: str | None = default_conn_name, **kwargs: Any) -> None:
        super().__init__(aws_conn_id, client_type=SERVICE, **kwargs)

    async def aclient(self) -> BedrockClient:
        """Return a client for the running event loop; close it (``async with``) to close its connections.

        Safe in the triggerer: reading the connection, importing the SDK and resolving credentials happen in a thread.
        Once the SDK is imported, building a client takes a millisecond.

        :raises ClaudeError: as :meth:`access` and :meth:`build`
        """
        return await asyncio.to_thread(lambda: self.build(self.access()))

    def access(self) -> BedrockAccess:
        """The connection's current content, with credentials. Waits for Airflow and perhaps AWS: call it in a thread.

        :raises ConnectionSetupError: the connection has an invalid option, or there is no region
        :raises CredentialsMissingError: there are no credentials
        :raises ClaudeError: AWS refused to issue or renew them
        """
        return self._clearly(
            lambda: BedrockAccess(
                conn_id=self.aws_conn_id or "",
                region=self._region(),
                endpoint=self._endpoint(),
                auth=self._auth(),
                options=self.claude_options,
                verify=self.verify,
            )
        )

    def build(self, access: BedrockAccess) -> BedrockClient:
        """Build a client from :meth:`access`. The first one imports the SDK, which takes seconds: call it in a thread.

        :raises ClaudeError: the SDK can't use it
        """

        def made() -> BedrockClient:
            from chassis.claude.client import BedrockClient, warm_up

            warm_up()
            return BedrockClient(access)

        return self._clearly(made)

    def test_connection(self) -> tuple[bool, str]:
        """Ask Claude for one token and report what that proved: endpoint, credentials and access to the model.

        Airflow's Test button runs this. The call costs about a hundredth of a cent.
        """
        from chassis.claude.ping import ping

        async def ask_for_one_token() -> str:
            model = self.claude_options.model or Settings.load().model
            async with await self.aclient() as client:
                return await ping(client, model, known=self.claude_options.behind(model))

        try:
            return True, asyncio.run(ask_for_one_token())
        except ChassisError as error:
            return False, str(error)

    @cached_property
    def claude_options(self) -> ClaudeOptions:
        """The connection's options for Claude."""
        return read_options(self._connection)

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """The connection in the amazon provider's terms, as one of type ``aws``: the provider insists on that type."""
        connection = self._connection
        if connection is None:
            wrapped = None
        else:
            wrapped = AwsConnectionWrapper.from_connection_metadata(
                connection.conn_id, connection.login, connection.password, claude_extra(connection)
            )
        given = self._config or (wrapped.botocore_config if wrapped else None)
        return AwsConnectionWrapper(
            conn=wrapped,
            region_name=self._region_name,
            botocore_config=_PATIENCE.merge(given) if given else _PATIENCE,
            verify=self._verify,
        )

    @cached_property
    def _connection(self) -> Connection | None:
        if not self.aws_conn_id:
            return None
        try:
            connection: Connection = self.get_connection(self.aws_conn_id)
        except AirflowNotFoundException:
            self.log.info("There is no connection '%s': asking AWS's default chain.", self.aws_conn_id)
            return None
        return connection

    def _clearly(self, work: Callable[[], T]) -> T:
        """Return the result of ``work``; raise its exceptions as Chassis's own errors."""
        try:
            return work()
        except foreign_errors() as error:
            failure = claude_failure(error, place=self._named())
        except (AirflowException, NotImplementedError) as error:
            failure = ConnectionSetupError(
                f"The amazon provider can't use {self._named()}: {quoted(str(error))}."
            )
        # Outside the except clauses: a foreign exception would otherwise travel along as this one's context.
        raise failure

    def _region(self) -> str:
        region = self.region_name or os.environ.get("AWS_REGION") or self._default_region()
        if not region:
            raise ConnectionSetupError(
                f"There is no AWS region for {self._named()}.",
                hint='Set "region_name" in its extra, or AWS_REGION in the environment.',
            )
        return region

    def _default_region(self) -> str | None:
        from botocore.session import Session

        region: str | None = Session(profile=self.conn_config.profile_name).get_config_variable("region")
        return region

    def _endpoint(self) -> str | None:
        """The connection's endpoint; otherwise the environment's, which the SDK would use by itself."""
        endpoint = self.conn_config.get_service_endpoint_url(SERVICE)
        place = f"The endpoint_url of {self._named()}"
        if not endpoint:
            endpoint, place = os.environ.get(_BASE_URL), f"The environment variable {_BASE_URL}"
        if not endpoint:
            return None
        check_endpoint(endpoint, region=self._region(), place=place)
        return endpoint

    def _auth(self) -> Credentials | str:
        """The connection's bearer token; otherwise its credentials; otherwise the environment's."""
        config = self.conn_config
        given = config.login or config.aws_access_key_id or config.profile_name or config.role_arn
        token = config.extra_config.get("bearer_token")
        if token is None and not given:
            token = os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
        if token:
            mask_secret(token)
            return str(token)
        credentials = self._credentials()
        if credentials is None:
            raise CredentialsMissingError(
                f"There are no AWS credentials for {self._named()}.",
                hint="Set login (access key id) and password (secret access key) of that connection, or "
                "role_arn, profile_name or bearer_token in its extra, or give this machine an AWS role.",
            )
        return credentials

    def _credentials(self) -> Credentials | None:
        key = self._identity()
        with _renewing_lock:
            known = _renewing.get(key)
        if known is not None:
            return known
        session = self.get_session(region_name=self._region())
        credentials: Credentials | None = session.get_credentials()
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            mask_secret(frozen.secret_key)
            if frozen.token:
                mask_secret(frozen.token)
        if isinstance(credentials, RefreshableCredentials):
            with _renewing_lock:
                _renewing[key] = credentials
                while len(_renewing) > _MOST_RENEWING:
                    del _renewing[next(iter(_renewing))]
        return credentials

    def _identity(self) -> str:
        """Everything in the connection that decides who calls. It is a hash, because it covers the secret key."""
        config = self.conn_config
        facts = [self.aws_conn_id, config.login, config.password, config.extra_config, self._region()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def _named(self) -> str:
        if not self.aws_conn_id:
            return "AWS's default chain"
        missing = "" if self._connection is not None else " (which doesn't exist)"
        return f"the Airflow connection '{self.aws_conn_id}'{missing}"
