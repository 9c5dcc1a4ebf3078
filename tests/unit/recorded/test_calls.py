"""What Claude is told by a task of a plan, by one of a hand-written DAG and by the planner: word for word as before."""

from __future__ import annotations

import json

from airflow._shared.module_loading import import_string

from chassis.dag.deferred_call import restore_call
from tests.unit.recorded.replay import Deployment, missing, names, recorded


def test_a_task_hands_the_same_call_to_the_same_trigger(deployment: Deployment) -> None:
    """The request is compared byte by byte: Claude's answer, the kept answers and the prompt cache hang on it."""
    for name in names("calls", ".json"):
        case = recorded(f"calls/{name}.json")
        outcome = deployment.visit(case["given"])
        new, old = (each["trigger_arguments"]["call"] for each in (outcome, case["outcome"]))
        for part, said in old["request"].items():
            assert json.dumps(new["request"][part]) == json.dumps(said), f"{name}: {part} of the request"
        assert new.get("fingerprint") == old.get("fingerprint"), f"{name}: no run would take its result over"
        faults = missing(case["outcome"], outcome)
        assert not faults, f"{name} is handed on otherwise: {faults}"


def test_a_trigger_that_stands_in_the_database_makes_the_same_call(deployment: Deployment) -> None:
    for name in names("calls", ".json"):
        left = recorded(f"calls/{name}.json")["outcome"]
        trigger = import_string(left["trigger"])(**left["trigger_arguments"])
        call = restore_call(trigger.call).model_dump(mode="json")
        faults = missing(left["trigger_arguments"]["call"], call)
        assert not faults, f"{name} is restored into another call: {faults}"
        assert missing(list(trigger.serialize()), [left["trigger"], {"call": call}]) == [], name
