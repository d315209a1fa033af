"""Engines that stay: up, found again, down; and engines that belong to a block."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrt.engine import EngineSpec, Home, discover, down, embedded, process, records, statuses, up
from agentrt.errors import ConfigError, NotRunning
from tests.engine.fakes import fake_parts, home_in

ROOT = Path(__file__).parents[2]
SPEC = EngineSpec(model="smollm2-135m", device="cpu")
PARTS = fake_parts(model="smollm2-135m")


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Home]:
    """An empty home; whatever was brought up in it is taken down."""
    home = home_in(tmp_path)
    yield home
    down(where=home, grace_s=0.5)


def test_up_twice_gives_the_same_engine(where: Home) -> None:
    """The second call finds the first one's engine and says so."""
    first, fresh = up(SPEC, where=where, parts=PARTS)
    second, again = up(SPEC, where=where, parts=PARTS)
    assert (first, fresh, again) == (second, True, False)
    assert discover(where) == first


def test_up_with_another_model_names_the_two_ways_out(where: Home) -> None:
    """Taking the other engine down silently would end somebody's run."""
    info, _ = up(SPEC, where=where, parts=PARTS)
    other = EngineSpec(model="owner/other", device="cpu")
    with pytest.raises(ConfigError, match=rf"{info.url}.*owner/other.*engine down.*--port"):
        up(other, where=where, parts=PARTS)


def test_two_processes_that_ask_at_once_get_one_engine(where: Home, tmp_path: Path) -> None:
    """One starts it, the other waits and finds it."""
    program = (
        "import sys; from pathlib import Path; from tests.engine.fakes import *; from agentrt.engine import *\n"
        f"info, fresh = up(EngineSpec(device='cpu'), where=home_in(Path({str(tmp_path)!r})),\n"
        "                 parts=fake_parts(model='smollm2-135m'))\n"
        "print(info.url, fresh)\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [each.communicate(timeout=60)[0].split() for each in both]
    assert answers[0][0] == answers[1][0]
    assert sorted(answer[1] for answer in answers) == ["False", "True"]


def test_down_ends_it_from_another_process_and_forgets_it(where: Home) -> None:
    """Nothing runs and nothing is recorded afterwards; there is nothing more to end."""
    info, _ = up(SPEC, where=where, parts=PARTS)
    program = (
        "from pathlib import Path; from tests.engine.fakes import home_in; from agentrt.engine import down\n"
        f"print(len(down(where=home_in(Path({str(where.cache.parent)!r})))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert process.session_members(info.pid) == []
    assert records.recorded(where) == []
    assert down(where=where) == []
    with pytest.raises(NotRunning, match="engine status"):
        down("http://127.0.0.1:1", where=where)


def test_status_tells_how_it_is_without_the_key(where: Home) -> None:
    """Health, memory and age are there; the secret is not."""
    info, _ = up(SPEC, where=where, parts=PARTS)
    (status,) = statuses(where)
    assert status.trouble is None
    assert status.memory_bytes > 1e6
    assert status.uptime_s >= 0
    assert info.api_key not in json.dumps(status.as_dict())


def test_an_engine_that_ended_by_itself_is_known_as_such_until_the_next_up(where: Home) -> None:
    """Its record stays for whoever looks for its log, but nobody is sent to it."""
    info, _ = up(SPEC, where=where, parts=PARTS)
    watched = os.pidfd_open(info.pid)
    process.end_session(info.pid, grace_s=0.1)
    os.close(watched)
    assert discover(where) is None
    assert records.recorded(where) == [info]
    assert "the last words" in (info.exit_story() or "")
    again, fresh = up(SPEC, where=where, parts=PARTS)
    assert fresh
    assert records.recorded(where) == [again]


async def test_an_embedded_engine_lives_as_long_as_its_block(where: Home) -> None:
    """Inside it answers and is no one else's to discover; afterwards no process is left."""
    async with embedded(SPEC.model, device="cpu", where=where, parts=PARTS) as engine:
        assert process.session_members(engine.info.pid)
        assert discover(where) is None
    assert process.session_members(engine.info.pid) == []


async def test_cancelling_a_start_leaves_nothing_running(where: Home) -> None:
    """The engine that was being started is ended before the cancel comes out."""
    spec = EngineSpec(device="cpu", extra={"behaviour": "deaf"})

    async def use() -> None:
        async with embedded(spec=spec, where=where, parts=PARTS):
            pytest.fail("it cannot have come up")

    task = asyncio.create_task(use())
    while not records.running(where):
        await asyncio.sleep(0.01)  # a real process is on its way
    (info,) = records.running(where)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.session_members(info.pid) == []
    assert records.recorded(where) == []


def test_ctrl_c_during_a_start_leaves_nothing_running(where: Home) -> None:
    """SIGINT to the process that starts an engine ends both."""
    program = (
        "from pathlib import Path; from tests.engine.fakes import *; from agentrt.engine import *\n"
        f"up(EngineSpec(device='cpu', extra={{'behaviour': 'deaf'}}), parts=fake_parts(),\n"
        f"   where=home_in(Path({str(where.cache.parent)!r})))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE) as owner:
        while not (known := records.running(where)):
            assert owner.poll() is None
        owner.send_signal(signal.SIGINT)
        _, complaint = owner.communicate(timeout=30)
    assert b"KeyboardInterrupt" in complaint
    assert process.session_members(known[0].pid) == []
    assert records.recorded(where) == []
