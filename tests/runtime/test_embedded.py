"""The executor of a runtime that was given none: found engines, failed starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentrt import Agent, Runtime, program
from agentrt.engine import EngineInfo, EngineSpec, Home, process, records
from agentrt.errors import ConfigError
from agentrt.runtime import EmbeddedExecutor
from agentrt.testing import ScriptedServer, say


def left_running(server: ScriptedServer, where: Home) -> EngineInfo:
    """A record of an engine that stays: this process, which serves the script."""
    alive = process.stat(os.getpid())
    assert alive is not None
    info = EngineInfo(
        url=server.url,
        port=int(server.url.rpartition(":")[2]),
        api_key="key",
        model="scripted",
        device="cpu",
        pid=alive.pid,
        pid_started=alive.started,
        log=str(where.logs / "engine.log"),
        started=0.0,
    )
    records.save(info, where)
    return info


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home that this process uses, empty."""
    monkeypatch.setenv("AGENTRT_HOME", str(tmp_path))
    return Home(cache=tmp_path / "cache", state=tmp_path / "state")


async def test_an_engine_that_was_left_running_answers(where: Home) -> None:
    """A runtime without executors finds it, and uses its key."""
    writer = Agent("writer")

    @program
    async def main() -> str:
        return await writer("Tea?")

    async with ScriptedServer([say("A drink.")], api_key="key") as server, Runtime() as runtime:
        left_running(server, where)
        assert (await runtime.run(main)).output == "A drink."


async def test_a_failed_start_is_tried_again(tmp_path: Path, where: Home) -> None:
    """What kept an engine from starting may be mended; whoever asks next is not told the old error."""
    executor = EmbeddedExecutor(spec=EngineSpec(model=str(tmp_path), device="cpu", port=70000))
    with pytest.raises(ConfigError, match=r"folder without config\.json"):
        await executor.prepare()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="port 70000"):
        await executor.prepare()
    await executor.close()
