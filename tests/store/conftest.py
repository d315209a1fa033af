"""Journals of every kind to test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentrt.store import Journal

KINDS = ("sqlite", "sqlite-full", "postgres")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new journal may be, of each kind in turn."""
    return url_of(request, tmp_path)


def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new journal may be, of the kind that a fixture is asked for."""
    if request.param == "postgres":
        there: str = request.getfixturevalue("postgres_url")
        return there
    return f"sqlite:///{tmp_path / 'runs.db'}{'?sync=full' if request.param == 'sqlite-full' else ''}"


@pytest.fixture
async def journal(url: str) -> AsyncIterator[Journal]:
    """A new journal of each kind in turn."""
    async with Journal(url) as journal:
        yield journal


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Journal]:
    """A new journal in a file."""
    async with Journal(tmp_path / "runs.db") as journal:
        yield journal
