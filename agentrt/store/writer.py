"""Entries of all runs of one process on their way into the database: in order, committed in groups.

What is put within one turn of the event loop is committed together. ``then`` of each entry is called when its group
is on disk, in the order in which they were put, all of one group in one turn of the loop.

A run of which an entry cannot be written is lost: it is told so, nothing further of it is written, and nothing of it
that is not on disk is handed on. The others go on. When nothing can be written for too long, all runs are lost; those
that begin later try again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sized
from contextlib import suppress
from functools import partial
from operator import eq
from typing import Any, Final, Protocol

from agentrt.errors import JournalError, RunTaken
from agentrt.store.rows import Batch, Entry, NoteRow, OwnerRow, RunChange, RunRow
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


class Unfit(Exception):
    """The database does not take what the entries say; the message says why."""


class Passing(Exception):
    """The journal cannot be written now; it may be, later. The message says why."""


class Commits(Protocol):
    """How a group gets onto the disk."""

    def commit_now(self, batch: Batch) -> bool:
        """Commit within microseconds, or do nothing and return ``False``. Raises ``Collision`` or ``Unfit``."""

    async def commit(self, batch: Batch) -> None:
        """Commit, however long it takes. Raises ``Collision``, ``Unfit``, ``Passing``, or ``JournalError`` for good.

        What is refused is refused as a whole.
        """


_NOBODY: Final = RunId("")


class Writer:
    """One for each process, ``me``, and journal. Not for use from other threads than the event loop's."""

    def __init__(
        self,
        commits: Commits,
        loop: asyncio.AbstractEventLoop,
        me: OwnerRow,
        *,
        lazy: float = LAZY_S,
        patience: float = PATIENCE_S,
    ) -> None:
        self._commits = commits
        self._loop = loop
        self._me = me
        self._lazy = lazy
        self._patience = patience
        self._batch = Batch(1)
        self._task: asyncio.Task[None] | None = None
        self._soon = False
        self._ticking = False
        self._landing = False
        self._ready = about_to_happen(loop)
        self._followed: dict[RunId, Callable[[JournalError], None]] = {}
        self._gone: set[RunId] = set()
        self._flushes: set[asyncio.Future[None]] = set()

    @property
    def batch(self) -> int:
        """The number of the group that the next entry belongs to."""
        return self._batch.number

    def reserve(self, run: RunId) -> None:
        """A run will begin to write. Raises ``RunTaken`` when this process is running it already."""
        if run in self._followed:
            raise RunTaken(f"run {run} is being run by this very process; wait for it, or cancel it")
        self._followed[run] = _ignore

    def follow(self, run: RunId, lost: Callable[[JournalError], None]) -> None:
        """A run begins to write; ``lost`` is called if it can no longer: another process has it, or nothing can."""
        self._followed[run] = lost
        self._gone.discard(run)

    def leave(self, run: RunId) -> None:
        """The run writes nothing further."""
        self._followed.pop(run, None)

    def beat(self) -> None:
        """This process is alive."""
        self._batch.owner = self._me._replace(beat=time.time())
        self._later()

    def started(self, row: RunRow) -> None:
        """A new run."""
        self.beat()  # nobody has a run who is not known to live
        self._batch.runs.append(row._replace(target=clean(row.target), program=clean(row.program)))

    def changed(self, row: RunChange) -> None:
        """How a run stands; with the entries put beside it or not at all."""
        self._batch.changes.append(row._replace(error=row.error and clean(row.error)))
        self._later()

    def keep(self, run: RunId, hash_: str, text: str) -> None:
        """A body that an entry of this group refers to."""
        batch = self._batch
        batch.bodies[run, hash_] = text
        batch.size += len(text)

    def put(self, entry: Entry) -> None:
        """An entry that nobody waits for."""
        self._batch.entries.append(entry)
        if not self._ticking:
            self._later()

    def note(self, row: NoteRow) -> None:
        """Something that may be lost: it is committed with what comes next, or a little later."""
        self._batch.notes.append(row._replace(data=clean(row.data)))
        self._later()

    def put_then(self, entry: Entry, then: Callable[[], Any]) -> None:
        """An entry, and what to do once it is on disk.

        When nothing else is about to happen in the loop, there is no company to wait for: it is committed, and ``then``
        called, before this returns.
        """
        batch = self._batch
        batch.entries.append(entry)
        batch.then.append((entry.run, then))
        if self._soon:
            return
        if not self._ready and not self._landing:
            self._flush()
        else:
            self._soon = True
            self._loop.call_soon(self._flush)

    async def flush(self) -> None:
        """Wait until everything put so far is on disk, but for what is lost. Raises ``JournalError`` if all is."""
        done = self._loop.create_future()
        self._flushes.add(done)
        self._batch.then.append((_NOBODY, partial(resolve, done)))
        self._flush()
        try:
            await done
        finally:
            self._flushes.discard(done)

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
        if self._task is not None or not self._batch:
            return  # a commit under way is followed by the next
        batch, self._batch = self._batch, Batch(self._batch.number + 1)
        if self._gone:
            batch = self._kept(batch)
        try:
            if self._commits.commit_now(batch):
                self._landed(batch)
                return
        except (Collision, Unfit):
            pass  # found out about below, run by run
        self._task = self._loop.create_task(self._elsewhere(batch))
        self._task.add_done_callback(self._next)

    def _landed(self, batch: Batch) -> None:
        self._landing = True  # what is put meanwhile comes after all of this group
        try:
            for _, then in batch.then:
                then()
        finally:
            self._landing = False

    def _next(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            self._give_up(JournalError("the journal's writer was cancelled; resume its runs: agentrt runs list"))
        elif (error := task.exception()) is not None:
            _log.error("the journal's writer failed", exc_info=error)
            self._give_up(JournalError(f"the journal cannot be written: {error!r}"))
        if self._batch:
            self._flush()

    async def _elsewhere(self, batch: Batch) -> None:
        """Commit in another thread or on another machine."""
        if not batch.about and not batch.then:
            with suppress(Passing, JournalError):  # a sign of life that cannot be given is not made up for
                await self._commits.commit(batch)
            return
        try:
            try:
                await _persist(self._commits, batch, self._patience)
            except (Collision, Unfit):
                await self._one_by_one(batch)
                batch = self._kept(batch)
        except JournalError as error:
            self._give_up(error)
        else:
            self._landed(batch)

    async def _one_by_one(self, batch: Batch) -> None:
        """One run of the group cannot be written: the others go on."""
        for run in batch.about:
            try:
                await _persist(self._commits, batch.only(partial(eq, run)), self._patience)
            except Collision:
                self._lose(run, RunTaken(f"run {run} was taken over by another process; this one stopped"))
            except Unfit as error:
                self._lose(run, JournalError(f"run {run} cannot go on: the journal does not take its entries: {error}"))

    def _kept(self, batch: Batch) -> Batch:
        return batch.only(lambda run: run not in self._gone)

    def _lose(self, run: RunId, error: JournalError) -> None:
        """What the run still puts is thrown away: its numbers are another process's, or there would be a gap."""
        self._gone.add(run)
        lost = self._followed.pop(run, None)
        if lost is not None:
            lost(error)

    def _give_up(self, error: JournalError) -> None:
        for run in list(self._followed):
            self._lose(run, error)
        for done in self._flushes:
            if not done.done():
                done.set_exception(error)


async def _persist(commits: Commits, batch: Batch, patience: float) -> None:
    """Commit, again and again while that may help. Raises what is left: ``JournalError`` when it never did."""
    now = asyncio.get_running_loop().time
    began = now()
    wait = _FIRST_WAIT_S
    while True:
        try:
            await commits.commit(batch)
        except Passing as error:
            left = began + patience - now()
            if left <= 0:
                raise _gave_up(error, patience) from error
            if wait == _FIRST_WAIT_S:
                _log.warning("the journal cannot be written, runs wait for it: %s", error)
        else:
            if wait > _FIRST_WAIT_S:
                _log.warning("the journal is written again, after %.1f s", now() - began)
            return
        await asyncio.sleep(min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT_S)


def clean(text: str) -> str:
    """The text without what databases do not take: NUL, and halves of characters; these are written out."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def _ignore(_: JournalError) -> None:
    """A run that does not run yet has nobody to tell."""


def resolve(done: asyncio.Future[None]) -> None:
    """What is waited for has come; nothing happens when nobody waits for it any more."""
    if not done.done():
        done.set_result(None)


def _gave_up(error: Exception, patience: float) -> JournalError:
    return JournalError(
        f"the journal could not be written for {patience:g} s: {error}; when that is mended, resume its runs: "
        f"agentrt runs list"
    )
