"""The environment and the commands of a local stack's components.

Nothing of the developer's own Airflow may reach the stack (it could be told to use another database), and
with the simulator nothing of their AWS set-up either (no mistake may end in a call to real Bedrock).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import chassis
from chassis.local.stack_keys import USERNAME, Keys, password_file

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
# The pair that the simulator accepts; see chassis.local.simulator.
_SIMULATED_LOGIN = "SIMULATED"
_SIMULATED_SECRET = "simulated-not-claude"  # noqa: S105  a fixed, public value
_SIMULATED_LATENCY_SECONDS = "0.3"
_CONNECTION = "AIRFLOW_CONN_CLAUDE_BEDROCK"
_BASE_URL = "AIRFLOW__API__BASE_URL"
_PACKAGE = Path(chassis.__file__).parent
_CHECKOUT = _PACKAGE.parents[1]


@dataclass(frozen=True)
class StackPlan:
    """What a stack is to be, decided before anything starts."""

    home: Path
    dags_folder: Path
    port: int
    simulator_port: int | None
    """Port of the simulator; None for real Bedrock."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Variables that win over everything set here."""
    execution_port: int = 0
    """Port of the API server that tasks speak with."""

    @property
    def url(self) -> str:
        """Airflow's address."""
        return f"http://{LOOPBACK}:{self.port}{self._path}"

    @property
    def execution_url(self) -> str:
        """Address of the API server that tasks speak with."""
        return f"http://{LOOPBACK}:{self.execution_port}{self._path}"

    @property
    def _path(self) -> str:
        """Path that the variables put Airflow below, if they do: its API servers then answer there alone."""
        return urlsplit(self.extra.get(_BASE_URL, "")).path.rstrip("/")

    @property
    def simulator_url(self) -> str | None:
        """The simulator's address; None for real Bedrock."""
        return None if self.simulator_port is None else f"http://{LOOPBACK}:{self.simulator_port}"


def default_dags_folder() -> Path:
    """The checkout's ``dags``, or else the DAGs that the package brings."""
    checkout = _CHECKOUT / "dags"
    return checkout if (checkout / "plan_workflow.py").exists() else _PACKAGE / "defaults" / "dags"


def has_aws_credentials() -> bool:
    """Whether this user has set up AWS credentials, or an Airflow connection for Chassis.

    The role of a cloud machine doesn't count: that the stack calls real Bedrock must be somebody's decision,
    so there it takes ``--bedrock``. Credentials that are set up but don't work do count: the first call says
    what is wrong with them.
    """
    if os.environ.get(_CONNECTION) or os.environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        return True
    from botocore.credentials import InstanceMetadataProvider
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        providers = Session().get_component("credential_provider")
        providers.remove(InstanceMetadataProvider.METHOD)
        return providers.load_credentials() is not None
    except BotoCoreError:
        return True


def usual_port(home: Path) -> int:
    """The port that a home's Airflow takes while it is free, from 8080 to 8979.

    Always the same for one home, so that its address can be remembered, and hardly ever the same for two, so
    that two that start at the same moment don't both find it free.
    """
    return 8080 + zlib.crc32(str(home).encode()) % 900


def free_port(preferred: int = 0) -> int:
    """A port that nobody listens on now: the preferred one if it is free, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("The system always has a free port for port 0.")


def component_commands(plan: StackPlan) -> dict[str, list[str]]:
    """Program and arguments of each component, in the order of their start.

    People and tasks have an API server each. Airflow's (3.3.2) writes its audit log on its event loop, where it
    waits for whoever holds SQLite's one lock. In one server for both that is a task's request time and again,
    which needs the event loop to let go of it: all stood still for five seconds, and the person got an error 500.

    Scheduler and triggerer would each open a log server on all interfaces. All components share one folder of
    logs here, so these servers stay off; the API servers' and the simulator's are the stack's only ports.
    """
    airflow = [sys.executable, "-m", "airflow"]
    execution = ["api-server", "--apps", "execution", "--port", str(plan.execution_port)]
    commands = {
        "api-server": [*airflow, "api-server", "--apps", "core"],
        "execution-api": [*airflow, *execution],
        "scheduler": [*airflow, "scheduler", "--skip-serve-logs"],
        "dag-processor": [*airflow, "dag-processor"],
        "triggerer": [sys.executable, "-m", "chassis.local.warm_triggerer", "--skip-serve-logs"],
    }
    if plan.simulator_port is not None:
        port, latency = str(plan.simulator_port), _SIMULATED_LATENCY_SECONDS
        simulator = [sys.executable, "-m", "chassis.local.simulator", "--port", port, "--latency", latency]
        commands = {"simulator": simulator, **commands}
    return commands


def component_environment(plan: StackPlan, keys: Keys, base: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the stack's components, from the one that this process was started in."""
    environment = _inherited(base, simulated=plan.simulator_port is not None)
    environment |= _identity(plan, keys, base) | _network(plan) | _dags(plan) | _SPEED | _RECOVERY
    environment |= _bedrock(plan, base)
    return environment | dict(plan.extra)


