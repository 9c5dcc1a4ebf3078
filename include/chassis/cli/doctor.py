"""``chassis doctor``: one line for each thing that must be right, with the fix for what isn't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.text import Text

from chassis.cli.console import safe_line, safe_text
from chassis.cli.deployment_facts import MARK, Facts
from chassis.cli.target import connect, is_remote
from chassis.contract.names import PLANNER_DAG
from chassis.errors import ChassisError
from chassis.errors.client import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chassis.airflow_client import Airflow
    from chassis.local.stack_environment import StackPlan

_PROBE_SECONDS = 180
_TO_BE_CHOSEN = 0  # the simulator's port before the stack starts
UPKEEP = "chassis_upkeep"
"""The DAG that deletes what is kept for a time only."""
_BUNDLE = "chassis.plans.bundle.PlanBundle"
_COMPONENTS = {"metadatabase": "database", "scheduler": "", "dag_processor": "DAG processor", "triggerer": ""}
_HERE = "the local stack sets this by itself; elsewhere set "


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    :ivar detail: what was found
    :ivar fix: what to do about it; empty when nothing is
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""

    def line(self) -> Text:
        """The check as a line, with the fix below it."""
        mark = Text("ok    ", style="green") if self.ok else Text("fail  ", style="bold red")
        line = mark.append(f"{self.name}: ", style="bold default").append(
            safe_line(self.detail), style="not bold default"
        )
        return line if self.ok else line.append(f"\n      fix: {safe_text(self.fix)}", style="yellow")


def examine(home: Path) -> list[Check]:
    """All checks, of the Airflow that the other commands would talk to."""
    checks = list(_airflow_checks(home))
    plan = _stack_plan(home)
    try:
        facts = _facts(plan)
    except StackError as error:
        return [*checks, Check("Airflow's set-up", False, error.message, error.hint)]
    with_facts = [*_package_checks(facts), *checks, *_settings_checks(facts)]
    pool = list(_pool_checks(home, facts.pool)) if facts.pool else []
    if plan is not None and plan.simulator_port == _TO_BE_CHOSEN:
        facts = facts.model_copy(
            update={"claude": "without AWS credentials the simulator answers, once it runs"}
        )
    return [*with_facts, *pool, *_claude_checks(facts)]


def _package_checks(facts: Facts) -> Iterator[Check]:
    python = tuple(map(int, facts.python.split(".")[:2]))
    yield Check("Python", (3, 11) <= python < (3, 14), facts.python, "Use Python 3.11, 3.12 or 3.13.")
    airflow = tuple(map(int, facts.airflow.split(".")[:2]))
    yield Check(
        "Airflow's version", (3, 3) <= airflow < (4, 0), facts.airflow, "pip install 'apache-airflow>=3.3,<4'"
    )


def _airflow_checks(home: Path) -> Iterator[Check]:
    """Whether Airflow answers, works, lets us in and has Chassis's own DAGs."""
    try:
        with connect(home).airflow as airflow:
            yield _health(airflow)
            yield _dag_check("Planner", PLANNER_DAG, airflow.find_dag(PLANNER_DAG))
            yield _dag_check("Upkeep", UPKEEP, airflow.find_dag(UPKEEP))
    except ChassisError as error:
        yield Check("Airflow", False, error.message, error.hint)


def _health(airflow: Airflow) -> Check:
    health = airflow.health()
    sick = [
        label or part
        for part, label in _COMPONENTS.items()
        if (health.get(part) or {}).get("status") != "healthy"
    ]
    detail = f"{airflow.url}, version {airflow.version()}"
    fix = "`chassis up` restarts the parts of the local stack that ended; its logs folder says why they did."
    return Check("Airflow", not sick, f"{detail}, without {', '.join(sick)}" if sick else detail, fix)


def _dag_check(name: str, dag_id: str, dag: dict[str, Any] | None) -> Check:
    fix = f"Put dags/{dag_id}.py into Airflow's DAG folder, and unpause {dag_id}."
    if dag is None:
        return Check(name, False, f"there is no DAG {dag_id}", fix)
    state = (
        "stale: its file is gone or broken" if dag["is_stale"] else "paused" if dag["is_paused"] else "there"
    )
    return Check(name, state == "there", f"DAG {dag_id} is {state}", fix)


def _settings_checks(facts: Facts) -> Iterator[Check]:
    if facts.settings_fault:
        yield Check("[chassis] settings", False, facts.settings_fault, "Correct them there.")
    yield Check(
        "DAG bundle",
        _BUNDLE in facts.bundles,
        ", ".join(facts.bundles) or "none configured",
        f"{_HERE}[dag_processor] dag_bundle_config_list to hold"
        f' {{"name": "chassis", "classpath": "{_BUNDLE}", "kwargs": {{"refresh_interval": 2}}}}.',
    )
    yield Check(
        "Serialised DAGs",
        facts.min_update_interval == 0,
        f"[core] min_serialized_dag_update_interval = {facts.min_update_interval}",
        f"{_HERE}it to 0: otherwise a run can start with a plan that it is not pinned to.",
    )
    if facts.store:
        fault = facts.store_fault
        yield Check(
            "Plan store", not fault, fault or facts.store, "Set [chassis] plans_root to a place it can read."
        )
    if facts.records:
        yield Check(
            "Record store",
            not facts.records_fault,
            facts.records_fault or facts.records,
            "Set [chassis] records_root to a place where it can write, read and delete: "
            "without it no call is made.",
        )
        yield Check(
            "Agents",
            not facts.agent_faults,
            "; ".join(facts.agent_faults) or ", ".join(facts.agents),
            "Correct these files; the other agents can be used meanwhile.",
        )
        yield Check(
            "Services",
            not facts.service_faults,
            "; ".join(facts.service_faults) or f"{facts.services} in the catalogue",
            "Correct [chassis] services_file.",
        )


