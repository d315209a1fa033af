"""Letters to the runs of this process, from others: looked for now and then, and read by their kind.

A letter stays in the journal until what it asks for is on disk; the process may end at any time before.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Protocol

from agentrt.errors import JournalError, UsageError
from agentrt.store import archive
from agentrt.store.journal import Journal
from agentrt.store.rows import Letter
from agentrt.types import RunId

if TYPE_CHECKING:
    from agentrt.runtime.run import Run

_log = logging.getLogger("agentrt")

LOOK_S: Final = 0.5
"""Seconds between two looks."""


class Reader(Protocol):
    """Does what letters of one kind ask for."""

    def __call__(self, run: Run[Any], letter: Letter, discard: Callable[[], None]) -> bool:
        """Begin with it, and call ``discard`` as soon as its effect is on disk.

        ``False`` says that it is too early for it, as while a run is replayed: it is shown again at the next look.
        """
        ...


def _cancel(run: Run[Any], letter: Letter, discard: Callable[[], None]) -> bool:
    """End the run, if the letter is for this process and not for one that had the run before."""
    journal = run.runtime.journal
    if journal is not None and json.loads(letter.data)["owner"] == journal.me.id:
        run.cancel("agentrt runs cancel")
        run.ending.add_done_callback(lambda _: discard())
    else:
        discard()
    return True


def _answer(run: Run[Any], letter: Letter, discard: Callable[[], None]) -> bool:
    """Hand an answer to the question it is for."""
    return run.people.mailed(letter, discard)


def _edit(run: Run[Any], letter: Letter, discard: Callable[[], None]) -> bool:
    """Change the run's graph by the document in the letter."""
    if run.replaying:
        return False
    try:
        run.edit(letter.data, then=discard)
    except UsageError as error:
        _log.warning("run %s: an edit from outside was refused: %s", run.id, error)
        discard()
    return True


READERS: Final[dict[str, Reader]] = {"answer": _answer, "cancel": _cancel, "edit": _edit}
"""Who reads which kind of letter; others enter themselves. Letters of a kind that nobody reads stay where they are."""


class Mailbox:
    """One for each runtime with a journal; looks every ``interval`` seconds while there are runs."""

    def __init__(self, journal: Journal, *, interval: float = LOOK_S) -> None:
        self._journal = journal
        self._interval = interval
        self._runs: dict[RunId, Run[Any]] = {}
        self._known: set[Letter] = set()
        self._read: list[Letter] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, run: Run[Any], *, at_once: bool = False) -> None:
        """Look for the run's letters until it ends; ``at_once`` if some may be waiting already."""
        self._runs[run.id] = run
        run.ending.add_done_callback(lambda _: self._leave(run))
        if at_once:
            self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch(), context=Context())

    async def look(self) -> None:
        """Hand out the letters that are there now, and throw away those that are done with."""
        read = list(self._read)
        async with self._journal.connect(write=bool(read)) as connection:
            for letter in read:
                await archive.discard(connection, letter)
            there = await archive.letters(connection, list(self._runs))
        del self._read[: len(read)]
        new = [letter for letter in there if letter not in self._known]
        self._known.intersection_update(there)  # a number is given again when its letter is gone
        self._known.update(letter for letter in new if self._hand_out(letter))

    async def close(self) -> None:
        """Wait until the last letters are thrown away, when every run has ended."""
        if self._task is not None:
            self._wake.set()
            await self._task

    def _leave(self, run: Run[Any]) -> None:
        if self._runs.get(run.id) is run:
            del self._runs[run.id]
        self._wake.set()

    def _discard(self, letter: Letter) -> None:
        self._read.append(letter)
        self._wake.set()

    async def _watch(self) -> None:
        while self._runs or self._read:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)
            self._wake.clear()
            if (self._runs or self._read) and not await self._could_look() and not self._runs:
                return  # what is left in the mail is for runs that have ended: nobody acts on it again

    async def _could_look(self) -> bool:
        """A journal that cannot be read now may be, later."""
        try:
            await self.look()
        except JournalError as error:
            _log.debug("letters cannot be looked for: %s", error)
            return False
        return True

    def _hand_out(self, letter: Letter) -> bool:
        """Whether it is in somebody's hands now."""
        reader, run = READERS.get(letter.kind), self._runs.get(letter.run)
        if reader is None or run is None:
            return reader is None
        try:
            return reader(run, letter, lambda: self._discard(letter))
        except Exception:  # noqa: BLE001 - whatever it is, the others are read
            _log.exception("run %s: a letter of the kind %r could not be read", letter.run, letter.kind)
            self._discard(letter)
            return True
