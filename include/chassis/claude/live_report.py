"""Reports a live check's findings for anybody to read: without credentials, account, names or addresses."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.live_check import MOST_USD, Finding
from chassis.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.claude.live_check import LiveCheck

_LONGEST, _LONG = 500, 16
_SECRETS = (
    (re.compile(r"arn:[\w-]*:[^\s\"'`,;)\]}]+"), "(an ARN)"),
    (re.compile(r"https?://[^\s\"'`,;)\]}]+"), "(an address)"),
    (re.compile(r"\b(?:A[A-Z]{3}|ABSK)[A-Za-z0-9+/=_-]{12,}"), "(a key)"),
    (re.compile(r"\b[\w.+-]+@[\w.-]+\b"), "(a name)"),
    (re.compile(r"\b(?:[\w-]+\.)+(?:com|net|org|io|aws|internal|local|example)\b(?::\d+)?"), "(a host)"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "(a host)"),
    (re.compile(r"(?<!\d)\d{12}(?!\d)"), "(an account)"),
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` on one line, without anything that identifies the account.

    :param secrets: texts to remove literally
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        # A short one may also be an ordinary word, such as a profile's name.
        whole = re.escape(secret) if len(secret) >= _LONG else rf"(?<![\w-]){re.escape(secret)}(?![\w:-])"
        text = re.sub(whole, "(left out)", text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return one_line(text, _LONGEST)


class LiveReport(BaseModel):
    """The findings, and what they apply to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str = Field(description="UTC, to the minute.")
    simulated: bool = Field(description="Whether the simulator answered.")
    versions: dict[str, str]
    region: str
    endpoint: str = Field(description="AWS's own, or another one, which isn't named.")
    credentials: str = Field(description="Their kind.")
    anthropic_version: str
    model: str
    model_behind: str
    findings: tuple[Finding, ...]
    calls: int
    usd: float = Field(description="List price of all calls; of one whose end nobody saw, its upper bound.")
    error: dict[str, Any] | None = Field(None, description="Why nothing could be asked.")

    def markdown(self) -> str:
        """The report for people."""
        who = (
            "**Simulated: this proves nothing about AWS.**"
            if self.simulated
            else "No call was answered."
            if self.error
            else "Answered by Claude on Amazon Bedrock."
        )
        facts = {
            "When": self.at,
            "Model": self.model
            + (f", behind it {self.model_behind}" if self.model_behind != self.model else ""),
            "Region": self.region,
            "Endpoint": self.endpoint,
            "Credentials": self.credentials,
            "Request version": self.anthropic_version,
            "Software": ", ".join(f"{name} {number}" for name, number in self.versions.items()),
            "Calls": f"{self.calls}, ${self.usd:.4f} at list prices of at most ${MOST_USD:.2f}",
        }
        if self.error:
            facts["Error"] = f"{self.error['class']}: {self.error['message']} {self.error['hint']}".strip()
        lines = ["# Live check of Claude on Amazon Bedrock", "", who, ""]
        lines += [f"- {name}: {_cell(value)}" for name, value in facts.items()]
        lines += [
            "",
            "| question | answer | expected | what came | tokens in, read, written, out | $ | request |",
        ]
        lines += ["|---|---|---|---|---|---|---|", *map(_row, self.findings), ""]
        return "\n".join(lines)


def _row(finding: Finding) -> str:
    usage = finding.usage
    status = f"HTTP {finding.status}" if finding.status else ""
    wait = f"retry-after {finding.retry_after:g} s" if finding.retry_after is not None else ""
    came = "; ".join(filter(None, [status, finding.error, wait, finding.detail]))
    tokens = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    cells = [
        finding.question,
        finding.answer,
        finding.expected,
        came,
        ", ".join(map(str, tokens)) if usage.calls else "",
        f"{finding.usd:.4f}" if finding.usd else "",
        finding.request_id,
    ]
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Words of Bedrock or a person, as plain text in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", one_line(text, 2 * _LONGEST))


def make_report(
    check: LiveCheck | None,
    *,
    model: str,
    known: str,
    region: str,
    endpoint: str | None,
    credentials: str,
    anthropic_version: str,
    secrets: Iterable[str],
    error: dict[str, Any] | None,
) -> LiveReport:
    """The report on a check, without anything that identifies the account.

    :param check: None if nothing could be asked
    :param error: the reason, from :meth:`~chassis.errors.ChassisError.describe`
    :param secrets: texts of the connection that no report may hold
    """
    secrets = tuple(secrets)

    def clean(finding: Finding) -> Finding:
        told = ("detail", "error", "request_id")
        return finding.model_copy(update={name: redacted(getattr(finding, name), secrets) for name in told})

    told = error and {name: redacted(str(error[name]), secrets) for name in ("class", "message", "hint")}
    return LiveReport(
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        simulated=check is not None and check.simulated,
        versions={name: version(name) for name in ("airflow-chassis", "anthropic", "genai-prices")}
        | {"Python": platform.python_version()},
        region=redacted(region),
        endpoint="AWS's own" if endpoint is None else "another one",
        credentials=credentials,
        anthropic_version=redacted(anthropic_version),
        model=redacted(model),
        model_behind=redacted(known),
        findings=tuple(map(clean, check.findings if check else ())),
        calls=0 if check is None else check.purse.calls,
        usd=0.0 if check is None else round(check.purse.spent, 6),
        error=told,
    )
