"""The lines of a long log that were looked at lately, so that a log of any length takes the same memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from agentrt.errors import JournalError
from agentrt.ui.watch.looking import Looking
from agentrt.ui.watch.sources.base import LogLine, RunSource
from agentrt.ui.words import cut, one_line

SIZE: Final = 256
"""Lines of a page: some screens full."""

KEEP: Final = 16
"""Pages that are kept."""

MOST: Final = 4_000
"""Characters of a line that are kept; all of a text is on the Step screen."""


class Pages:
    """Numbered lines, 0 the oldest, in pages of ``size``; the ``keep`` pages that were used last are held.

    ``count`` is how many lines there are, ``find`` what each of them holds. A page that was loaded before the log
    grew is shown as it is until the rest of it has come.
    """

    def __init__(self, size: int = SIZE, keep: int = KEEP) -> None:
        self.size = size
        self.keep = keep
        self.count = 0
        self.find = ""
        self._pages: OrderedDict[int, Sequence[LogLine]] = OrderedDict()

    def search(self, find: str) -> None:
        """From now on only lines that hold ``find`` count; all that was loaded is forgotten."""
        self.find, self.count = find, 0
        self._pages.clear()

    def line(self, number: int) -> LogLine | None:
        """The line of that number, ``None`` if it is not loaded, or not there."""
        page, index = divmod(number, self.size)
        lines = self._pages.get(page, ())
        return lines[index] if 0 <= index < len(lines) else None

    def missing(self, first: int, most: int) -> int | None:
        """The first page that is to be loaded before all lines from ``first`` on, ``most`` of them, can be shown."""
        last = min(first + most, self.count) - 1
        for page in range(max(0, first) // self.size, last // self.size + 1):
            if len(self._pages.get(page, ())) < min(self.size, last + 1 - page * self.size):
                return page
            self._pages.move_to_end(page)
        return None

    def held(self, page: int) -> int:
        """How many lines of a page are loaded: its first ones."""
        return len(self._pages.get(page, ()))

    def add(self, page: int, lines: Sequence[LogLine], find: str) -> bool:
        """The next lines of a page have come; ``False`` when there are none, or they are of another search."""
        if find != self.find or not lines:
            return False
        self._pages[page] = (*self._pages.get(page, ()), *lines)
        self._pages.move_to_end(page)
        while len(self._pages) > self.keep:
            self._pages.popitem(last=False)
        return True


class Reading:
    """Has lines counted and loaded in the background, one thing of each at a time.

    Texts come without what steers terminals.

    ``work`` starts a coroutine; ``grown`` is called when the number of lines is known anew, or ``problem`` says why it
    is not; ``came`` with lines that were loaded.
    """

    def __init__(
        self,
        work: Callable[[Coroutine[Any, Any, None]], object],
        grown: Callable[[], object],
        came: Callable[[Sequence[LogLine]], object],
        clock: Callable[[], float],
    ) -> None:
        self.pages = Pages()
        self.problem = ""
        self._work = work
        self._grown = grown
        self._came = came
        self._counting = Looking(self._count_once, work, clock)
        self._source: RunSource | None = None
        self._wanted = (0, 0)
        self._loading = False

    def of(self, source: RunSource) -> bool:
        """Read from this source; whether that is another one than before."""
        if source is self._source:
            return False
        self._source = source
        self.pages.search(self.pages.find)
        return True

    def search(self, find: str) -> bool:
        """Read only lines that hold ``find``; whether that is another search."""
        if find == self.pages.find:
            return False
        self.pages.search(find)
        return True

    def count(self) -> None:
        """See how many lines there are by now; soon, if they are being counted."""
        if self._source is not None:
            self._counting.wanted()

    def load(self, first: int, most: int) -> bool:
        """These lines are looked at now: have those loaded that are not there; whether all are."""
        self._wanted = (first, most)
        if self._source is None or self.pages.missing(first, most) is None:
            return True
        if not self._loading:
            self._loading = True
            self._work(self._load())
        return False

    async def _count_once(self) -> None:
        source, find = self._source, self.pages.find
        assert source is not None, "counted only if there is one"
        try:
            count = await source.count(find)
        except JournalError as error:  # tried again with the next change
            self._trouble(error)
            return
        if source is self._source and find == self.pages.find:
            self.problem = ""
            self.pages.count = count
            self._grown()

    async def _load(self) -> None:
        """Load what is looked at, and what has come to be meanwhile."""
        try:
            while (page := self.pages.missing(*self._wanted)) is not None and await self._load_page(page):
                pass
        finally:
            self._loading = False

    async def _load_page(self, page: int) -> bool:
        source, find, size, held = self._source, self.pages.find, self.pages.size, self.pages.held(page)
        assert source is not None, "loaded only if there is one"
        try:
            lines = await source.lines(page * size + held, size - held, find)
        except JournalError as error:
            self._trouble(error)
            return False
        if source is not self._source or find != self.pages.find:
            return True  # of what was shown before: what is shown now is loaded next
        lines = [line._replace(text=one_line(line.text[:MOST])) for line in lines]
        if not self.pages.add(page, lines, find):
            return False  # there are fewer than were counted
        self._came(lines)
        return True

    def _trouble(self, error: JournalError) -> None:
        self.problem = cut(one_line(str(error)), 200)
        self._grown()
