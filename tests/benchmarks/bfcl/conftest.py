"""The official package, where it can be installed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentrt.benchmarks.bfcl.official import Official, environment
from agentrt.benchmarks.harness.graders import Environment
from agentrt.errors import SetupError


@pytest.fixture(scope="session")
def official_environment() -> Environment:
    """The environment of the official package."""
    try:
        return environment()
    except SetupError as error:
        pytest.skip(f"the official package cannot be installed: {error}")


@pytest.fixture
async def official(official_environment: Environment, tmp_path: Path) -> AsyncIterator[Official]:
    """Its process, for models that call functions."""
    async with Official.started(official_environment, "fc", tmp_path / "official.log") as started:
        yield started
