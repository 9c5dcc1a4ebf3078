from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException, ErrorType, ParamValidationError
from airflow.sdk.execution_time.comms import ErrorResponse

from chassis.dag.planner import AwaitWorkflowSensor, TriggerWorkflowOperator, given_inputs, planner_dag
from chassis.dag.planning_request import PlanOperator, given_from, refuse_paused
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.errors import ChassisError, PlanError, WorkflowPausedError
from chassis.plans.store import PlanStore, Published
from chassis.settings import Settings
from chassis.workflow import InputSpec, TaskSpec, WorkflowSpec, dump_plan

PARAMS: dict[str, Any] = {
    "requirement": "Add 1 and 2",
    "workflow_id": "",
    "continue_from": None,
    "inputs": {},
    "schedule": None,
    "timezone": None,
    "model": "",
    "budget_usd": None,
    "max_parallel": None,
    "action": "run",
    "approve": None,
}


def test_a_planner_plans_asks_publishes_awaits_and_triggers_in_that_order() -> None:
    dag = planner_dag("plan_things")
    assert {task.task_id: set(task.upstream_task_ids) for task in dag.tasks} == {
        "plan": set(),
        "approve": {"plan"},
        "publish": {"approve"},
        "await_dag": {"publish"},
        "trigger": {"await_dag"},
    }
    retries = {task.task_id: task.retries for task in dag.tasks}
    assert retries.pop("approve") >= 10, "each answer that comes too soon costs one"
    assert set(retries.values()) == {Settings().task_retries}
    assert {type(task.retry_policy) for task in dag.tasks} == {ClaudeRetryPolicy}
    assert set(dag.params) == set(PARAMS)
    assert not dag.params.get_param("requirement").has_value


def test_a_scheduled_planner_brings_its_requirement_along() -> None:
    dag = planner_dag("plan_weekly", requirement="Add 1 and 2", workflow_id="sum", schedule="@weekly")
    assert dag.params["requirement"] == "Add 1 and 2"
    assert dag.params["workflow_id"] == "sum"
    assert dag.catchup is False


def test_the_form_asks_five_things_at_most_before_more_and_names_every_choice() -> None:
    params = planner_dag("plan_things").params
    schemas = {name: params.get_param(name).schema for name in params}
    sections = [schema.get("section", "") for schema in schemas.values()]
    assert sections.index("More") <= 5
    assert list(dict.fromkeys(sections)) == ["", "When it runs", "Limits", "More"], (
        "Airflow shows them in this order"
    )
    for name, schema in schemas.items():
        shown = schema.get("values_display", {})
        assert {str(choice) for choice in schema.get("enum", ())} == set(shown), (
            f"{name}: a literal null, or id"
        )
        required = "null" not in schema["type"] and not params.get_param(name).has_value
        assert required is (name == "requirement"), "everything else can be left alone"


@pytest.mark.parametrize(
    ("name", "good", "wrong"),
    [
        (
            "schedule",
            ["0 6 * * 1", " 0  6 * * 1", "@daily", "none", "", None],
            ["daily", "0 6 * *", "every day"],
        ),
        ("budget_usd", ["5", " .50", "5.", "None", 5, 0.5, "", None], ["much", "-1", "1e9", "inf", -1, 0]),
    ],
)
def test_the_form_refuses_what_has_not_the_shape(name: str, good: list[Any], wrong: list[Any]) -> None:
    param = planner_dag("plan_things").params.get_param(name)
    for value in good:
        assert param.resolve(value) == value
    for value in wrong:
        with pytest.raises(ParamValidationError):
            param.resolve(value)


def test_what_may_be_left_empty_in_the_form_is_nullable() -> None:
    params = planner_dag("plan_things").params
    for name in ("workflow_id", "schedule", "timezone", "model", "budget_usd", "max_parallel", "approve"):
        assert params[name] is None
        assert "null" in params.get_param(name).schema["type"], f"Airflow's form would demand {name}"


def test_what_the_person_gave_is_taken_over() -> None:
    given = given_from(PARAMS | {"workflow_id": "sum", "schedule": "0 6 * * 1", "timezone": "Europe/Berlin"})
    assert given.workflow_id == "sum"
    assert given.schedule is not None
    assert (given.schedule.cron, given.schedule.timezone) == ("0 6 * * 1", "Europe/Berlin")
    assert given_from(PARAMS).workflow_id is None


def test_what_was_left_empty_was_not_given_and_none_takes_it_away() -> None:
    assert given_from(PARAMS).model_fields_set == {"requirement", "inputs"}
    taken = given_from(PARAMS | {"schedule": " None ", "budget_usd": "none", "approve": "none"})
    assert taken.model_fields_set == {"requirement", "inputs", "schedule", "limits", "approve"}
    assert (taken.schedule, taken.approve) == (None, None)
    assert taken.limits is not None
    assert taken.limits.model_dump(exclude_unset=True) == {"budget_usd": None}


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("@daily", "preset", "@daily"),
        (" 0  6 * *\t1 ", "cron", "0 6 * * 1"),
        ("@Weekly", "preset", "@weekly"),
    ],
)
def test_a_schedule_is_a_cron_however_it_is_spaced_or_a_preset(text: str, field: str, expected: str) -> None:
    schedule = given_from(PARAMS | {"schedule": text}).schedule
    assert getattr(schedule, field) == expected


@pytest.mark.parametrize(("typed", "usd"), [("5", 5.0), (" 2.50 ", 2.5), (7, 7.0), (0.1, 0.1)])
def test_a_budget_is_a_number_however_the_form_sends_it(typed: Any, usd: float) -> None:
    limits = given_from(PARAMS | {"budget_usd": typed}).limits
    assert limits is not None
    assert limits.budget_usd == usd


