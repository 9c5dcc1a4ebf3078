"""List prices of calls to Claude."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chassis.contract.usage import Usage


def cost_usd(model: str, usage: Usage) -> float | None:
    """List price of ``usage`` in US dollars; None if the model's price isn't known.

    The prices are those of the installed ``genai-prices``, for Bedrock. The first call imports it (0.2 s).

    :param model: Bedrock model id or inference profile; for an application's profile, the model behind it
    """
    import genai_prices

    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        price = genai_prices.calc_price(counts, _known_name(model), provider_id="aws")
    except LookupError:
        return None
    return round(float(price.total_price), 6)


@cache
def price_date() -> str:
    """The age of :func:`cost_usd`'s prices, in words for a report.

    ``genai-prices`` has no date of its own, only a version and, for prices that changed, the day from which each
    applies. The latest such day that isn't in the future shows how recent the list is.
    """
    from datetime import UTC, date, datetime
    from importlib.metadata import version

    from genai_prices.data import providers

    today = datetime.now(UTC).date()
    days = (
        day
        for provider in providers
        for model in provider.models
        for price in (model.prices if isinstance(model.prices, list) else ())
        if (day := getattr(price.constraint, "start_date", date.max)) <= today
    )
    return f"genai-prices {version('genai-prices')}, newest price in force since {max(days)}"


def _known_name(model: str) -> str:
    """The list's name for a model id, an inference profile, or the ARN of either.

    AWS has two prices for a model: one for its ``global.`` profile, and 1.1 times that for all other profiles and
    single regions. The list lacks some prefixes (``ca.``), but has the model's own id, at the same price.
    """
    name = model.rpartition("/")[2] if model.startswith("arn:") else model
    place, dot, bare = name.partition(".")
    return bare if dot and place != "global" and bare.startswith("anthropic.") else name
