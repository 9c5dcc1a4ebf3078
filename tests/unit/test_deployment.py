"""What a deployment lets in: nothing that would be a DAG that can't be built, or a task that can't begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chassis.dag.factory import build_dag
from chassis.deployment import Deployment
from chassis.errors import PlanError
from chassis.settings import Settings
from chassis.workflow import Limits, check_plan
from tests.unit.workflow.strategies import lines, plan_data

MODEL = "us.anthropic.claude-opus-4-6-v1"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A deployment with two agents, a wrong one and two services; its connection names a gateway's model."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_CLAUDE_BEDROCK",
        json.dumps({"conn_type": "aws", "extra": {"claude": {"model": "our-claude"}}}),
    )
    agents = tmp_path / "agents"
    agents.mkdir()
    for name, more in (
        ("planning-agent", ""),
        ("reviewer", ""),
        ("task-executor", ""),
        ("typist", "model: gpt.4\n"),
        ("broken", "max_tokens: many\n"),
    ):
        (agents / f"{name}.md").write_text(f"---\nname: {name}\ndescription: D.\n{more}---\nPrompt.\n")
    services = tmp_path / "services.yaml"
    services.write_text(
        "services:\n- {name: claims, description: C.}\n- {name: recommendation, description: R.}\n"
    )
    return Settings(agents_folder=str(agents), services_file=str(services))


def plan(*, task: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    one = {"id": "a", "name": "A", "instruction": "Do it."} | (task or {})
    return {"schema_version": 1, "id": "w", "title": "W", "requirement": "R", "tasks": [one]} | parts


def faults(data: dict[str, Any], settings: Settings) -> list[str]:
    return [str(fault) for fault in Deployment.read(settings).faults(check_plan(data))]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            plan(task={"agent": "code-reviewer"}),
            "task 'a': names an agent that doesn't exist: 'code-reviewer'; did you mean 'reviewer'?",
        ),
        (
            plan(task={"agent": "planning-agent"}),
            "task 'a': names an agent that doesn't exist: 'planning-agent'",
        ),
        (
            plan(task={"agent": "broken"}),
            "task 'a': names the agent 'broken', whose file is wrong: broken.md: max_tokens must be a whole number",
        ),
        (plan(task={"model": "opus"}), "task 'a': model: 'opus' is a short name that Bedrock doesn't know"),
        (
            plan(task={"agent": "typist"}),
            "task 'a': the model of its agent 'typist': 'gpt.4' is not a Bedrock model id",
        ),
        (plan(schedule={"asset": "s3://"}), "schedule: asset 's3://' is not one that Airflow takes"),
        (plan(schedule={"asset": "self"}), "schedule: asset 'self' is not one that Airflow takes"),
        (
            plan(limits={"budget_usd": 5}),
            "task 'a': the price of model 'our-claude' isn't known, so limits.budget_usd can't be held",
        ),
        (
            plan(task={"instruction": "Change service {item}.", "for_each": {"items": ["clams"]}}),
            "task 'a': the instruction calls 'clams' a service, which is not in the catalogue; did you mean 'claims'?",
        ),
    ],
)
def test_what_a_run_would_fail_by_is_refused_beforehand(
    data: dict[str, Any], said: str, settings: Settings
) -> None:
    (fault,) = faults(data, settings)
    assert fault.startswith(said)


HAIKU, ALWAYS_THINKS = "us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.anthropic.claude-opus-5-5"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"model": HAIKU, "effort": "low"}, "effort: Haiku 4.5 can't be told how hard to try"),
        ({"model": MODEL, "effort": "xhigh"}, "effort: Opus 4.6 takes low, medium, high, max"),
        ({"model": ALWAYS_THINKS, "thinking": "disabled"}, "thinking: Opus 5.5 always thinks"),
        ({"agent": "hasty"}, "the effort of its agent 'hasty': Haiku 4.5 can't be told how hard to try"),
    ],
)
def test_effort_and_thinking_that_their_model_refuses_for_certain_are_refused_beforehand(
    task: dict[str, Any], said: str, settings: Settings
) -> None:
    hasty = f"name: hasty\ndescription: Hastens.\nmodel: {HAIKU}\neffort: low\n"
    Path(settings.agents_folder, "hasty.md").write_text(f"---\n{hasty}---\nHasten.", encoding="utf-8")
    (fault,) = faults(plan(task=task), settings)
    assert fault.startswith(f"task 'a': {said}")
    assert "hasty" not in Deployment.read(settings).askable, "nor is such an agent offered to a planner"


def test_effort_that_nobody_wrote_for_the_model_is_no_fault(settings: Settings) -> None:
    """It isn't sent then; a new model's answer tells what it takes."""
    hasty = "---\nname: hasty\ndescription: Hastens.\neffort: low\n---\nHasten."
    Path(settings.agents_folder, "hasty.md").write_text(hasty, encoding="utf-8")
    assert faults(plan(task={"agent": "hasty", "model": HAIKU}), settings) == []
    assert faults(plan(task={"model": "us.anthropic.claude-opus-7", "effort": "max"}), settings) == []


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "global.anthropic.claude-not-yet-thought-of",
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3",
        "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
        "our-claude",
    ],
)
def test_a_model_is_known_by_its_form_or_by_the_connection(model: str, settings: Settings) -> None:
    assert faults(plan(task={"model": model}), settings) == []


@pytest.mark.parametrize(
    "model",
    [
        "opus",
        "sonnet[1m]",
        "claude-opus-4-6",
        "anthropic.",
        "amazon.nova-pro-v1:0",
        f"{MODEL} ",
        "arn:aws:s3:::claude",
        "arn:aws:bedrock:us-east-1:1:inference-profile/opus",
    ],
)
def test_any_other_name_of_a_model_is_refused(model: str, settings: Settings) -> None:
    assert len(faults(plan(task={"model": model}), settings)) == 1


def test_a_budget_is_held_by_tokens_where_no_price_is_known(settings: Settings) -> None:
    assert faults(plan(limits={"budget_usd": 5, "max_tokens": 1_000}), settings) == []
    assert faults(plan(task={"model": MODEL}, limits={"budget_usd": 5}), settings) == []


def test_a_budget_is_held_where_the_connection_names_the_model_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude = {"model": "our-claude", "model_behind": {"our-claude": MODEL, "our-other": "what"}}
    monkeypatch.setenv(
        "AIRFLOW_CONN_CLAUDE_BEDROCK", json.dumps({"conn_type": "aws", "extra": {"claude": claude}})
    )
    assert faults(plan(limits={"budget_usd": 5}), settings) == []
    (fault,) = faults(plan(task={"model": "our-other"}, limits={"budget_usd": 5}), settings)
    assert "model_behind of the connection" in fault


def test_a_budget_that_no_plan_could_hold_is_refused_before_anything_is_paid(settings: Settings) -> None:
    deployment = Deployment.read(settings)
    deployment.require_limits(Limits(budget_usd=5, max_tokens=1_000))
    with pytest.raises(
        PlanError, match=r"limits: the price of model 'our-claude' isn't known, so limits\.budget_usd"
    ):
        deployment.require_limits(Limits(budget_usd=5))


def test_faults_of_the_plan_and_of_the_deployment_are_listed_at_once(settings: Settings) -> None:
    text = json.dumps(plan(task={"agent": "nobody"}, schedule={"cron": "61 * * * *"}))
    with pytest.raises(PlanError) as refused:
        Deployment.read(settings).load(text, source="x.yaml")
    assert {fault.code for fault in refused.value.faults} == {"bad_cron", "unknown_agent"}
    assert refused.value.subject == "The plan x.yaml"


def test_wrong_files_that_a_plan_does_not_need_are_warnings(settings: Settings) -> None:
    Path(settings.services_file).write_text("services:\n- {name: claims}\n")
    assert faults(plan(), settings) == []
    assert [str(each) for each in Deployment.read(settings).warnings(check_plan(plan()))] == [
        "broken.md: max_tokens must be a whole number, not the text 'many'",
        "services[0]: description is missing",
    ]


def test_a_planner_is_offered_no_agent_that_could_not_be_asked(settings: Settings) -> None:
    assert list(Deployment.read(settings).askable) == ["reviewer", "task-executor"]


assets = st.one_of(
    lines,
    st.sampled_from(["s3", "file", "airflow", "x-any", "postgres", "http", "S3"]).flatmap(
        lambda scheme: st.from_regex(r"[a-z:/?#\[\]@. -]{0,8}", fullmatch=True).map(f"{scheme}://{{}}".format)
    ),
)


@hypothesis_settings(max_examples=100, deadline=None)
@given(plan_data(), assets, st.sampled_from([None, MODEL, "opus"]))
def test_whatever_is_let_in_becomes_a_dag(data: dict[str, Any], asset: str, model: str | None) -> None:
    if "asset" in data.get("schedule", {}):
        data["schedule"]["asset"] = asset
    for each in data["tasks"]:
        each["model"] = model
    try:
        spec = check_plan(data)
    except PlanError:
        return
    deployment = Deployment.read(Settings())
    if deployment.faults(spec):
        return
    dag = build_dag(spec, revision=1, settings=deployment.settings)
    DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
