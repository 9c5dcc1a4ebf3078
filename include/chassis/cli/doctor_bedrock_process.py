"""The process that asks Claude for ``chassis doctor --bedrock``, in the environment that is examined.

It speaks with its parent in lines. First it says what would be asked, or why nothing can be. When it is then told to go
on, it asks, tells each finding, and gives the report. So Airflow's connection is read as Airflow reads it, and what
Airflow and its providers print disturbs nobody.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from chassis.errors import ChassisError

if TYPE_CHECKING:
    from chassis.claude.access import BedrockAccess
    from chassis.claude.hook import ClaudeBedrockHook
    from chassis.claude.live_check import Finding

MARK = "chassis-bedrock:"
GO = "go"


def main() -> None:
    """Read the connection, wait for the word, and ask."""
    from chassis.claude.hook import ClaudeBedrockHook
    from chassis.settings import Settings

    try:
        settings = Settings.load()
        hook = ClaudeBedrockHook(settings.conn_id)
        model = hook.claude_options.model or settings.model
    except ChassisError as error:
        _say("refused", error=error.describe())
        return
    facts: dict[str, Any] = {
        "model": model,
        "known": hook.claude_options.behind(model),
        "region": "",
        "endpoint": None,
        "credentials": "none",
        "anthropic_version": hook.claude_options.anthropic_version,
        "secrets": _names(hook),
    }
    try:
        access = hook.access()
        _check_price(facts["known"])
    except ChassisError as error:
        _report(None, facts, error)
        return
    facts |= {
        "region": access.region,
        "endpoint": access.endpoint,
        "credentials": _kind(access),
        "secrets": [*facts["secrets"], *_secrets(access)],
    }
    _say(
        "question",
        model=model,
        conn_id=settings.conn_id,
        region=access.region,
        own=access.endpoint is not None,
    )
    if sys.stdin.readline().strip() == GO:
        asyncio.run(_ask(hook, access, facts))


async def _ask(hook: ClaudeBedrockHook, access: BedrockAccess, facts: dict[str, Any]) -> None:
    from chassis.claude.live_check import LiveCheck

    def tell(finding: Finding) -> None:
        _say("finding", question=finding.question, answer=finding.answer)

    async with hook.build(access) as client:
        check = LiveCheck(client, facts["model"], facts["known"], facts["anthropic_version"], tell)
        await check.run()
    _report(check, facts, check.failure)


def _check_price(known: str) -> None:
    from chassis.claude.live_check import Purse

    Purse(known)


def _report(check: Any, facts: dict[str, Any], error: ChassisError | None) -> None:
    from chassis.claude.live_report import make_report

    described = None if error is None else error.describe()
    report = make_report(check, **facts, error=described)
    _say("report", report=report.model_dump(mode="json"), text=report.markdown(), error=described)


def _kind(access: BedrockAccess) -> str:
    from botocore.credentials import RefreshableCredentials

    if isinstance(access.auth, str):
        return "a Bedrock API key"
    if isinstance(access.auth, RefreshableCredentials):
        return "of a role, renewed"
    return "temporary keys" if access.auth.get_frozen_credentials().token else "keys"


def _names(hook: ClaudeBedrockHook) -> list[str]:
    """What in the connection is somebody's own, but no secret: it stands in messages."""
    config = hook.conn_config
    told = [config.login, config.password, config.profile_name, config.role_arn, hook.aws_conn_id]
    return [str(each) for each in told if each and each != hook.default_conn_name]


def _secrets(access: BedrockAccess) -> list[str]:
    if isinstance(access.auth, str):
        return [access.auth]
    return [each for each in access.auth.get_frozen_credentials() if isinstance(each, str)]


def _say(kind: str, **facts: Any) -> None:
    print(f"\n{MARK}{json.dumps({'kind': kind, **facts})}", flush=True)


if __name__ == "__main__":
    main()
