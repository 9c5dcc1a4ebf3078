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
_PACKAGE = Path(chassis.__file__).parent
_CHECKOUT = _PACKAGE.parents[1]


@dataclass(frozen=True)
class StackPlan:
    """What a stack is to be, decided before anything starts.

    :ivar simulator_port: port of the simulator; None for real Bedrock
    :ivar extra: variables that win over everything set here
    :ivar execution_port: port of the API server that tasks speak with
    """

    home: Path
    dags_folder: Path
    port: int
    simulator_port: int | None
    extra: Mapping[str, str] = field(default_factory=dict)
    execution_port: int = 0

    @property
    def url(self) -> str:
        """Airflow's address."""
        return self._address(self.port)

    @property
    def execution_url(self) -> str:
        """Address of the API server that tasks speak with."""
        return self._address(self.execution_port)

    def _address(self, port: int) -> str:
        # The variables may put Airflow below a path: its API servers then answer there alone.
        path = urlsplit(self.extra.get("AIRFLOW__API__BASE_URL", "")).path.rstrip("/")
        return f"http://{LOOPBACK}:{port}{path}"

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
    environment |= {"AIRFLOW_HOME": str(plan.home / "airflow")} | _options(plan, keys, base)
    return environment | _bedrock(plan, base) | dict(plan.extra)


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


def _options(plan: StackPlan, keys: Keys, base: Mapping[str, str]) -> dict[str, str]:
    """Airflow's options as variables, from ``airflow_options.yaml``."""
    import yaml

    plugins = _CHECKOUT / "plugins"
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    dags = {"path": str(plan.dags_folder), "refresh_interval": 30}
    bundles = [
        {"name": "dags-folder", "classpath": local, "kwargs": dags},
        {
            "name": "chassis",
            "classpath": "chassis.plans.bundle.PlanBundle",
            "kwargs": {"refresh_interval": 2},
        },
    ]
    known = keys.model_dump() | {
        "home": plan.home,
        "host": LOOPBACK,
        "port": plan.port,
        "url": plan.url,
        "execution_url": plan.execution_url,
        "dags_folder": plan.dags_folder,
        "plugins": plugins if plugins.is_dir() else plan.home / "plugins",
        "username": USERNAME,
        "password_file": password_file(plan.home),
        "parallelism": max(8, 4 * (os.cpu_count() or 1)),
        "bundles": json.dumps(bundles),
        "approve": base.get("AIRFLOW__CHASSIS__APPROVE", "never"),
    }
    sections = yaml.safe_load((_PACKAGE / "local" / "airflow_options.yaml").read_text(encoding="utf-8"))
    return {
        f"AIRFLOW__{section}__{option}".upper(): value.format_map(known)
        for section, options in sections.items()
        for option, value in options.items()
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
