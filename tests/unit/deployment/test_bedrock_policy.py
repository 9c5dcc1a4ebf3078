"""The IAM policy that people apply before their first call, and what the documentation says of it."""

from __future__ import annotations

import copy
import fnmatch
import json
import re
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from cfnlint.api import lint_all
from moto import mock_aws

from chassis.claude import refusals
from chassis.settings import Settings
from tests.unit.deployment.compose_file import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = PROJECT / "include" / "bedrock-policy.json"
POLICY = json.loads(PATH.read_text(encoding="utf-8"))
PAGE = (PROJECT / "docs" / "bedrock.md").read_text(encoding="utf-8")
ACTION = re.compile(r"(?:bedrock|aws-marketplace):[A-Z]\w+")


def faults(policy: dict[str, Any]) -> list[str]:
    """What AWS's grammar of policies and its list of actions, as cfn-lint brings them, say against it."""
    properties = {"RoleName": "chassis", "PolicyName": "bedrock", "PolicyDocument": policy}
    template = {"Resources": {"Policy": {"Type": "AWS::IAM::RolePolicy", "Properties": properties}}}
    return [
        match.message for match in lint_all(json.dumps(template)) if match.rule.severity != "informational"
    ]


def actions(statement: dict[str, Any]) -> set[str]:
    named = statement["Action"]
    return {named} if isinstance(named, str) else set(named)


ALL_ACTIONS = {action for statement in POLICY["Statement"] for action in actions(statement)}


def test_it_keeps_aws_grammar_and_names_actions_that_exist() -> None:
    assert faults(POLICY) == []


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("Action", "bedrock:InvokeModle"),
        ("Resource", "inference-profile/us.anthropic.claude"),
        ("Condition", {"StringEqals": {"aws:CalledViaLast": "bedrock.amazonaws.com"}}),
    ],
)
def test_a_misspelt_one_would_be_found(place: str, wrong: Any) -> None:
    policy = copy.deepcopy(POLICY)
    policy["Statement"][0][place] = wrong
    assert faults(policy)


def test_iam_takes_it_as_the_documentation_applies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    [role, name, path] = re.findall(
        r"put-role-policy --role-name (\S+) --policy-name (\S+) --policy-document file://(\S+)", PAGE
    )[0]
    with mock_aws():
        iam = boto3.client("iam", region_name="us-east-1")
        iam.create_role(RoleName=role, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        document = (PROJECT / path).read_text(encoding="utf-8")
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
        assert iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] == POLICY


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/{model}",
        "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/a1b2c3",
        "arn:aws:bedrock:us-west-2::foundation-model/{bare}",
        "arn:aws:bedrock:::foundation-model/{bare}",  # of a global profile
    ],
)
def test_it_allows_every_kind_of_name_that_a_model_has(arn: str) -> None:
    model = Settings().model
    name = arn.format(model=model, bare=model.partition(".")[2])
    allowed = POLICY["Statement"][0]["Resource"]
    assert any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)


def test_the_table_says_of_each_statement_what_it_allows() -> None:
    rows = re.findall(r"^ *\| `(\w+)` \| (.+?) \| ", PAGE, re.MULTILINE)
    told = {sid: set(ACTION.findall(allows)) for sid, allows in rows}
    for statement in POLICY["Statement"]:
        assert told[statement["Sid"]] == actions(statement), statement["Sid"]


def test_what_the_hints_of_errors_ask_for_is_in_it() -> None:
    hints = " ".join(row.hint for row in refusals._TABLE)
    asked = set(ACTION.findall(hints))
    assert asked
    assert asked <= ALL_ACTIONS


def aws_commands() -> Iterator[tuple[str, str, set[str]]]:
    for service, command, rest in re.findall(r"\baws ([a-z]+) ([a-z-]+)([^`\n]*)", PAGE):
        yield service, command, set(re.findall(r"--([a-z-]+)", rest))


def test_each_aws_command_exists_with_its_options() -> None:
    session = botocore.session.get_session()
    found = list(aws_commands())
    assert len(found) >= 3
    for service, command, options in found:
        model = session.get_service_model(service)
        operations = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): name for name in model.operation_names}
        shape = model.operation_model(operations[command]).input_shape
        known = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() for name in shape.members}
        assert options <= known, command
        if command == "put-account-data-retention":
            [mode] = re.findall(r"--mode (\w+)", PAGE)
            assert mode in shape.members["mode"].enum
