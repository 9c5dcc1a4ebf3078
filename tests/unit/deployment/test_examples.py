"""The DAGs of ``examples/`` are loaded here, and run in ``tests/system/test_examples.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from tests.system.test_examples import EXAMPLES

PROJECT = Path(__file__).parents[3]
GUIDE = PROJECT / "docs/how-to/use-claude-in-your-own-dag.md"


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(PROJECT / "examples")


def test_each_is_loaded_and_is_run_by_a_test(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == set(EXAMPLES)


def test_each_is_named_in_the_guide() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [file.name for file in (PROJECT / "examples").glob("*.py") if file.name not in text] == []
