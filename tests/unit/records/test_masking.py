"""Secrets are masked by their value where Airflow knows it, and by the format of well-known keys."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from airflow.sdk.log import mask_secret

from chassis.records.masking import KEY_FORMATS, MASK, masked, masked_data
from tests.with_each import with_each

HEAD, TAIL = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
# Put together here, so that no scanner takes this file for a leak.
EXAMPLES = {
    "AWS access key id": ["AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "Q2X3Y4Z5A6B7C2D3"],
    "GitHub token": [
        "ghp_" + "a1B2" * 9,
        "ghs_" + "a1B2" * 9,
        "github_pat_" + "11ABCDE0" * 4 + "_" + "x" * 40,
    ],
    "private key": [
        f"{HEAD}\nMIIE\nabc=\n{TAIL}",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\ncut off here",
    ],
    "JSON web token": [
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n"
    ],
    "Slack token": ["xoxb-" + "123456789012-abcdefghij"],
    "Anthropic key": ["sk-ant-" + "api03-" + "aB3_" * 20],
    "Bedrock API key": ["ABSK" + "QmVkcm9ja0FQSUtleS" * 4 + "=="],
}
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


def test_each_format_has_an_example() -> None:
    assert {*EXAMPLES, "AWS secret key"} == KEY_FORMATS.keys()


@with_each("secret", [secret for secrets in EXAMPLES.values() for secret in secrets])
@with_each("around", ["{}", "Use {}, please.", "key={}\n", '{{"key": "{}"}}', "(`{}`)"])
def test_a_well_known_key_is_masked_wherever_it_stands(secret: str, around: str) -> None:
    text = masked(around.format(secret))
    assert MASK in text
    assert secret not in text
    assert secret[12:-3] not in text


@pytest.mark.parametrize(
    "text",
    [
        "aws_secret_access_key = {}",
        'AWS_SECRET_ACCESS_KEY="{}"',
        '{{"SecretAccessKey": "{}"}}',
        '\\"secret_key\\": \\"{}\\"',
        "aws_session_token={}",
    ],
)
def test_an_aws_secret_is_told_by_its_name_and_the_name_stays(text: str) -> None:
    found = masked(text.format(SECRET_ACCESS_KEY))
    assert found == text.format(MASK)


@pytest.mark.parametrize(
    "text",
    [
        "Add pet insurance to all services.",
        "2f5e1c0b9d8a7f6e5d4c3b2a1908f7e6d5c4b3a2918f7e6d5c4b3a2918f7e6d5",
        "s3://bucket/path/to/some/very/long/key/name/with/more/than/forty/characters",
        "the AKIA prefix, ghp_ and xoxb- alone, sk-ant- too, eyJ and -----BEGIN CERTIFICATE-----",
        "secret_key: see the vault",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_what_airflow_knows_for_a_secret_is_masked_however_deep_it_stands() -> None:
    mask_secret("correct-horse-battery")
    deep: object = "the password is correct-horse-battery"
    for _ in range(9):
        deep = {"in": [deep, 1, None, True, 2.5]}
    assert "correct-horse-battery" not in str(masked_data(deep))
    assert str(masked_data(deep)).count(MASK) == 1


def test_data_keeps_its_form() -> None:
    data = {"token": 12, "text": ["a", ("b", None)], "usage": {"cache_read_tokens": 3}, "flag": False}
    assert masked_data(data) == {**data, "text": ["a", ["b", None]]}


@pytest.mark.parametrize(
    "piece",
    ["-----BEGIN PRIVATE KEY-----", "eyJ" + "a" * 50 + ".", "secret_key=" + "a" * 39 + " ", "A" * 100],
)
def test_a_hostile_text_of_a_megabyte_takes_no_time_to_speak_of(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    masked(text)
    assert time.perf_counter() - started < 2
