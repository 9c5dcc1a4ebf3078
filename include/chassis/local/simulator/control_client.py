"""A client of the simulator's control endpoints, for tests."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any, Literal

from chassis.local.simulator.scenario import AnswerRule, FaultRule
from chassis.local.simulator.simulator_errors import SimulatorError

# No proxy: the simulator is on this machine, whatever the environment says about the way out.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_TIMEOUT = 10.0  # seconds
_RULE_FIELDS = {"literal", "json", *AnswerRule.model_fields, *FaultRule.model_fields}


class SimulatorControl:
    """Reads the request log and sets faults, answers, models, latency and quota of the simulator at ``url``.

    What a request must match is told by the keywords of :class:`chassis.local.simulator.scenario.Match`: ``kind``,
    ``task``, ``item``, ``requirement`` and so on. Each method raises :class:`SimulatorError` when the simulator doesn't
    answer or doesn't accept what it is told.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def health(self) -> dict[str, Any]:
        """Version, latency in seconds, quota, requests in flight."""
        found: dict[str, Any] = self._call("GET", "health")
        return found

    def requests(self, **fields: Any) -> list[dict[str, Any]]:
        """The log in order of arrival; ``fields`` select the entries that have these values.

        An entry is a :class:`chassis.local.simulator.request_log.Entry` as a dict.
        """
        entries: list[dict[str, Any]] = self._call("GET", "requests")
        return [entry for entry in entries if all(entry[name] == value for name, value in fields.items())]

    def clear_requests(self) -> None:
        """Empty the log."""
        self._call("DELETE", "requests")

    def peak_in_flight(self, **fields: Any) -> int:
        """The greatest number of requests with such fields that were in flight at once."""
        entries = self.requests(**fields)
        moments = [(entry["started"], 1) for entry in entries]
        moments += [(entry["ended"], -1) for entry in entries if entry["ended"] is not None]
        peak = now = 0
        for _, step in sorted(moments):
            now += step
            peak = max(peak, now)
        return peak

    def wait_for_requests(self, count: int, *, timeout: float = 10.0, **fields: Any) -> list[dict[str, Any]]:
        """The entries with such fields as soon as there are ``count``; they may be in flight still.

        :param timeout: seconds
        """
        deadline = time.monotonic() + timeout
        while len(found := self.requests(**fields)) < count:
            if time.monotonic() > deadline:
                raise SimulatorError(
                    f"{count} requests with {fields} did not come in {timeout:g} s, but {len(found)}."
                )
            time.sleep(0.02)
        return found

    def add_scenario(self, document: dict[str, Any]) -> None:
        """Add answers and faults, and set latency and quota, in the words of a scenario file."""
        self._call("POST", "scenario", document)

    def add_fault(self, name: str, **fields: Any) -> None:
        """Let matching requests fail.

        :param name: see :mod:`chassis.local.simulator.faults`
        :param fields: of :class:`chassis.local.simulator.scenario.FaultRule`, and what the request must match
        """
        self.add_scenario({"faults": [_rule({"fault": name} | fields)]})

    def clear_faults(self) -> None:
        """Drop all faults."""
        self._call("DELETE", "faults")

    def add_answer(
        self,
        answer: Any,
        *,
        form: Literal["json", "text", "plan", "result"] = "json",
        usage: tuple[int, int] | None = None,
        **fields: Any,
    ) -> None:
        """Give matching requests this answer as it stands: braces in it are no template.

        :param form: ``json`` or ``text``, sent as it is; ``plan`` or ``result``, made to fit the schema
        :param usage: input and output tokens that it is said to have; None counts its characters
        :param fields: ``times``, ``after``, and what the request must match
        """
        given = _usage(*usage) if usage else {}
        self.add_scenario({"answers": [_rule({form: answer, "literal": True} | given | fields)]})

    def add_usage(self, input_tokens: int, output_tokens: int, **fields: Any) -> None:
        """Give matching requests the simulator's own answer, said to have so many tokens, none of them cached."""
        self.add_scenario({"answers": [_rule(_usage(input_tokens, output_tokens) | fields)]})

    def clear_answers(self) -> None:
        """Drop all answers and usages."""
        self._call("DELETE", "answers")

    def play(self, model: str = "*", *, plays: str | None = None, **behaviour: Any) -> None:
        """Play a model otherwise than its file says, until :meth:`play_as_known`; what is given last wins.

        :param model: Bedrock model id; * and ? stand for any characters
        :param plays: family that answers in its place, such as ``claude-opus-5-5``
        :param behaviour: fields of :class:`chassis.local.simulator.model_files.Model`: ``format="refused"``,
            ``forced_tool="refused"``, ``place="in_stream"``, ``shape="anthropic"``, ``status=422`` and so on
        """
        self._call("POST", "models", {"model": model, "plays": plays, "behaviour": behaviour})

    def play_as_known(self) -> None:
        """Play all models as their files say."""
        self._call("DELETE", "models")

    def set_latency(self, seconds: float) -> None:
        """Let each answer begin after this time, those that wait already included."""
        self.add_scenario({"latency": seconds})

    def set_quota(self, **limits: Any) -> None:
        """Refuse what is over with 429: fields of :class:`chassis.local.simulator.scenario.Quota`, others unlimited."""
        self.add_scenario({"quota": limits})

    def reset(self) -> None:
        """Back to how it was started: its scenario, latency and quota, the log and the prompt cache empty."""
        self._call("POST", "reset")

    def _call(self, method: str, name: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is the caller's own simulator
            f"{self.url}/_simulator/{name}", data=body, method=method
        )
        try:
            with _OPENER.open(request, timeout=_TIMEOUT) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")
            raise SimulatorError(f"The simulator at {self.url} refused {method} {name}: {detail}") from None
        except OSError as error:
            raise SimulatorError(f"The simulator at {self.url} does not answer: {error}.") from None


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {"usage": {"input_tokens": input_tokens, "output_tokens": output_tokens}}


def _rule(fields: dict[str, Any]) -> dict[str, Any]:
    """A rule of a scenario; what is none of its own fields tells the requests that it is about."""
    match = {name: value for name, value in fields.items() if name not in _RULE_FIELDS}
    return {name: value for name, value in fields.items() if name in _RULE_FIELDS} | {"match": match}