def _pool_checks(home: Path, name: str) -> Iterator[Check]:
    try:
        with connect(home).airflow as airflow:
            pool = airflow.find_entry("pools", name)
    except ChassisError:
        return  # said already, by the check of Airflow itself
    fix = f"`chassis up` adds it; elsewhere Admin > Pools: '{name}', 16 slots, Include Deferred."
    if pool is None:
        yield Check("Pool", False, f"there is no pool '{name}', so no call to Claude can start", fix)
    else:
        counts = "with" if pool["include_deferred"] else "without"
        detail = f"'{name}' has {pool['slots']} slots, {counts} deferred tasks"
        yield Check("Pool", bool(pool["include_deferred"]), detail, fix)


def _claude_checks(facts: Facts) -> Iterator[Check]:
    if not facts.conn_id:
        return
    state = "is there" if facts.connection_found else "doesn't exist: AWS's default credential chain is asked"
    yield Check(
        "Connection",
        facts.connection_found,
        f"'{facts.conn_id}' {state}",
        f"In Airflow, Admin > Connections: add '{facts.conn_id}', type Claude on Amazon Bedrock, with its region.",
    )
    yield Check(
        "Claude",
        facts.claude_ok,
        facts.claude,
        "Follow the advice in the message. To use the local simulator instead: `chassis up`.",
    )


def _stack_plan(home: Path) -> StackPlan | None:
    """The local stack as it runs or would be started; None if an Airflow of one's own is meant."""
    if is_remote():
        return None
    from chassis.local.stack import running_stack
    from chassis.local.stack_environment import (
        StackPlan,
        default_dags_folder,
        has_aws_credentials,
        usual_port,
    )

    record = running_stack(home)
    if record is not None:
        port = urlsplit(record.url).port or 0
        simulator = urlsplit(record.simulator_url).port if record.simulator_url else None
    else:
        port, simulator = usual_port(home), None if has_aws_credentials() else _TO_BE_CHOSEN
    return StackPlan(home=home, dags_folder=default_dags_folder(), port=port, simulator_port=simulator)


def _facts(plan: StackPlan | None) -> Facts:
    """The facts of the local stack, or of this machine. Looking changes nothing.

    :raises StackError: see :func:`_probe`
    """
    with _environment(plan) as (environment, stand_in):
        facts = _probe(environment)
    if plan is None or stand_in is None:
        return facts
    told = facts.model_dump_json().replace(stand_in, json.dumps(str(plan.home))[1:-1])
    return Facts.model_validate_json(told)


@contextmanager
def environment_of(home: Path) -> Iterator[dict[str, str]]:
    """The environment in which the local stack's processes, or this machine's, see their connection.

    :raises StackError: the stack's simulator would answer, and doesn't run
    """
    plan = _stack_plan(home)
    if plan is not None and plan.simulator_port == _TO_BE_CHOSEN:
        raise StackError(
            "There are no AWS credentials here, and no local stack runs.",
            hint="Set AIRFLOW_CONN_CLAUDE_BEDROCK or AWS's own variables; docs/bedrock.md has all forms.",
        )
    with _environment(plan) as (environment, _):
        yield environment


@contextmanager
def _environment(plan: StackPlan | None) -> Iterator[tuple[dict[str, str], str | None]]:
    """The environment to look from. Where no stack was ever started, a folder that is deleted again stands in for its
    home, and is named.
    """
    if plan is None:
        yield dict(os.environ), None
        return
    from chassis.local.stack_environment import component_environment
    from chassis.local.stack_keys import load_keys, password_file

    if password_file(plan.home).exists():
        yield component_environment(plan, load_keys(plan.home), os.environ), None
        return
    with tempfile.TemporaryDirectory(prefix="chassis-doctor-") as folder:
        stand_in = replace(plan, home=Path(folder))
        yield component_environment(stand_in, load_keys(stand_in.home), os.environ), folder


def _probe(environment: dict[str, str]) -> Facts:
    """The facts as a process with this environment sees them.

    :raises StackError: it sees nothing, because Airflow can't even be imported or its configuration is broken
    """
    command = [sys.executable, "-m", "chassis.cli.deployment_facts"]
    try:
        done = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"Looking at Airflow's set-up took more than {_PROBE_SECONDS} s.") from None
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return Facts(**json.loads(line.removeprefix(MARK)))
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    raise StackError(
        f"Airflow's set-up can't be read: {last}", hint=f"Run {' '.join(command)} to see all of it."
    )
