"""A run has one owner: of two processes that want it one wins, and one that was taken for dead can do no harm."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from agentrt import Program, Run, Runtime, program, step
from agentrt.errors import RunTaken, UsageError
from agentrt.store import Journal, archive
from agentrt.store.owners import DEAD_S
from agentrt.store.rows import RunRow

from . import owning
from .owning import ELSEWHERE, Place, gated


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Makes processes that have everything imported; to start one takes milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([owning.__name__])
    return context


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Files, with a gate for the first attempt."""
    there = Place(tmp_path)
    os.mkfifo(there.gate(1))
    return there


class Other:
    """Another process, and what it answers."""

    def __init__(self, forks: ForkServerContext, work: Callable[..., None], place: Place, host: str | None) -> None:
        self.answers, theirs = forks.Pipe()
        self.process: BaseProcess = forks.Process(target=work, args=(place, theirs, host))
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self.process.pid is not None
        return self.process.pid

    def answer(self) -> tuple[str, str, str]:
        """Status, kind of error, message; as soon as there is one."""
        told: tuple[str, str, str] = self.answers.recv()
        self.process.join()
        return told

    def stop(self) -> None:
        """Stop it, as a machine that sleeps does."""
        os.kill(self.pid, signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            os.sched_yield()


Start = Callable[[Callable[..., None], str | None], Other]


@pytest.fixture
def fork(forks: ForkServerContext, place: Place) -> Iterator[Start]:
    """``fork(work, host)`` starts a process, which does not outlive the test."""
    started: list[Other] = []

    def start(work: Callable[..., None], host: str | None) -> Other:
        started.append(Other(forks, work, place, host))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.join()


def at_the_gate(place: Place, attempt: int = 1) -> int:
    """Wait until a process waits at the gate; closing what this gives lets it pass."""
    return os.open(place.gate(attempt), os.O_WRONLY)


def sql(place: Place, statement: str, *values: Any) -> list[Any]:
    """What is in the journal, or change it."""
    with closing(sqlite3.connect(place.journal)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def everything(place: Place) -> list[Any]:
    """All that the journal says of runs."""
    return sql(place, "SELECT * FROM agentrt_entries ORDER BY run, seq") + sql(place, "SELECT * FROM agentrt_runs")


def forget_signs_of_life(place: Place) -> None:
    """Let the time pass after which processes on other machines count as dead."""
    sql(place, "UPDATE agentrt_owners SET beat = beat - ?", DEAD_S + 1)


async def resumed(place: Place) -> Any:
    """The result of the run, resumed in this process."""
    async with Runtime({}, journal=place.journal, estimates=None) as runtime:
        return await (await runtime.resume(gated))


@pytest.mark.parametrize("stopped", [False, True], ids=["live", "stopped"])
def test_a_run_that_a_live_process_has_is_not_given_away(fork: Start, place: Place, stopped: bool) -> None:
    """The error names the process and how to end it; a stopped process on this machine lives. Killed, it is let go."""
    first = fork(owning.start, None)
    gate = at_the_gate(place)
    if stopped:
        first.stop()
    with pytest.raises(RunTaken, match=rf"by process {first.pid} on .*agentrt runs cancel"):
        asyncio.run(resumed(place))
    first.process.kill()
    first.process.join()
    os.close(gate)
    result = asyncio.run(resumed(place))
    assert result.status == "done"
    assert result.output == [first.pid, *[os.getpid()] * 3]


def test_a_paused_owner_that_wakes_up_writes_nothing_and_stops(fork: Start, place: Place) -> None:
    """It was taken for dead, the run went on elsewhere; what it has in hand is thrown away, and nothing more begins."""
    first = fork(owning.start, ELSEWHERE)
    gate = at_the_gate(place)
    first.stop()
    with pytest.raises(RunTaken, match=f"by process {first.pid} on elsewhere"):  # it has just given a sign of life
        asyncio.run(resumed(place))
    forget_signs_of_life(place)
    assert asyncio.run(resumed(place)).output == [first.pid, *[os.getpid()] * 3]
    before, ran = everything(place), place.lines()
    os.kill(first.pid, signal.SIGCONT)
    os.close(gate)
    status, error, message = first.answer()
    assert (status, error) == ("failed", "RunTaken")
    assert "was taken over by another process; this one stopped" in message
    assert everything(place) == before
    assert place.lines() == ran
    tools = Counter((step, attempt) for _, step, attempt in ran)
    assert max(tools.values()) == 1


def test_a_paused_owner_wakes_up_while_the_other_is_in_the_middle(fork: Start, place: Place) -> None:
    """It stops, and its stopping takes the run from nobody: the other one comes to the end."""
    os.mkfifo(place.gate(2))
    first = fork(owning.start, ELSEWHERE)
    gate = at_the_gate(place)
    first.stop()
    forget_signs_of_life(place)
    second = fork(owning.resume, None)
    second.answers.send("go")
    second_gate = at_the_gate(place, 2)
    before = everything(place)
    os.kill(first.pid, signal.SIGCONT)
    os.close(gate)
    assert first.answer()[:2] == ("failed", "RunTaken")
    assert everything(place) == before
    os.close(second_gate)
    assert second.answer()[0] == "done"
    assert [owner for (owner,) in sql(place, "SELECT owner FROM agentrt_runs")] == [None]
    assert {step for process, step, _ in place.lines() if process == first.pid} == {"act#1", "wait#1"}


def test_of_many_processes_that_resume_a_run_one_wins(fork: Start, place: Place) -> None:
    """The others say so, at once; a run is resumed by one process at a time."""
    os.mkfifo(place.gate(2))
    first = fork(owning.start, None)
    gate = at_the_gate(place)
    first.process.kill()
    first.process.join()
    os.close(gate)
    others = [fork(owning.resume, None) for _ in range(6)]
    for one in others:
        one.answers.send("go")
    gate = at_the_gate(place, 2)
    waiting: dict[Connection, Other] = {one.answers: one for one in others}
    while len(waiting) > 1:
        for ready in multiprocessing.connection.wait(list(waiting)):
            assert isinstance(ready, Connection)
            assert waiting.pop(ready).answer()[:2] == ("refused", "RunTaken")
    os.close(gate)
    (winner,) = waiting.values()
    assert winner.answer()[0] == "done"
    assert {process for process, _, _ in place.lines()} == {first.pid, winner.pid}
    assert [owner for (owner,) in sql(place, "SELECT owner FROM agentrt_runs")] == [None]


async def test_a_process_does_not_resume_what_it_runs_itself(place: Place) -> None:
    """There it is the same run twice: the second is refused, the first goes on."""
    async with Runtime({}, journal=place.journal, estimates=None) as runtime:
        run = runtime.start(gated, str(place.folder))
        gate = await asyncio.to_thread(at_the_gate, place)
        with pytest.raises(RunTaken, match="by this very process"):
            await runtime.resume(gated, run.id)
        os.close(gate)
        assert (await run).status == "done"


class Late(Journal):
    """A journal that takes a run over only when another process has had it meanwhile."""

    async def claim(self, row: RunRow) -> None:
        """As ``Journal`` does, later."""
        async with Runtime({}, journal=str(self), estimates=None) as runtime:
            assert (await (await runtime.resume(twice, row.id))).status == "done"
        await super().claim(row)


FAILS: list[int] = []


@program
async def twice() -> str:
    """Fails at first."""
    FAILS.append(1)
    if len(FAILS) == 1:
        raise ValueError("broken")
    return "mended"


async def test_a_run_that_was_ended_meanwhile_is_not_gone_on_with(tmp_path: Path) -> None:
    """What is recorded is read when nobody else can write it any more, so the end that it came to is seen."""
    FAILS.clear()
    async with Late(tmp_path / "runs.db") as journal, Runtime({}, journal=journal, estimates=None) as runtime:
        assert (await runtime.run(twice)).status == "failed"
        with pytest.raises(UsageError, match="is done"):
            await runtime.resume(twice)
        async with journal.connect() as connection:
            row = await archive.find_run(connection, "last")
    assert (row.status, row.owner) == ("done", None)


async def taken_over(runtime: Runtime, run: Run[str], whole: Program[[], str], place: Place) -> Run[str]:
    """A run that another process has and does not give signs of life of any more."""
    for _ in range(100):
        forget_signs_of_life(place)
        with suppress(RunTaken):  # it has given one just now
            return await runtime.resume(whole, run.id)
    raise AssertionError("it gives sign after sign")


async def test_whoever_writes_first_goes_on(tmp_path: Path) -> None:
    """The former owner wakes up at any moment of being taken over: exactly one of the two goes on, to the same end."""
    gates: list[asyncio.Event] = []

    @step
    async def gate() -> str:
        gates.append(asyncio.Event())
        if len(gates) == 1:
            await gates[0].wait()
        return "open"

    @program
    async def waits() -> str:
        return await gate() + await gate()

    winners: Counter[str] = Counter()
    for turns in range(12):
        gates.clear()
        (folder := tmp_path / str(turns)).mkdir()
        file = Place(folder).journal
        async with Journal(file) as first, Journal(file) as second:
            first.me = first.me._replace(host=ELSEWHERE)
            async with (
                Runtime({}, journal=first, estimates=None) as one,
                Runtime({}, journal=second, estimates=None) as other,
            ):
                former = one.start(waits)
                await first.writer().flush()
                latter = await taken_over(other, former, waits, Place(folder))
                for _ in range(turns):
                    await asyncio.sleep(0)
                gates[0].set()
                ends = {"former": await former, "latter": await latter}
        done = [name for name, result in ends.items() if result.status == "done"]
        assert len(done) == 1, ends
        (lost,) = (result for name, result in ends.items() if name not in done)
        assert isinstance(lost.error.__cause__, RunTaken), lost.error  # type: ignore[union-attr]
        assert ends[done[0]].output == "openopen"
        winners.update(done)
    assert winners.keys() == {"former", "latter"}, winners
