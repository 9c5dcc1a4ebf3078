"""Refuses endpoints that could never answer a call to Claude.

Chassis calls InvokeModel, which only ``bedrock-runtime`` serves. The hosts of Bedrock's other services and the paths of
its Messages API look alike, but answer 403 or 404, which reads as a fault of the credentials.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from chassis.errors import ConnectionSetupError

_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_SERVICES = ("bedrock-runtime", "bedrock-runtime-fips")
_MESSAGES = ("/anthropic", "/v1", "/v1/messages")


def check_endpoint(url: str, *, region: str, place: str) -> None:
    """Refuse an address at which no call could succeed.

    :param region: AWS region that requests are signed for
    :param place: where the address is set, for the message
    :raises ConnectionSetupError: names the fault, and the address to use instead
    """
    usual = f"https://bedrock-runtime.{region}.amazonaws.com"
    if "@" in url:
        # The HTTP library logs the whole address of each call.
        raise ConnectionSetupError(
            f"{place} holds a user name or a password.",
            hint="Leave them out: requests are signed with the connection's keys, or carry its bearer token.",
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        raise ConnectionSetupError(
            f"{place} is not a valid URL: {url!r}.",
            hint="It must begin with https:// or, for the simulator, http://.",
        )
    labels = host.split(".")
    service = next((label for label in labels if label.startswith("bedrock")), "")
    of_bedrock = host.endswith(_AWS) and bool(service)
    if "bedrock-mantle" in labels or (of_bedrock and service not in _SERVICES):
        raise ConnectionSetupError(
            f"{place} names the service {service}, which doesn't take the requests of Chassis: {url!r}.",
            hint=f"Name bedrock-runtime, such as {usual}, or leave the endpoint empty.",
        )
    path = parts.path.rstrip("/")
    if (of_bedrock and path) or path.endswith(_MESSAGES):
        raise ConnectionSetupError(
            f"{place} has the path {path}, to which Chassis can't send its requests: {url!r}.",
            hint=f"Leave the path out, as in {usual}: Chassis calls InvokeModel, not the Messages API.",
        )
    if of_bedrock and region not in labels:
        raise ConnectionSetupError(
            f"{place} is of another region than {region}, which requests are signed for: {url!r}.",
            hint='Set "region_name" to the endpoint\'s region, or leave the endpoint empty.',
        )