def _inherited(base: Mapping[str, str], *, simulated: bool) -> dict[str, str]:
    kept = {
        name: value
        for name, value in base.items()
        if not name.startswith("AIRFLOW") or name.startswith("AIRFLOW__CHASSIS__")
    }
    if simulated:
        kept = {name: value for name, value in kept.items() if not name.startswith("AWS_")}
    # A proxy for the world outside must not get what the components say to each other.
    bypass = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), LOOPBACK, "localhost"]))
    return kept | {"NO_PROXY": bypass, "no_proxy": bypass, "PYTHONUNBUFFERED": "1"}


def _identity(plan: StackPlan, keys: Keys, base: Mapping[str, str]) -> dict[str, str]:
    home = plan.home
    plugins = _CHECKOUT / "plugins"
    return {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # Whoever finds the database locked waits this many seconds, as is SQLite's default, and asks again. Two
        # people's changes at once can still wait for each other in their API server, see component_commands.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow/airflow.db?timeout=5",
        # Each of the API server's forty threads may hold a connection: with Airflow's fifteen in all, two hundred
        # tasks made it stand still for 30 s at a time, and clients ask again what is then done twice.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "60",
        # A worker costs a second of a core to start: with Airflow's 32 at once, each takes half a minute on two.
        "AIRFLOW__CORE__PARALLELISM": str(max(8, 4 * (os.cpu_count() or 1))),
        "AIRFLOW__CORE__FERNET_KEY": keys.fernet_key,
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins if plugins.is_dir() else home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(password_file(home)),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        # The connection's Test button: off by default because it runs code on the server, one's own here.
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__API__SECRET_KEY": keys.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.jwt_secret,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs" / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dags"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__CHASSIS__PLANS_ROOT": str(home / "plans"),
        "AIRFLOW__CHASSIS__RECORDS_ROOT": str(home / "records"),
        # On one's own machine a plan runs at once, unless `--approve` or the form asks for a look at it first.
        "AIRFLOW__CHASSIS__APPROVE": base.get("AIRFLOW__CHASSIS__APPROVE", "never"),
    }


def _network(plan: StackPlan) -> dict[str, str]:
    """The API servers' addresses: a task that finds none, or another Airflow's, dies."""
    return {
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(plan.port),
        _BASE_URL: plan.url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{plan.execution_url}/execution/",
    }


def _dags(plan: StackPlan) -> dict[str, str]:
    bundles = [
        {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(plan.dags_folder), "refresh_interval": 30},
        },
        {
            "name": "chassis",
            "classpath": "chassis.plans.bundle.PlanBundle",
            "kwargs": {"refresh_interval": 2},
        },
    ]
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(plan.dags_folder),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(plan.home / "bundles"),
        # A published plan is to be a DAG within seconds: look for changes each second, parse what changed
        # first, and store it at once. Chassis relies on the last one, see `chassis doctor`.
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__FILE_PARSING_SORT_MODE": "modified_time",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    }


_SPEED = {
    # An idle scheduler sleeps this long, and a chain of short tasks finds it idle at each hop. Five no-op
    # tasks in a chain, on two cores: 6.0 s with Airflow's default of 1; 2.8 s with 0.2, which costs 7 % of a
    # core while nothing runs; 2.5 s with 0.1, at 14 %.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
}

# How soon a run goes on after something died; docs/operations.md has what each costs, and Airflow's defaults.
_RECOVERY = {
    # The triggers of a killed triggerer wait until it counts as dead: 30 s by default. There is only one here, so
    # that nothing is done twice when a slow one counts as dead.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    # A triggerer whose triggers' process says nothing for 30 s stops its heartbeat, so that another one takes over.
    # There is no other here, and on a slow or busy machine the process may take longer to start.
    "AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": "120",
    # What a killed scheduler had queued waits until it counts as dead (30 s, more than a lock of the database may
    # take), and then for the next look: 300 s by default.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    # A task whose supervisor was killed runs on paper: 300 s by default. It tells of itself every 5 s.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # By default a task gives up on the API server after five attempts, 4 to 16 s: less than it takes to start.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "20",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    # A task whose plan can't be read is tried again without counting as a retry, three times: 60 s later by default.
    "AIRFLOW__WORKERS__MISSING_DAG_RETRY_DELAY": "10",
}


def _bedrock(plan: StackPlan, base: Mapping[str, str]) -> dict[str, str]:
    if plan.simulator_url is None:
        default = json.dumps({"conn_type": "aws"})
        return {_CONNECTION: base.get(_CONNECTION) or default}
    connection = {
        "conn_type": "aws",
        "login": _SIMULATED_LOGIN,
        "password": _SIMULATED_SECRET,
        "extra": {
            "region_name": "us-east-1",
            "service_config": {"bedrock-runtime": {"endpoint_url": plan.simulator_url}},
        },
    }
    return {
        _CONNECTION: json.dumps(connection),
        # The developer's profiles could name another endpoint, and a cloud machine's role is real.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
