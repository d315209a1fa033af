"""A journal with all recordings in it, for the tests that look at whole screens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.ui.watch.stage import journal_of_all


@pytest.fixture(scope="session")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the journal. Nobody writes into it."""
    file = tmp_path_factory.mktemp("recordings") / "journal.db"
    return asyncio.run(journal_of_all(file))
