"""Environments and processes of official graders."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from agentrt.benchmarks.harness.graders import Environment, Grader, grader
from agentrt.engine.paths import Home
from agentrt.errors import ConfigError, ExecutorError, SetupError, StepTimeout, Unreachable

WORKER = """
    import os, sys, time

    said = []

    def double(number):
        print("printing is no answer")
        return number * 2

    def remember(word):
        said.append(word)
        return said

    def fail():
        raise ValueError("no such thing")

    def sleep():
        time.sleep(600)

    def die():
        os._exit(3)

    def eat(size):
        return len(bytearray(size))

    def variables():
        return dict(os.environ)

    def pid():
        return os.getpid()

    def long(size):
        return "x" * size
"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    file = tmp_path / "worker.py"
    file.write_text(dedent(WORKER))
    return file


@pytest.fixture
async def process(tmp_path: Path, worker: Path):
    environment = Environment(Path(sys.executable), tmp_path)
    async with Grader(environment, worker, log=tmp_path / "log.txt", memory=2 << 30) as made:
        yield made


async def test_a_question_is_a_call_of_the_workers_function(process: Grader, tmp_path: Path) -> None:
    """What the function returns is the answer, and what it prints is in the log."""
    assert await process.ask("double", number=21) == 42
    assert "printing is no answer" in (tmp_path / "log.txt").read_text()


async def test_state_stays_in_the_process_and_leaves_with_a_fork(process: Grader) -> None:
    """Questions share a process; one that is asked alone leaves nothing behind."""
    assert await process.ask("remember", word="a") == ["a"]
    assert await process.ask("remember", word="b", alone=5) == ["a", "b"]
    assert await process.ask("remember", word="c") == ["a", "c"]


async def test_what_the_function_raises_is_told(process: Grader) -> None:
    """An error there is an error here, and the process goes on."""
    with pytest.raises(ExecutorError, match="fail: ValueError: no such thing"):
        await process.ask("fail")
    assert await process.ask("double", number=1) == 2


async def test_an_endless_answer_is_ended(process: Grader) -> None:
    """After the time limit the process is killed, and a new one answers the next question."""
    before = await process.ask("pid")
    with pytest.raises(StepTimeout, match=r"sleep took longer than 0\.2 s"):
        await process.ask("sleep", within=0.2)
    assert await process.ask("pid") != before
    assert not Path(f"/proc/{before}").exists()


async def test_an_endless_answer_alone_costs_only_its_fork(process: Grader) -> None:
    """A fork that takes too long is killed, and the process itself goes on."""
    before = await process.ask("pid")
    with pytest.raises(ExecutorError, match=r"no answer within 0\.2 s"):
        await process.ask("sleep", alone=0.2)
    assert await process.ask("pid") == before


async def test_a_process_that_dies_is_told_and_replaced(process: Grader) -> None:
    """Its end is an error of the question, not of those after it; in a fork too."""
    with pytest.raises(Unreachable, match="the grader's process ended"):
        await process.ask("die")
    assert await process.ask("double", number=2) == 4
    with pytest.raises(ExecutorError, match="died"):
        await process.ask("die", alone=5)
    assert await process.ask("double", number=3) == 6


async def test_memory_is_limited(process: Grader) -> None:
    """Taking more than allowed fails there, without harm here."""
    with pytest.raises(ExecutorError, match="MemoryError"):
        await process.ask("eat", size=4 << 30)


async def test_secrets_of_ours_are_not_told(process: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has few of our environment variables, and no keys."""
    monkeypatch.setenv("AGENTRT_API_KEY", "secret")
    assert "secret" not in (await process.ask("variables")).values()


async def test_long_answers_come_whole(process: Grader) -> None:
    """An answer of several megabytes is one line, also from a fork."""
    assert len(await process.ask("long", size=5_000_000)) == 5_000_000
    assert len(await process.ask("long", size=5_000_000, alone=10)) == 5_000_000


async def test_a_cancelled_question_leaves_no_answer_behind(process: Grader) -> None:
    """The next question gets its own answer, not that of the one that was given up."""
    asking = asyncio.ensure_future(process.ask("sleep"))
    while not process._asking.locked():  # it is asked
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await process.ask("double", number=5) == 10


async def test_it_ends_with_us(worker: Path, tmp_path: Path) -> None:
    """When the process that asks is killed, the one that answers is killed too, in the middle of its work."""
    script = tmp_path / "asks.py"
    script.write_text(
        dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from agentrt.benchmarks.harness.graders import Environment, Grader

        async def main():
            here = Path({str(tmp_path)!r})
            asked = Grader(Environment(Path(sys.executable), here), here / "worker.py", log=here / "log.txt")
            print(await asked.ask("pid"), flush=True)
            await asked.ask("sleep", within=600)

        asyncio.run(main())
        """)
    )
    asks = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert asks.stdout is not None
    answering = int(await asks.stdout.readline())
    watch = os.pidfd_open(answering)
    asks.send_signal(signal.SIGKILL)
    await asks.wait()
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, gone.set)
    async with asyncio.timeout(20):
        await gone.wait()
    asyncio.get_running_loop().remove_reader(watch)
    os.close(watch)


def test_an_environment_holds_exactly_what_was_named(tmp_path: Path) -> None:
    """It is made once, with those packages and no others, and found again."""
    where = Home(cache=tmp_path / "cache", state=tmp_path / "state")
    made = grader("tiny", ["tqdm==4.67.1"], where=where)
    assert {one.name for one in made.folder.glob("venv/lib/*/site-packages/*.dist-info")} == {"tqdm-4.67.1.dist-info"}
    stamp = made.python.lstat().st_ctime_ns
    assert grader("tiny", ["tqdm==4.67.1"], where=where).python.lstat().st_ctime_ns == stamp


def test_an_environment_that_was_broken_off_is_made_again(tmp_path: Path) -> None:
    """What a killed installation left is no environment."""
    where = Home(cache=tmp_path / "cache", state=tmp_path / "state")
    made = grader("tiny", ["tqdm==4.67.1"], where=where)
    (made.folder / "done").unlink()
    made.python.unlink()
    assert grader("tiny", ["tqdm==4.67.1"], where=where).python.exists()


def test_loose_requirements_are_refused(tmp_path: Path) -> None:
    """A grader that changes under the feet of its users is none."""
    with pytest.raises(ConfigError, match="tqdm: expected an exact version"):
        grader("tiny", ["tqdm"], where=Home(tmp_path, tmp_path))


def test_a_package_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error names the grader and has the installer's last words, and nothing half made is found later."""
    where = Home(cache=tmp_path / "cache", state=tmp_path / "state")
    with pytest.raises(SetupError, match=r"(?s)Installing the grader tiny.*0\.0\.999"):
        grader("tiny", ["tqdm==0.0.999"], where=where)
    assert not list(tmp_path.rglob("done"))