def test_all_that_is_wrong_with_what_was_given_is_said_at_once() -> None:
    wrong = PARAMS | {"schedule": "61 * * * *", "timezone": "Europe/Atlantis", "workflow_id": "plan_workflow"}
    with pytest.raises(PlanError) as refusal:
        given_from(wrong)
    text = str(refusal.value)
    assert all(words in text for words in ("61 * * * *", "Europe/Atlantis", "plan_workflow")), text


class Waiting:
    """A planner's run that waits for a published plan, and the store that it looks into."""

    def __init__(self, root: Path) -> None:
        self.store = PlanStore(str(root))
        self.dag: Any = SimpleNamespace(tags=[], bundle_version=None)

    def publish(self, instruction: str) -> Published:
        task = TaskSpec(id="step", name="Step", instruction=instruction)
        return self.store.publish(
            WorkflowSpec(schema_version=1, id="w", title="W", requirement="R", tasks=(task,))
        )

    def shows(self, plan: Published, *, version: str | None) -> None:
        self.dag = SimpleNamespace(tags=["chassis", f"plan:{plan.digest[:12]}"], bundle_version=version)

    def poke(self, plan: Published) -> bool:
        published = {"workflow_id": "w", "revision": plan.revision, "digest": plan.digest, "changed": True}
        ti = SimpleNamespace(
            xcom_pull=lambda **_: published, get_dag=lambda _: self.dag, xcom_push=lambda *_: None
        )
        return AwaitWorkflowSensor(task_id="await_dag").poke({"ti": ti})  # type: ignore[typeddict-item]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", str(tmp_path))
    return Waiting(tmp_path)


def test_the_wait_ends_when_graph_and_pinned_version_are_the_published_plan(waiting: Waiting) -> None:
    old = waiting.publish("old")
    old_version = waiting.store.record_version(waiting.store.heads())
    new = waiting.publish("new")
    new_version = waiting.store.record_version(waiting.store.heads())

    waiting.shows(old, version=old_version)
    assert not waiting.poke(new), "the old graph at the old version"
    waiting.shows(new, version=old_version)
    assert not waiting.poke(new), "the new graph beside the old version would run the old plan"
    waiting.shows(old, version=new_version)
    assert not waiting.poke(new), "the old graph beside the new version would run tasks that are gone"
    waiting.shows(new, version=new_version)
    assert waiting.poke(new)


def test_without_a_bundle_the_graph_alone_decides(waiting: Waiting) -> None:
    plan = waiting.publish("only")
    assert not waiting.poke(plan)
    waiting.shows(plan, version=None)
    assert waiting.poke(plan)


def test_a_plan_that_another_planner_has_overtaken_is_not_waited_for(waiting: Waiting) -> None:
    mine, theirs = waiting.publish("mine"), waiting.publish("theirs")
    waiting.shows(theirs, version=waiting.store.record_version(waiting.store.heads()))
    with pytest.raises(ChassisError, match="was followed by revision 2"):
        waiting.poke(mine)


def test_a_plan_that_airflow_can_not_build_is_not_waited_for(waiting: Waiting) -> None:
    plan = waiting.publish("only")
    waiting.dag = SimpleNamespace(tags=["chassis", "plan-error"], bundle_version=None)
    with pytest.raises(ChassisError, match="can't build the plan of workflow 'w'"):
        waiting.poke(plan)


def test_the_run_gets_the_given_inputs_as_the_approved_plan_has_them() -> None:
    inputs = {"n": InputSpec(type="integer", default=2), "other": InputSpec(type="integer", default=3)}
    task = TaskSpec(id="add", name="Add", instruction="Add.")
    spec = WorkflowSpec(schema_version=1, id="w", title="W", requirement="R", inputs=inputs, tasks=(task,))
    ti = SimpleNamespace(xcom_pull=lambda **_: {"workflow_id": "w", "plan": dump_plan(spec), "digest": ""})
    context: Any = {"ti": ti, "params": {"inputs": {"n": 1, "edited_away": 1}}}
    assert given_inputs(context) == {"n": 2}, (
        "an edit that took an input out, or gave it another value, counts"
    )


class Paused:
    """A planner's run whose workflow is paused, is not, or isn't known to Airflow."""

    def __init__(self, paused: bool | None) -> None:
        self.paused, self.pushed = paused, {}

    def get_dag(self, dag_id: str) -> Any:
        if self.paused is None:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR))
        return SimpleNamespace(is_paused=self.paused)

    def xcom_pull(self, task_ids: str, map_indexes: int) -> Any:
        return {"workflow_id": "sum", "revision": 1, "digest": "", "changed": True}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def context(self, **params: Any) -> Any:
        return {"ti": self, "params": PARAMS | params, "run_id": "r"}


def test_a_paused_workflow_is_neither_planned_nor_started_and_that_is_final() -> None:
    for operator in (PlanOperator(task_id="plan"), TriggerWorkflowOperator(task_id="trigger")):
        ti = Paused(paused=True)
        with pytest.raises(WorkflowPausedError, match="Workflow 'sum' is paused") as refused:
            operator.execute(ti.context(workflow_id="sum"))
        assert ti.pushed["error"]["class"] == "WorkflowPausedError"
        assert not refused.value.retryable, "it isn't tried four times"


@pytest.mark.parametrize("paused", [False, None])
def test_a_workflow_that_runs_or_is_new_is_not_refused(paused: bool | None) -> None:
    refuse_paused(Paused(paused=paused).context(), "sum")


def test_publishing_only_skips_the_run() -> None:
    with pytest.raises(AirflowSkipException, match="a run was not asked for"):
        TriggerWorkflowOperator(task_id="trigger").execute({"params": PARAMS | {"action": "publish"}})  # type: ignore[typeddict-item]
