"""Entries of all runs of one process on their way into the database: in order, committed in groups.

What is put within one turn of the event loop is committed together. ``then`` of each entry is called when its group
is on disk, in the order in which they were put, all of one group in one turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sized
from functools import partial
from typing import Any, Final, Protocol

from agentrt.errors import JournalError, RunTaken
from agentrt.store.rows import Batch, Entry, RunChange, RunRow
from agentrt.types import RunId

_log = logging.getLogger("agentrt")

LAZY_S: Final = 0.02
"""Seconds that an entry nobody waits for may wait for company."""

PATIENCE_S: Final = 120.0
"""Seconds that runs wait for a journal that cannot be written before they end."""

_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0


def about_to_happen(loop: asyncio.AbstractEventLoop) -> Sized:
    """What the loop does next, empty when it is at rest; of a loop that does not tell, never empty.

    Only its being empty is looked at, to save turns of the loop; asyncio has no public name for it.
    """
    ready: Sized = getattr(loop, "_ready", ("unknown",))
    return ready


class Collision(Exception):
    """Somebody else has written an entry of that number."""


class Passing(Exception):
    """The journal cannot be written now; it may be, later. The message says why."""


class Commits(Protocol):
    """How a group gets onto the disk."""

    def commit_now(self, batch: Batch) -> bool:
        """Commit within microseconds, or do nothing and return ``False``. Raises ``Collision``."""

    async def commit(self, batch: Batch) -> None:
        """Commit, however long it takes. Raises ``Collision``, ``Passing``, or ``JournalError`` for good."""


class Writer:
    """One for each process and journal. Not for use from other threads than the event loop's."""

    def __init__(
        self,
        commits: Commits,
        loop: asyncio.AbstractEventLoop,
        *,
        lazy: float = LAZY_S,
        patience: float = PATIENCE_S,
    ) -> None:
        self._commits = commits
        self._loop = loop
        self._lazy = lazy
        self._patience = patience
        self._batch = Batch(1)
        self._task: asyncio.Task[None] | None = None
        self._soon = False
        self._ticking = False
        self._landing = False
        self._ready = about_to_happen(loop)
        self._lost: dict[RunId, Callable[[JournalError], None]] = {}
        self._broken: JournalError | None = None

    @property
    def batch(self) -> int:
        """The number of the group that the next entry belongs to."""
        return self._batch.number

    def follow(self, run: RunId, lost: Callable[[JournalError], None]) -> None:
        """A run begins to write; ``lost`` is called if it can no longer: another process has it, or nothing can."""
        self._lost[run] = lost

    def leave(self, run: RunId) -> None:
        """The run writes nothing further."""
        self._lost.pop(run, None)

    def started(self, row: RunRow) -> None:
        """A new run."""
        self._batch.runs.append(row)
        self._later()

    def changed(self, row: RunChange) -> None:
        """How a run stands; with the entries put beside it or not at all."""
        self._batch.changes.append(row)
        self._later()

    def keep(self, run: RunId, hash_: str, text: str) -> None:
        """A body that an entry of this group refers to."""
        self._batch.bodies[run, hash_] = text

    def put(self, entry: Entry) -> None:
        """An entry that nobody waits for."""
        self._batch.entries.append(entry)
        if not self._ticking:
            self._later()

    def put_then(self, entry: Entry, then: Callable[[], Any]) -> None:
        """An entry, and what to do once it is on disk.

        When nothing else is about to happen in the loop, there is no company to wait for: it is committed, and ``then``
        called, before this returns.
        """
        batch = self._batch
        batch.entries.append(entry)
        batch.then.append(then)
        if self._soon:
            return
        if not self._ready and not self._landing:
            self._flush()
        else:
            self._soon = True
            self._loop.call_soon(self._flush)

    async def flush(self) -> None:
        """Wait until everything put so far is on disk. Raises ``JournalError`` when that cannot be."""
        if self._broken is not None:
            raise self._broken
        done = self._loop.create_future()
        self._batch.then.append(partial(_resolve, done))
        self._flush()
        while not done.done():
            await asyncio.wait({done, *({self._task} if self._task else ())}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken is not None:
                raise self._broken

    # -- committing --------------------------------------------------------------------------------------------------

    def _later(self) -> None:
        """Commit in a while, whatever comes meanwhile; one timer for all that is put until then."""
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(self._lazy, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        if self._batch:
            self._flush()

    def _flush(self) -> None:
        self._soon = False
        if self._task is not None or not self._batch or self._broken is not None:
            return  # a commit under way is followed by the next
        batch, self._batch = self._batch, Batch(self._batch.number + 1)
        try:
            if self._commits.commit_now(batch):
                self._landed(batch)
                return
        except Collision:
            pass  # found out about below, run by run
        self._task = self._loop.create_task(self._elsewhere(batch))
        self._task.add_done_callback(self._next)

    def _landed(self, batch: Batch) -> None:
        self._landing = True  # what is put meanwhile comes after all of this group
        try:
            for then in batch.then:
                then()
        finally:
            self._landing = False

    def _next(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the journal's writer failed", exc_info=error)
            self._break(JournalError(f"the journal cannot be written: {error!r}"))
        if self._batch:
            self._flush()

    async def _elsewhere(self, batch: Batch) -> None:
        """Commit in another thread or on another machine, again and again while that may help."""
        until = self._loop.time() + self._patience
        wait = _FIRST_WAIT_S
        while True:
            try:
                await self._commits.commit(batch)
            except Collision:
                await self._one_by_one(batch)
                return
            except Passing as error:
                if self._loop.time() >= until:
                    self._break(_gave_up(error, self._patience))
                    return
                if wait == _FIRST_WAIT_S:
                    _log.warning("the journal cannot be written, runs wait for it: %s", error)
            except JournalError as error:
                self._break(error)
                return
            else:
                self._landed(batch)
                return
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _one_by_one(self, batch: Batch) -> None:
        """One run of the group was taken over: the others go on."""
        for run in {entry.run for entry in batch.entries}:
            try:
                await self._commits.commit(batch.of(run))
            except Collision:
                self._lose(run, RunTaken(f"run {run} was taken over by another process; this one stopped"))
            except (Passing, JournalError) as error:
                self._break(error if isinstance(error, JournalError) else _gave_up(error, 0))
                return
        self._landed(batch)  # those of the lost run find it ended

    def _lose(self, run: RunId, error: JournalError) -> None:
        lost = self._lost.pop(run, None)
        if lost is not None:
            lost(error)

    def _break(self, error: JournalError) -> None:
        self._broken = error
        for run in list(self._lost):
            self._lose(run, error)


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _gave_up(error: Exception, patience: float) -> JournalError:
    return JournalError(
        f"the journal could not be written for {patience:g} s: {error}; when that is mended, resume its runs: "
        f"agentrt runs list"
    )
