"""``Dockerfile``, ``.dockerignore`` and what the image's lock pins."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.unit.deployment.compose_file import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
IMAGE_LOCK = PROJECT / "requirements-image.lock"
LOCK = PROJECT / "requirements.lock"


def pins(lock: str) -> dict[str, str]:
    """Version of each distribution that a lock pins."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", lock, re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in requirements}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def copied() -> set[str]:
    """What the Dockerfile copies from the project."""
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    return {word for line in lines for word in line.split()[:-1] if not word.startswith("--")}


def test_what_is_copied_exists(copied: set[str]) -> None:
    assert copied
    for source in copied:
        assert (PROJECT / source).exists(), source


def test_only_what_is_copied_is_sent_to_the_build(copied: set[str]) -> None:
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "nothing is sent unless it is named"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert "**/__pycache__" in rules


def test_what_the_build_of_the_package_needs_is_copied(project: dict[str, Any], copied: set[str]) -> None:
    needed = {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml"}
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed |= {*wheel["packages"], *wheel["force-include"]}
    for path in needed:
        assert any(path == source or path.startswith(f"{source}/") for source in copied), path


def test_the_base_is_the_airflow_and_the_python_that_the_locks_are_for(project: dict[str, Any]) -> None:
    base = re.search(r"^FROM apache/airflow:slim-(\S+)-python(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base
    airflow, python = base.groups()
    for lock in (LOCK, IMAGE_LOCK):
        locked = pins(lock.read_text(encoding="utf-8"))
        assert locked["apache-airflow"] == locked["apache-airflow-core"] == airflow
    assert f"--python-version {python} " in IMAGE_LOCK.read_text(encoding="utf-8").split("\n")[1]
    oldest, newest = re.findall(r"3\.(\d+)", project["project"]["requires-python"])
    assert int(oldest) <= int(python.split(".")[1]) < int(newest)


def test_the_image_has_what_runs_and_no_tools_of_development(project: dict[str, Any]) -> None:
    locked = pins(IMAGE_LOCK.read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    own = project["project"]
    wanted = [*own["dependencies"], *own["optional-dependencies"]["s3"], *groups["image"]]
    assert names(wanted) <= locked.keys()
    assert "s3fs" in locked
    assert names(groups["dev"]) & locked.keys() == names(groups["dev"]) & names(wanted)


def test_both_locks_pin_the_same_versions() -> None:
    ours, theirs = (pins(lock.read_text(encoding="utf-8")) for lock in (IMAGE_LOCK, LOCK))
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 100
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


@pytest.mark.parametrize("lock", [LOCK, IMAGE_LOCK], ids=lambda lock: lock.name)
def test_every_pin_has_hashes_and_no_lock_names_an_address(lock: Any) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(re.findall(r"^[a-z0-9].*==", text, re.MULTILINE))
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_image_is_installed_from_the_lock_alone() -> None:
    installs = re.findall(r"pip install (.+?)(?: \\)?$", DOCKERFILE, re.MULTILINE)
    assert len(installs) == 2
    assert "--no-deps --require-hashes --requirement /opt/chassis/requirements-image.lock" in installs[0]
    assert "--no-deps --no-build-isolation /opt/chassis" in installs[1]
    assert "pip check" in DOCKERFILE, "shows that nothing is missing from the lock"


def test_make_lock_renews_the_images_lock_by_the_command_that_its_head_names() -> None:
    command = IMAGE_LOCK.read_text(encoding="utf-8").split("\n")[1].lstrip("# ").split()
    lines = (PROJECT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    [recipe] = [line.split() for line in lines if line.endswith("-o requirements-image.lock")]
    assert set(recipe) - {"@$(BIN)/uv", "--quiet"} == set(command) - {"uv"}
