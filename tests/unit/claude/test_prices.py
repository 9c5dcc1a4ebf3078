from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from chassis.claude.prices import cost_usd, price_date
from chassis.contract.usage import Usage

MODEL = "us.anthropic.claude-opus-4-6-v1"


def test_usages_add_up_field_by_field() -> None:
    one = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4, calls=5)
    assert one + one == Usage(
        input_tokens=2, output_tokens=4, cache_read_tokens=6, cache_write_tokens=8, calls=10
    )
    assert one + Usage() == one


def test_each_kind_of_token_has_its_own_price() -> None:
    million = 1_000_000
    prices = {
        name: cost_usd(MODEL, Usage(**{name: million})) for name in Usage.model_fields if name != "calls"
    }
    assert all(price is not None for price in prices.values())
    cheap, plain, written, output = (
        prices[name] for name in ("cache_read_tokens", "input_tokens", "cache_write_tokens", "output_tokens")
    )
    assert 0 < cheap < plain < written < output


def test_the_parts_of_a_usage_are_not_charged_twice() -> None:
    parts = [Usage(input_tokens=1000), Usage(cache_read_tokens=1000), Usage(cache_write_tokens=1000)]
    whole = parts[0] + parts[1] + parts[2]
    assert cost_usd(MODEL, whole) == round(sum(cost_usd(MODEL, part) or 0 for part in parts), 6)


def test_a_model_inside_an_arn_is_known() -> None:
    usage = Usage(input_tokens=1000)
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}"
    assert cost_usd(arn, usage) == cost_usd(MODEL, usage)


def test_each_profile_but_the_global_one_costs_a_tenth_more() -> None:
    million = Usage(input_tokens=1_000_000)
    least = cost_usd("global.anthropic.claude-opus-4-6-v1", million)
    for place in ("us", "ca", "xx-new"):
        assert cost_usd(f"{place}.anthropic.claude-opus-4-6-v1", million) == pytest.approx(1.1 * least)
    assert cost_usd("anthropic.claude-opus-4-6-v1", million) == pytest.approx(1.1 * least)
    assert cost_usd("global.anthropic.claude-not-yet", million) is None


def test_a_model_without_a_known_price_costs_none_rather_than_nothing() -> None:
    assert (
        cost_usd("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Usage(input_tokens=1))
        is None
    )
    assert cost_usd("simulated", Usage(input_tokens=1)) is None


def test_the_age_of_the_prices_is_told_with_a_day_that_has_come() -> None:
    told = re.fullmatch(r"genai-prices [\d.]+, newest price in force since (\d{4}-\d\d-\d\d)", price_date())
    assert told
    assert date(2025, 1, 1) < date.fromisoformat(told[1]) <= datetime.now(UTC).date()
