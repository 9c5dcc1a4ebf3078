"""Which Airflow a command talks to, and which stores it reads.

``CHASSIS_AIRFLOW_URL`` names an Airflow of one's own; the plan store is then what Airflow's configuration on
this machine says. Otherwise it is the home's local stack and the home's plans, and nothing of Airflow is
imported (importing it takes two seconds).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chassis.airflow_client import Airflow, SignIn
from chassis.errors.client import StackError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.files import Files
    from chassis.local.stack_file import StackRecord
    from chassis.plans.store import PlanStore
    from chassis.settings import Settings

URL, TOKEN = "CHASSIS_AIRFLOW_URL", "CHASSIS_AIRFLOW_TOKEN"
USERNAME, PASSWORD = "CHASSIS_AIRFLOW_USERNAME", "CHASSIS_AIRFLOW_PASSWORD"
CEILINGS = ("budget_usd", "max_tokens", "max_calls")
"""Limits for which a deployment has a ceiling: the setting of the same name, after ``run_``."""


@dataclass(frozen=True)
class Target:
    """An Airflow to talk to.

    :ivar simulated: whether the simulator answers; None when that can't be known beforehand
    """

    airflow: Airflow
    simulated: bool | None


def is_remote() -> bool:
    """Whether the commands are meant for an Airflow of one's own."""
    return bool(os.environ.get(URL))


def connect(home: Path) -> Target:
    """The Airflow to talk to, which must be there.

    :raises StackError: no local stack runs in the home
    :raises UsageError: CHASSIS_AIRFLOW_URL is set, but not who signs in
    """
    if is_remote():
        return Target(Airflow(_remote_sign_in()), simulated=None)
    from chassis.local.stack import running_stack

    record = running_stack(home)
    if record is None:
        raise StackError(
            f"No local Airflow runs in {home}.",
            hint=f"Start it with `chassis up`, or set {URL} to an Airflow of your own.",
        )
    return _local(home, record)


def connect_or_start(home: Path, *, bedrock: bool, tell: Callable[[str], None]) -> Target:
    """The Airflow to talk to; a local stack that doesn't run is started.

    :param bedrock: insist on real Bedrock
    :param tell: gets lines of progress
    :raises StackError: the local stack does not start
    :raises UsageError: real Bedrock is wanted, but the local stack runs with the simulator
    """
    from chassis.local.stack import running_stack

    if is_remote():
        return connect(home)
    start(home, bedrock=bedrock, port=None, tell=tell)
    record = running_stack(home)
    if record is None:
        raise StackError(
            f"The local Airflow in {home} stopped right after it started.", hint="Try `chassis up`."
        )
    tell(f"Airflow: {record.url} · sign in as {record.username}, password in {record.password_file}")
    return _local(home, record)


def start(home: Path, *, bedrock: bool, port: int | None, tell: Callable[[str], None]) -> bool:
    """Start the home's stack; False if it ran already. Errors as of :func:`connect_or_start`."""
    from chassis.local.stack import LocalStack, running_stack
    from chassis.local.stack_environment import free_port, has_aws_credentials, usual_port

    record = running_stack(home)
    if record is not None and bedrock and record.simulated:
        raise UsageError(
            f"The local Airflow in {home} runs with the simulator.",
            hint="Stop it with `chassis down`, then start it with `chassis up --bedrock`.",
        )
    simulator = record.simulated if record else not bedrock and not has_aws_credentials()
    stack = LocalStack(home, simulator=simulator, port=port or free_port(preferred=usual_port(home)))
    return stack.start(tell)


def open_store(home: Path) -> PlanStore:
    """The plan store that goes with the Airflow to talk to."""
    from chassis.plans.store import PlanStore

    if not is_remote():
        return PlanStore(str(home / "plans"))
    from chassis.settings import Settings

    settings = Settings.load()
    return PlanStore(settings.plans_root, settings.storage_conn_id)


def open_records(home: Path) -> Files:
    """The record store that goes with the Airflow to talk to: ledgers and kept answers."""
    from chassis.records import run_records
    from chassis.settings import Settings

    here = Settings(records_root=str(home / "records")) if not is_remote() else Settings.load()
    return run_records.open_records(here)


def ceilings() -> dict[str, float]:
    """What the deployment lets any run spend, by the names of a plan's limits, as far as this machine knows.

    Of the local stack it knows what this shell would hand over at its start.

    :raises SettingsError: one of these settings can't be used
    """
    settings = settings_here()
    found = {name: getattr(settings, f"run_{name}") for name in CEILINGS}
    return {name: most for name, most in found.items() if most is not None}


def settings_here() -> Settings:
    """The deployment's settings, as far as this machine knows.

    Of the local stack it knows what this shell would hand over at its start.

    :raises SettingsError: one of them can't be used
    """
    from pydantic import ValidationError

    from chassis.errors import SettingsError
    from chassis.settings import Settings

    if is_remote():
        return Settings.load()
    variables = {name: f"AIRFLOW__CHASSIS__{name.upper()}" for name in Settings.model_fields}
    given = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        wrong = ", ".join(variables[str(fault["loc"][0])] for fault in error.errors())
        raise SettingsError(f"{wrong} can't be used.") from None


def _local(home: Path, record: StackRecord) -> Target:
    from chassis.local.stack_keys import read_password

    sign_in = SignIn(record.url, username=record.username, password=read_password(home))
    return Target(Airflow(sign_in), simulated=record.simulated)


def _remote_sign_in() -> SignIn:
    url, token = os.environ[URL], os.environ.get(TOKEN, "")
    username, password = os.environ.get(USERNAME, ""), os.environ.get(PASSWORD, "")
    if "@" in urlsplit(url).netloc:
        # The address is shown in messages and in links to pages.
        raise UsageError(
            f"{URL} holds a name or a password.", hint=f"Leave them out, and set {USERNAME} and {PASSWORD}."
        )
    if not token and not (username and password):
        raise UsageError(
            f"{URL} is set, but not who signs in there.", hint=f"Set {TOKEN}, or {USERNAME} and {PASSWORD}."
        )
    return SignIn(url, token=token, username=username, password=password)
