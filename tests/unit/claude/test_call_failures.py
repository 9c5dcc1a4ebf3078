"""Every way in which a call fails is one of Chassis's own errors, in a sentence, and holds no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import traceback
from typing import Any

import anthropic
import httpx2
import pytest
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.log import mask_secret
from botocore import exceptions as aws
from botocore.eventstream import ChecksumMismatch

from chassis.claude.call_failures import claude_failure, foreign_errors
from chassis.claude.hook import ClaudeBedrockHook
from chassis.claude.reply import call_once
from chassis.errors import ClaudeError, ConnectionSetupError, restore_error
from chassis.text import DECEIVING
from tests.with_each import with_each

SECRET = "FwoGZXIvYXdzEXAMPLETOKEN"
CLIENT = anthropic.AsyncAnthropicBedrock(aws_region="us-east-1", api_key="unused")
PLACE = "Bedrock at bedrock-runtime.us-east-1.amazonaws.com (model 'm')"


def refused(
    status: int, error_type: str = "", message: str = "Words of AWS.", **headers: str
) -> anthropic.APIStatusError:
    """The SDK's exception for an answer of Bedrock's, with all that it drags along."""
    request = httpx2.Request(
        "POST",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke",
        headers={"authorization": f"AWS4-HMAC-SHA256 {SECRET}", "x-amz-security-token": SECRET},
        json={"messages": "the prompt"},
    )
    named = {"x-amzn-errortype": f"{error_type}:http://internal.amazon.com/"} if error_type else {}
    response = httpx2.Response(
        status,
        headers=named
        | {"x-amzn-requestid": "r-1"}
        | {name.replace("_", "-"): value for name, value in headers.items()},
        json={"message": message},
        request=request,
    )
    return CLIENT._make_status_error_from_response(response)


def frame(error_type: str, message: str = "Words of AWS.") -> anthropic.APIStatusError:
    """The SDK's exception for an error frame inside a stream that was opened with status 200."""
    response = httpx2.Response(200, request=httpx2.Request("POST", "https://bedrock/model/m"))
    body = {"type": "error", "error": {"type": error_type, "message": message}}
    return anthropic.APIStatusError(str(body), response=response, body=body)


def unreached(cause: Exception) -> anthropic.APIConnectionError:
    request = httpx2.Request("POST", "https://bedrock/model/m", headers={"authorization": SECRET})
    timed_out = isinstance(cause, httpx2.TimeoutException)
    error = anthropic.APITimeoutError(request) if timed_out else anthropic.APIConnectionError(request=request)
    error.__cause__ = cause
    return error


