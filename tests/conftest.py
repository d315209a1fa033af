"""Fixtures that every folder of tests may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import pytest

from agentrt.engine import Engine
from agentrt.engine.paths import ESTIMATES_VARIABLE
from agentrt.testing.engine import real_engine


@pytest.fixture(scope="session", autouse=True)
def estimates_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests take is not remembered for the user's programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ESTIMATES_VARIABLE, str(tmp_path_factory.mktemp("state") / "estimates.json"))
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
