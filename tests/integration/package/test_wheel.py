"""The distribution as somebody else's Airflow gets it: what the wheel holds, and what its entry points register."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

LOOK = """
import json, chassis
from pathlib import Path
from airflow.providers_manager import ProvidersManager
from airflow import plugins_manager
from chassis.agents import load_agents
from chassis.catalogue import load_catalogue
from chassis.local.stack_environment import default_dags_folder
from chassis.settings import Settings
from chassis.local.simulator.model_files import known_models
from chassis.ui.page_templates import STATIC, templates
settings = Settings.load()
manager = ProvidersManager()
plugins, _ = plugins_manager._get_plugins()
print(json.dumps({
    "from": chassis.__file__,
    "provider": "airflow-chassis" in manager.providers,
    "connection_type": "claude_bedrock" in dict(manager.hooks.items()),
    "plugin": "chassis" in [plugin.name for plugin in plugins],
    "agents": sorted(load_agents(settings.agents_folder)),
    "templates": "base.html" in templates().list_templates(),
    "assets": sorted({file.suffix for file in STATIC.iterdir()}),
    "services": len(load_catalogue(settings.services_file).names),
    "policy": (Path(chassis.__file__).parent / "defaults" / "bedrock-policy.json").read_text(),
    "models": len(known_models()),
    "dags": sorted(file.name for file in default_dags_folder().glob("*.py")),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    built = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", built],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    (wheel,) = built.glob("airflow_chassis-*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_an_installed_wheel_registers_itself_and_brings_its_own_files(
    installed: Path, tmp_path: Path
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CHASSIS"))}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env=kept | {"PYTHONPATH": str(installed), "AIRFLOW_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen.pop("from").startswith(str(installed))
    assert seen == {
        "provider": True,
        "connection_type": True,
        "plugin": True,
        "agents": ["planning-agent", "task-executor"],
        "templates": True,
        "assets": [".css", ".js", ".svg"],
        "services": 7,
        "policy": (PROJECT / "include" / "bedrock-policy.json").read_text(),
        "models": 17,
        "dags": ["chassis_upkeep.py", "plan_workflow.py"],
    }
