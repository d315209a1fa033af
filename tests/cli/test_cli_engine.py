"""The command line on the real engine."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from agentrt.engine import Engine
from agentrt.engine.paths import Home
from agentrt.engine.records import save
from tests.cli.conftest import Cli, environment
from tests.cli.test_cli_stopping import group_is_gone, line_with

_PROGRAM = """
    from agentrt import Agent, program

    rules = "You answer in one short sentence. " * 20
    writer = Agent("writer", system=rules, max_tokens=16, temperature=0)
    talker = Agent("talker", max_tokens=1500, temperature=0, stop=[])

    @program
    async def facts(topic: str) -> list[str]:
        first = await writer(f"What are {topic}?")
        return [first, *[await part for part in [writer(f"Name {n} {topic}.") for n in range(3)]]]

    @program
    async def long() -> list[str]:
        talks = [talker(f"Tell a very long story, number {n}.") for n in range(3)]
        async for piece in talks[0].stream():
            print("piece", piece, flush=True)
            break
        return talks
"""


@pytest.mark.engine
def test_a_run_on_the_real_engine_reports_its_tokens(
    cli: Cli, write: Callable[[str, str], Path], engine: Engine
) -> None:
    """Text comes back, and the prompt that the agents share is computed once: later turns find it cached."""
    write("facts.py", _PROGRAM)
    env = {"AGENTRT_API_KEY": engine.api_key}
    words = ("run", "facts.py:facts", "--input", "topic=otters", "--engine", engine.url)
    ended = cli(*words, "--json", env=env)
    assert ended.code == 0, ended.err
    run = json.loads(ended.out)
    assert all(run["output"])
    assert [step["status"] for step in run["steps"]] == ["done"] * 4
    later = run["steps"][1:]
    assert all(step["cached_tokens"] > step["prompt_tokens"] / 2 for step in later)
    assert run["tokens"]["prompt"] == sum(step["prompt_tokens"] for step in run["steps"])


@pytest.mark.engine
def test_the_address_of_an_engine_of_ours_needs_no_key(
    cli: Cli, write: Callable[[str, str], Path], engine: Engine, tmp_path: Path
) -> None:
    """What ``agentrt engine up`` prints can be given to ``--engine`` as it is."""
    write("facts.py", _PROGRAM)
    where = Home(cache=tmp_path / "cache", state=tmp_path / "state")
    save(engine.info, where)
    env = {"AGENTRT_HOME": str(tmp_path)}
    ended = cli("run", "facts.py:facts", "--input", "topic=otters", "--engine", f"{engine.url}/v1", env=env)
    assert ended.code == 0, ended.err


@pytest.mark.engine
async def test_ctrl_c_leaves_no_request_in_the_real_engine(write: Callable[[str, str], Path], engine: Engine) -> None:
    """Ctrl-C in the middle of replies: the process is gone and the engine generates for nobody."""
    folder = write("facts.py", _PROGRAM).parent
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentrt", "run", "facts.py:long", "--engine", engine.url),
        cwd=folder,
        env=environment({"AGENTRT_API_KEY": engine.api_key}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    await line_with(process.stderr, "piece")
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    assert group_is_gone(process)
    async with httpx.AsyncClient(base_url=engine.url, headers={"Authorization": f"Bearer {engine.api_key}"}) as client:
        async with asyncio.timeout(20):
            while await _running(client):
                pass


async def _running(client: httpx.AsyncClient) -> int:
    """How many requests the engine works on."""
    answer = await client.get("/v1/loads")
    return sum(int(load["num_running_reqs"]) for load in answer.json()["loads"])