def sts(code: str, status: int = 403) -> aws.ClientError:
    facts: Any = {
        "Error": {"Code": code, "Message": "Words."},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return aws.ClientError(facts, "AssumeRole")


MODEL_ID_INVALID = "The provided model identifier is invalid."
ON_DEMAND = "Invocation of model ID anthropic.claude with on-demand throughput isn't supported."
USE_CASE = "Model use case details have not been submitted for this account."
USE_CASE_400 = "You have not filled out the required use-case form."
MARKETPLACE = (
    "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace "
    "actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model."
)
PENDING = "Your AWS Marketplace subscription for this model is still being processed."
LEGACY = "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model."
NOT_FOR_ACCOUNT = "anthropic.claude-opus-5 is not available for this account. Contact AWS Sales."
RETENTION = "data retention mode 'default' is not available for this model"
CLOCK = "Signature expired: 20261128T030000Z is now earlier than 20261128T031000Z (20261128T031500Z - 5 min.)"
PER_DAY = "Too many tokens per day, please wait before trying again."
TOO_MANY_TOKENS = "Too many tokens, please wait before trying again."
TOO_MANY_CONNECTIONS = "Too many connections, please wait before trying again."
UNABLE = "Bedrock is unable to process your request."
NOT_READY = "Model is not ready for inference. Wait and try your request again."
API_KEY = "Authentication failed: Please make sure your API Key is valid."

TABLE: list[tuple[Exception, str, bool]] = [
    (refused(403, "ExpiredTokenException"), "CredentialsRefusedError", False),
    (refused(403, "UnrecognizedClientException"), "CredentialsRefusedError", False),
    (refused(403, "InvalidSignatureException"), "CredentialsRefusedError", False),
    (refused(403, "MissingAuthenticationTokenException"), "CredentialsRefusedError", False),
    (refused(403, "AccessDeniedException", API_KEY), "CredentialsRefusedError", False),
    (refused(401), "CredentialsRefusedError", False),
    (refused(403, "AccessDeniedException"), "AccessDeniedError", False),
    (refused(403), "AccessDeniedError", False),
    (refused(404, "ResourceNotFoundException", USE_CASE), "AccessDeniedError", False),
    (refused(404, "FTUFormNotFilled", "Words of AWS."), "AccessDeniedError", False),
    (refused(400, "ValidationException", USE_CASE_400), "AccessDeniedError", False),
    (frame("resourceNotFoundException", USE_CASE), "AccessDeniedError", False),
    (refused(403, "AccessDeniedException", MARKETPLACE), "AccessDeniedError", False),
    (refused(403, "MPAgreementBeingCreated"), "AccessPendingError", True),
    (refused(403, "AccessDeniedException", PENDING), "AccessPendingError", True),
    (refused(404, "ResourceNotFoundException", LEGACY), "AccessDeniedError", False),
    (refused(403, "AccessDeniedException", NOT_FOR_ACCOUNT), "AccessDeniedError", False),
    (refused(400, "ValidationException", "Operation not allowed"), "AccessDeniedError", False),
    (refused(400, "ValidationException", RETENTION), "AccessDeniedError", False),
    (refused(403, "InvalidSignatureException", CLOCK), "CredentialsRefusedError", False),
    (refused(400, "IncompleteSignature"), "CredentialsRefusedError", False),
    (frame("permission_error", NOT_FOR_ACCOUNT), "AccessDeniedError", False),
    (frame("permission_error"), "AccessDeniedError", False),
    (frame("accessDeniedException"), "AccessDeniedError", False),
    (frame("not_found_error"), "ModelNotFoundError", False),
    (frame("resourceNotFoundException"), "ModelNotFoundError", False),
    (frame("authentication_error"), "CredentialsRefusedError", False),
    (frame("validationException", ON_DEMAND), "ModelNotFoundError", False),
    (frame("validationException", MODEL_ID_INVALID), "ModelNotFoundError", False),
    (refused(404, "ResourceNotFoundException"), "ModelNotFoundError", False),
    (refused(400, "ValidationException", MODEL_ID_INVALID), "ModelNotFoundError", False),
    (refused(400, "ValidationException", ON_DEMAND), "ModelNotFoundError", False),
    (refused(400, "ValidationException"), "RequestRefusedError", False),
    (refused(413), "RequestRefusedError", False),
    (refused(422), "RequestRefusedError", False),
    (refused(302), "RequestRefusedError", False),
    (refused(429, "ThrottlingException"), "ThrottledError", True),
    (refused(429), "ThrottledError", True),
    (refused(400, "ServiceQuotaExceededException"), "ThrottledError", True),
    (refused(429, "ModelNotReadyException"), "CongestedError", True),
    (refused(408, "ModelTimeoutException"), "ServiceFaultError", True),
    (refused(409), "ServiceFaultError", True),
    (refused(424, "ModelErrorException"), "ServiceFaultError", True),
    (refused(500, "InternalServerException"), "ServiceFaultError", True),
    (refused(503, "ServiceUnavailableException"), "CongestedError", True),
    (refused(503, message=TOO_MANY_CONNECTIONS), "CongestedError", True),
    (refused(503), "CongestedError", True),
    (refused(529), "CongestedError", True),
    (refused(502), "ServiceFaultError", True),
    (refused(429, "ThrottlingException", PER_DAY), "DailyQuotaError", False),
    (refused(429, message=PER_DAY), "DailyQuotaError", False),
    (frame("throttlingException", PER_DAY), "DailyQuotaError", False),
    (frame("rate_limit_error", PER_DAY), "DailyQuotaError", False),
    (frame("", TOO_MANY_TOKENS), "ThrottledError", True),
    (refused(400, "ThrottlingException", TOO_MANY_TOKENS), "ThrottledError", True),
    (frame("throttlingException"), "ThrottledError", True),
    (frame("rate_limit_error"), "ThrottledError", True),
    (frame("validationException"), "RequestRefusedError", False),
    (frame("invalid_request_error"), "RequestRefusedError", False),
    (frame("internalServerException"), "ServiceFaultError", True),
    (frame("modelStreamErrorException"), "ServiceFaultError", True),
    (frame("modelTimeoutException"), "ServiceFaultError", True),
    (frame("overloaded_error"), "CongestedError", True),
    (frame("serviceUnavailableException"), "CongestedError", True),
    (frame("modelNotReadyException"), "CongestedError", True),
    (frame("api_error", UNABLE), "CongestedError", True),
    (frame("api_error", NOT_READY), "CongestedError", True),
    (frame("", TOO_MANY_CONNECTIONS), "CongestedError", True),
    (frame("api_error"), "ServiceFaultError", True),
    (unreached(httpx2.ConnectError("[Errno -2] Name or service not known")), "UnreachableError", True),
    (unreached(httpx2.ConnectTimeout("")), "UnreachableError", True),
    (unreached(httpx2.ReadTimeout("")), "NoAnswerError", True),
    (unreached(httpx2.ReadError("")), "NoAnswerError", True),
    (unreached(httpx2.RemoteProtocolError("gone")), "NoAnswerError", True),
    (unreached(RuntimeError(f"whatever happens on the way, with {SECRET}")), "UnreachableError", True),
    (httpx2.ReadTimeout(""), "StreamBrokenError", True),
    (httpx2.RemoteProtocolError("peer closed"), "StreamBrokenError", True),
    (httpx2.ReadError(""), "StreamBrokenError", True),
    (ChecksumMismatch(1, 2), "StreamBrokenError", True),
    (json.JSONDecodeError("Expecting value", "x", 0), "StreamBrokenError", True),
    (
        unreached(httpx2.LocalProtocolError(f"Illegal header value b'Bearer {SECRET}\\n'")),
        "ConnectionSetupError",
        False,
    ),
    (UnicodeEncodeError("ascii", f"Bearer {SECRET}ö", 7, 8, "not in range"), "ConnectionSetupError", False),
    (aws.NoCredentialsError(), "CredentialsMissingError", False),
    (
        aws.PartialCredentialsError(provider="env", cred_var="aws_secret_access_key"),
        "CredentialsMissingError",
        False,
    ),
    (aws.UnauthorizedSSOTokenError(), "CredentialsMissingError", False),
    (aws.MetadataRetrievalError(error_msg="Received non 200 response 503"), "UnreachableError", True),
    (aws.CredentialRetrievalError(provider="container-role", error_msg="time"), "UnreachableError", True),
    (aws.ReadTimeoutError(endpoint_url="https://sts.amazonaws.com"), "UnreachableError", True),
    (aws.ProfileNotFound(profile="prod"), "ConnectionSetupError", False),
    (aws.EndpointConnectionError(endpoint_url="https://sts.amazonaws.com"), "UnreachableError", True),
    (aws.ConnectTimeoutError(endpoint_url="https://sts.amazonaws.com"), "UnreachableError", True),
    (sts("AccessDenied"), "AccessDeniedError", False),
    (sts("ExpiredToken"), "CredentialsRefusedError", False),
    (sts("InvalidClientTokenId"), "CredentialsRefusedError", False),
    (sts("SignatureDoesNotMatch"), "CredentialsRefusedError", False),
    (sts("Throttling", 400), "ThrottledError", True),
    (sts("ServiceUnavailable", 503), "CongestedError", True),
]
every_failure = with_each(
    "error, expected, retryable",
    {f"{n}: {type(e).__name__}, {name}": (e, name, r) for n, (e, name, r) in enumerate(TABLE)},
)


@every_failure
def test_each_failure_has_its_error_and_says_whether_a_retry_helps(
    error: Exception, expected: str, retryable: bool
) -> None:
    assert isinstance(error, foreign_errors()), "what is not caught would be let through"
    failure = claude_failure(error, place=PLACE)
    assert type(failure).__name__ == expected
    assert failure.retryable is retryable


NEXT_STEPS: list[tuple[Exception, str]] = [
    (refused(404, "ResourceNotFoundException", USE_CASE), "model catalog"),
    (refused(400, "ValidationException", USE_CASE_400), "model catalog"),
    (refused(403, "AccessDeniedException", MARKETPLACE), "aws-marketplace:Subscribe"),
    (refused(403, "MPAgreementBeingCreated"), "by itself"),
    (refused(403, "AccessDeniedException", f"{PENDING} Try again after 2 minutes."), "by itself"),
    (refused(404, "ResourceNotFoundException", LEGACY), "Active"),
    (refused(403, "AccessDeniedException", NOT_FOR_ACCOUNT), "AWS Support or Sales"),
    (refused(400, "ValidationException", "Operation not allowed"), "AWS Support"),
    (
        refused(400, "ValidationException", "Your account is not authorized to invoke this API operation."),
        "Support",
    ),
    (refused(400, "ValidationException", RETENTION), "data retention mode"),
    (refused(403, "AccessDeniedException"), "docs/bedrock.md"),
    (refused(400, "ValidationException", ON_DEMAND), "inference profile in place"),
    (refused(400, "ValidationException", MODEL_ID_INVALID), "region"),
    (refused(403, "AccessDeniedException", API_KEY), "bedrock:CallWithBearerToken"),
    (
        refused(403, "AccessDeniedException", "not authorized to perform: bedrock:CallWithBearerToken"),
        "bedrock:CallWithBearerToken",
    ),
    (refused(403, "ExpiredTokenException"), "Renew the keys"),
    (refused(403, "InvalidSignatureException", CLOCK), "clock"),
    (refused(400, "RequestExpired"), "clock"),
    (refused(403, "InvalidSignatureException"), "Check the keys"),
    (refused(400, "ValidationException", "Input is too long for requested model."), "context_chars"),
    (refused(429, "ThrottlingException", TOO_MANY_TOKENS), "max_tokens and context_chars"),
    (frame("rate_limit_error", "Rate limited"), "slots of the pool"),
    (refused(503), "inference profile that reaches more regions"),
    (refused(429, "ThrottlingException", PER_DAY), "clear the failed tasks"),
    (sts("AccessDenied"), "role_arn"),
    (sts("Throttling", 400), "STS gives no credentials for now"),
    (sts("ServiceUnavailable", 503), "STS gives no credentials for now"),
]


@with_each("error, step", NEXT_STEPS)
def test_a_refusal_says_the_place_and_the_step_that_mend_it(error: Exception, step: str) -> None:
    assert step in claude_failure(error, place=PLACE).hint


def test_access_that_is_being_set_up_is_asked_for_again_after_minutes() -> None:
    assert claude_failure(refused(403, "MPAgreementBeingCreated"), place=PLACE).retry_after == 120
    told = claude_failure(refused(403, "MPAgreementBeingCreated", retry_after="30"), place=PLACE)
    assert told.retry_after == 30


@every_failure
def test_a_failure_is_a_clear_sentence_with_a_way_out(
    error: Exception, expected: str, retryable: bool
) -> None:
    failure = claude_failure(error, place=PLACE)
    assert failure.message[0].isupper()
    assert failure.message.endswith(".")
    assert not failure.message.endswith("..")
    assert "\n" not in failure.message
    assert PLACE[1:] in failure.message, "the fact names the place"
    assert failure.hint or expected == "RequestRefusedError"


@every_failure
def test_nothing_secret_survives_in_any_form(error: Exception, expected: str, retryable: bool) -> None:
    failure = claude_failure(error, place=PLACE)
    assert failure.__cause__ is None
    assert failure.__context__ is None
    for form in (pickle.dumps(failure), json.dumps(failure.describe()).encode(), str(failure).encode()):
        assert SECRET.encode() not in form
        assert b"the prompt" not in form
    restored = restore_error(json.loads(json.dumps(failure.describe())))
    assert (type(restored), str(restored)) == (type(failure), str(failure))


class _Client:
    """Fails with one error, as the SDK's client does from within its own frames."""

    conn_id = "bedrock"
    base_url = httpx2.URL(f"https://user:{SECRET}@bedrock-runtime.us-east-1.amazonaws.com/")

    def __init__(self, error: Exception) -> None:
        self.messages = self
        self.error = error

    async def create(self, **payload: Any) -> Any:
        signed = {"authorization": SECRET}
        try:
            raise KeyError(f"inside the SDK, over {signed}")
        except KeyError:
            raise self.error  # noqa: B904  as its context, the cause being the test's


def everything_about(error: BaseException) -> bytes:
    """All that a log, a pickle or a page could show of an error, and of all that led to it."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        here = waiting.pop()
        if here is not None and here not in seen:
            seen.append(here)
            waiting += [here.__cause__, here.__context__]
    forms = [pickle.dumps(error), json.dumps(getattr(error, "describe", dict)()).encode()]
    forms += ["".join(traceback.format_exception(error)).encode()]
    for each in seen:
        with contextlib.suppress(TypeError, AttributeError):  # some can't be pickled
            forms.append(pickle.dumps(each))
        shown = (repr(each), str(each), repr(vars(each)), repr(each.args))
        forms += [form.encode() for form in shown]
    return b"\n".join(forms)


def test_the_search_finds_a_secret_that_a_foreign_error_carries() -> None:
    """The proof that the tests below can fail."""
    error = refused(403)
    assert SECRET in "".join(str(error.request.headers[name]) for name in error.request.headers)
    assert SECRET.encode() in everything_about(KeyError(SECRET))
    with pytest.raises(RuntimeError) as chained:
        raise RuntimeError from KeyError(SECRET)
    assert SECRET.encode() in everything_about(chained.value)


@every_failure
def test_a_call_that_fails_lets_nothing_secret_out_with_its_error(
    error: Exception, expected: str, retryable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client: Any = _Client(error)
    payload = {"model": "m", "messages": [{"role": "user", "content": "the prompt"}]}
    with pytest.raises(ClaudeError) as caught:
        asyncio.run(call_once(client, payload, subject="task 'a'"))
    assert type(caught.value).__name__ == expected
    told = everything_about(caught.value) + caplog.text.encode()
    assert SECRET.encode() not in told
    assert b"the prompt" not in told


@every_failure
def test_a_connection_that_fails_lets_nothing_secret_out_with_its_error(
    error: Exception, expected: str, retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(hook: ClaudeBedrockHook) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError:
            raise error  # noqa: B904  as its context, the cause being the test's

    monkeypatch.setattr(ClaudeBedrockHook, "_region", fail)
    monkeypatch.setattr(ClaudeBedrockHook, "_named", lambda hook: "the Airflow connection 'bedrock'")
    with pytest.raises(ClaudeError) as caught:
        ClaudeBedrockHook("bedrock").access()
    assert type(caught.value).__name__ == expected
    assert SECRET.encode() not in everything_about(caught.value)


def test_what_the_amazon_provider_says_is_quoted_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(hook: ClaudeBedrockHook) -> None:
        raise AirflowException(f"The answer of the identity provider was: Bearer {SECRET}\n{SECRET}")

    monkeypatch.setattr(ClaudeBedrockHook, "_region", fail)
    monkeypatch.setattr(ClaudeBedrockHook, "_named", lambda hook: "the Airflow connection 'bedrock'")
    with pytest.raises(ConnectionSetupError) as caught:
        ClaudeBedrockHook("bedrock").access()
    assert SECRET.encode() not in everything_about(caught.value)


ECHOES = [
    f"You sent authorization: Bearer {SECRET}",
    f"AWS4-HMAC-SHA256 Credential={SECRET}/20260101/us-east-1/bedrock/aws4_request, Signature={SECRET}",
    f"headers: {{'X-Amz-Security-Token': '{SECRET}'}}",
    f"X-Amz-Security-Token={SECRET}&X-Amz-Date=20260101T000000Z",
    f"Credential: {SECRET}",
]


@pytest.mark.parametrize("words", ECHOES)
def test_a_server_that_repeats_what_it_was_sent_is_not_quoted_with_it(words: str) -> None:
    failure = claude_failure(refused(400, "ValidationException", words), place=PLACE)
    assert SECRET not in str(failure)
    assert "***" in failure.message


def test_a_secret_that_airflow_knows_is_not_quoted_in_any_form() -> None:
    known = "a-secret-that-looks-like-a-word"
    mask_secret(known)
    failure = claude_failure(refused(400, "ValidationException", f"No {known} here, {known}!"), place=PLACE)
    assert known not in str(failure)
    assert "No *** here, ***!" in failure.message


def test_what_aws_says_of_credentials_is_quoted_as_it_is() -> None:
    words = (
        "The bearer token is invalid",
        "Credential should be scoped to a valid region",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
        "Authorization header requires existence of an 'X-Amz-Date' header",
    )
    for told in words:
        assert told in claude_failure(refused(400, "ValidationException", told), place=PLACE).message


@pytest.mark.parametrize("between", [" ", "\n", "\n\n"])
@pytest.mark.parametrize("in_stream", [False, True])
def test_what_a_model_refused_can_be_told_by_the_words_of_its_refusal(between: str, in_stream: bool) -> None:
    told = f"The model returned the following errors:{between}output_config.format: Extra inputs are not permitted"
    error = frame("validationException", told) if in_stream else refused(400, "ValidationException", told)
    failure = claude_failure(error, place=PLACE)
    assert failure.words.endswith("errors: output_config.format: Extra inputs are not permitted")
    assert failure.words in failure.message


def test_a_servers_words_are_one_line_that_a_terminal_does_not_obey() -> None:
    told = "first\r2026-01-01 ERROR forged\u2028\x1b]0;title\x07\u202eend"
    message = claude_failure(refused(400, "ValidationException", told), place=PLACE).message
    assert not DECEIVING.search(message)
    assert len(message.splitlines()) == 1


def test_the_facts_of_an_answer_are_attributes() -> None:
    failure = claude_failure(refused(429, "ThrottlingException", retry_after="7"), place=PLACE)
    assert failure.describe() | {"message": "", "hint": ""} == {
        "class": "ThrottledError",
        "message": "",
        "hint": "",
        "status": 429,
        "error_type": "ThrottlingException",
        "request_id": "r-1",
        "retry_after": 7.0,
        "usage": {},
    }


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "inf", "1e300"])
def test_a_wait_that_makes_no_sense_is_no_wait(value: str) -> None:
    assert not claude_failure(refused(429, retry_after=value), place=PLACE).retry_after


def test_the_canonical_request_of_a_signature_error_is_not_repeated() -> None:
    words = (
        "The request signature does not match.\n\nThe Canonical String for this request is\n'POST\n" + SECRET
    )
    for told in (words, words.replace("\n", " ")):
        failure = claude_failure(refused(403, "InvalidSignatureException", told), place=PLACE)
        assert SECRET not in str(failure)
        assert "The request signature does not match" in failure.message


def test_a_page_of_text_is_cut() -> None:
    assert len(claude_failure(refused(500, message="x" * 10_000), place=PLACE).message) < 500


def test_an_answer_that_is_no_json_is_understood_by_its_status() -> None:
    response = httpx2.Response(
        502, text="<html>Bad gateway</html>", request=httpx2.Request("POST", "https://proxy/")
    )
    error = CLIENT._make_status_error_from_response(response)
    assert isinstance(claude_failure(error, place=PLACE), ClaudeError)
    assert "502" in str(claude_failure(error, place=PLACE))


def test_the_words_of_the_commonest_failures() -> None:
    expired = claude_failure(
        refused(403, "ExpiredTokenException", "The security token is expired"), place=PLACE
    )
    assert "have expired" in expired.message
    assert "Renew" in expired.hint
    denied = claude_failure(refused(403, "AccessDeniedException"), place=PLACE)
    assert "bedrock:InvokeModelWithResponseStream" in denied.hint
    unknown = claude_failure(refused(400, "ValidationException", MODEL_ID_INVALID), place=PLACE)
    assert "inference profile" in unknown.hint
    no_route = claude_failure(unreached(httpx2.ConnectError("Name or service not known")), place=PLACE)
    assert "Name or service not known" in no_route.message
    assert "endpoint_url" in no_route.hint
    role = claude_failure(sts("AccessDenied"), place="the Airflow connection 'x'")
    assert "AssumeRole" in role.message
    assert "trust policy" in role.hint
