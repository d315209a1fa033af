"""What the tests of durable runs share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agentrt.store import Journal

from .cutting import Cutter, cutter


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """An empty journal."""
    async with Journal(tmp_path / "runs.db") as made:
        yield made


@pytest.fixture
def cuts(tmp_path: Path, journal: Journal) -> Callable[..., Cutter]:
    """``cuts(models=..., **settings)`` gives a ``Cutter``; the settings are its runtimes'."""

    def make(models: Callable[[], Any] = dict, **settings: Any) -> Cutter:
        return cutter(tmp_path, journal, models, **settings)

    return make
