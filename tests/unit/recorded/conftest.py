from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.recorded.replay import Deployment


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    return Deployment(tmp_path, monkeypatch)
