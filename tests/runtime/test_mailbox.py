"""Letters from other processes: they are read once, and stay until what they ask for is on disk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agentrt import Run, Runtime, program, step
from agentrt.errors import ConfigError, EditRefused, NoSuchRun, UsageError
from agentrt.runtime.durable import mailbox
from agentrt.runtime.durable.mailbox import Mailbox
from agentrt.store import Journal, Letter, archive
from agentrt.types import StepId


@program
async def forever() -> None:
    """A run that goes on until it is cancelled."""
    await asyncio.Event().wait()


OPEN: list[asyncio.Event] = []


@step
async def gate() -> int:
    """Opens when the test says so."""
    await OPEN[-1].wait()
    return 1


@step
async def add(one: int, two: int) -> int:
    """One and the other."""
    return one + two


@program
async def total() -> int:
    """Waits at the gate."""
    return await add(gate().ref, 1)


class Post:
    """Another process: it posts letters, and sees which there are."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def send(self, run: Run[Any], kind: str, data: object) -> None:
        """Post a letter."""
        async with self.journal.connect(write=True) as connection:
            await archive.post(connection, run.id, kind, StepId(""), json.dumps(data), time.time())

    async def waiting(self, run: Run[Any]) -> list[str]:
        """The data of the run's letters."""
        async with self.journal.connect() as connection:
            return [letter.data for letter in await archive.letters(connection, [run.id])]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """The post of the test's journal."""
    async with Journal(tmp_path / "runs.db") as journal:
        yield Post(journal)


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    """A runtime with the test's journal."""
    async with Runtime(journal=tmp_path / "runs.db") as runtime:
        yield runtime


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Callable[[], None]]]:
    """Letters of the kind ``test`` that were shown, each with what discards it; those with ``later`` are not taken."""
    shown: list[tuple[str, Callable[[], None]]] = []

    def reader(run: Run[Any], letter: Letter, discard: Callable[[], None]) -> bool:
        shown.append((json.loads(letter.data), discard))
        if letter.data == '"broken"':
            raise ValueError("cannot be read")
        return letter.data != '"later"'

    monkeypatch.setitem(mailbox.READERS, "test", reader)
    return shown


def box(runtime: Runtime, run: Run[Any]) -> Mailbox:
    """A mailbox that only looks when the test does."""
    assert runtime.journal is not None
    made = Mailbox(runtime.journal, interval=3600)
    made.follow(run)
    return made


async def test_a_letter_is_shown_once_and_kept_until_it_is_discarded(
    runtime: Runtime, post: Post, read: list[tuple[str, Callable[[], None]]]
) -> None:
    """Who reads a letter says when it may go; the process may die before, then the next one finds it."""
    run = runtime.start(forever)
    mail = box(runtime, run)
    await post.send(run, "test", "one")
    await mail.look()
    await mail.look()
    assert [data for data, _ in read] == ["one"]
    assert await post.waiting(run) == ['"one"']
    read[0][1]()
    await mail.look()
    assert await post.waiting(run) == []


async def test_a_letter_that_comes_too_early_is_shown_again(
    runtime: Runtime, post: Post, read: list[tuple[str, Callable[[], None]]]
) -> None:
    """A reader that cannot take a letter yet is shown it at every look."""
    run = runtime.start(forever)
    mail = box(runtime, run)
    await post.send(run, "test", "later")
    await mail.look()
    await mail.look()
    assert [data for data, _ in read] == ["later", "later"]


async def test_a_letter_that_cannot_be_read_is_thrown_away(
    runtime: Runtime,
    post: Post,
    read: list[tuple[str, Callable[[], None]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The error is logged, the letters after it are read, and one of a kind that nobody reads is left alone."""
    run = runtime.start(forever)
    mail = box(runtime, run)
    await post.send(run, "test", "broken")
    await post.send(run, "unheard of", "left")
    await post.send(run, "test", "good")
    await mail.look()
    await mail.look()
    assert [data for data, _ in read] == ["broken", "good"]
    assert await post.waiting(run) == ['"left"', '"good"']
    assert "could not be read" in caplog.text


async def test_a_run_is_cancelled_by_letter(runtime: Runtime, post: Post) -> None:
    """The wish to cancel is fulfilled when it is for this process; then no letter is left."""
    run = runtime.start(forever)
    assert runtime.journal is not None
    await post.send(run, "cancel", {"owner": "somebody that had the run before"})
    await post.send(run, "cancel", {"owner": runtime.journal.me.id})
    result = await run
    assert result.status == "cancelled"
    assert "agentrt runs cancel" in str(result.error)
    await runtime.close()
    assert await post.waiting(run) == []


async def test_a_wish_for_another_process_is_thrown_away(runtime: Runtime, post: Post) -> None:
    """A letter that was for a process which has died does not cancel the run when it is resumed."""
    run = runtime.start(forever)
    mail = box(runtime, run)
    await post.send(run, "cancel", {"owner": "somebody that had the run before"})
    await mail.look()
    await mail.look()
    assert await post.waiting(run) == []
    assert not run.done


async def test_a_runtime_edits_the_run_of_another(tmp_path: Path, runtime: Runtime) -> None:
    """Through their journal: applied, or refused with the reasons; what is done, or no edit, is told at once."""
    OPEN.append(asyncio.Event())
    more = {"changes": [{"do": "replace", "step": "add#1", "args": [{"$step": "gate#1"}, 41]}]}
    going = runtime.start(total)
    async with Runtime(journal=tmp_path / "runs.db") as other:
        while "gate#1" not in {node.id for node in going.nodes}:
            await asyncio.sleep(0)
        assert runtime.journal is not None
        await runtime.journal.writer().flush()
        assert await other.edit("last", more) == "applied"
        with pytest.raises(EditRefused, match="has started") as refused:
            await other.edit(going.id, {"changes": [{"do": "drop", "step": "gate#1"}]})
        assert len(refused.value.reasons) == 2
        OPEN[-1].set()
        assert (await going).output == 42
        with pytest.raises(UsageError, match="nothing to edit"):
            await other.edit("last", more)
        with pytest.raises(ConfigError, match="the edit cannot be read"):
            await other.edit("last", {"nonsense": True})


async def test_a_runtime_cancels_the_run_of_another(tmp_path: Path, runtime: Runtime) -> None:
    """Through their journal; what has ended stays as it is, and a run that nobody has is ended in its place."""
    going = runtime.start(forever)
    assert runtime.journal is not None
    await runtime.journal.writer().flush()
    async with Runtime(journal=tmp_path / "runs.db") as other:
        assert await other.cancel("last") == "cancelled"
        assert (await going).status == "cancelled"
        copy = await other.fork(going.id)
        assert [await other.cancel(copy), await other.cancel(copy)] == ["cancelled", "cancelled"]
        with pytest.raises(NoSuchRun):
            await other.cancel("no such run")
