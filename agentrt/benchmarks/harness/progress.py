"""How far a benchmark is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from agentrt.benchmarks.harness.entries import Entry, Outcome
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.words import harmless, span

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

_EVERY_S: Final = 10.0
_SHOWN: Final = 6


class Tally:
    """What is known of how far it is; ``judged`` tells what graders say meanwhile, if they do."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._judged: dict[str, bool] = {}
        self.of = 0
        self.before = 0
        self.ended = 0
        self.failed = 0
        self.running: dict[str, float] = {}

    @property
    def done(self) -> int:
        """Entries that are finished, those of an earlier time too."""
        return self.before + self.ended

    @property
    def seconds(self) -> float:
        """How long it goes on."""
        return self._clock() - self._began

    @property
    def left_s(self) -> float | None:
        """How long it will still take, by those that ended now; ``None`` before the first did."""
        return self.seconds / self.ended * (self.of - self.done) if self.ended else None

    def expects(self, entries: Sequence[Entry], finished: Mapping[str, Outcome]) -> None:
        """So many there are."""
        self.of = len(entries)
        self.before = sum(entry.id in finished for entry in entries)
        self.failed = sum(entry.id in finished and finished[entry.id].status != "done" for entry in entries)
        self.ended, self._began = 0, self._clock()

    def begun(self, entry: Entry) -> None:
        """One more is under way."""
        self.running[entry.id] = self._clock()

    def finish(self, outcome: Outcome) -> None:
        """One less is."""
        self.running.pop(outcome.entry, None)
        self.ended += 1
        self.failed += outcome.status != "done"

    def judge(self, entry: str, passed: bool) -> None:
        """The grader said so."""
        self._judged[entry] = passed

    def __str__(self) -> str:
        parts = [f"{self.done} of {self.of}"]
        if self._judged:
            parts.append(f"{sum(self._judged.values())} of {len(self._judged)} judged passed")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(span(self.seconds))
        if self.left_s is not None and self.done < self.of:
            parts.append(f"about {span(self.left_s)} left")
        return ", ".join(parts)


class Progress:
    """Tells people how far it is; what ``run_entries`` calls its watcher."""

    def __init__(self, folder: Folder, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self.tally = Tally(clock)
        self._folder = folder
        self._say = say

    def note(self, text: str) -> None:
        """Tell something else: an environment is made, a grader begins."""
        self._say(text)

    def expects(self, entries: Sequence[Entry], finished: Mapping[str, Outcome]) -> None:
        """See ``Watcher``. Says where to look meanwhile."""
        self.tally.expects(entries, finished)
        where = shlex.quote(str(self._folder.path))
        if self.tally.done == self.tally.of:
            self._say(f"all {self.tally.of} entries are finished in {where}; to run them again, name another --out")
            return
        going = f", {self.tally.done} of them finished before" if self.tally.done else ""
        self._say(f"{self.tally.of} entries into {where}{going}")
        self._say(f"to watch: agentrt watch --journal {shlex.quote(str(self._folder.journal))}")

    def begun(self, entry: Entry) -> None:
        """See ``Watcher``."""
        self.tally.begun(entry)

    def ended(self, outcome: Outcome) -> None:
        """See ``Watcher``."""
        self.tally.finish(outcome)

    def broken_off(self) -> None:
        """It ends before its end: says how to go on, if it had begun."""
        if not self.tally.of:
            return
        where = shlex.quote(str(self._folder.path))
        self._say(
            f"{self.tally.done} of {self.tally.of} entries are finished; the same command with --out {where} goes on"
        )

    def judged(self, entry: str, passed: bool) -> None:
        """What a grader says of a finished entry while others still run."""
        self.tally.judge(entry, passed)


class Lines(Progress):
    """A line now and then, and for the last entry."""

    def __init__(
        self,
        folder: Folder,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = _EVERY_S,
    ) -> None:
        super().__init__(folder, lambda text: print(text, file=stream, flush=True), clock)
        self._clock = clock
        self._every_s = every_s
        self._spoke = clock()

    def ended(self, outcome: Outcome) -> None:
        """See ``Watcher``."""
        super().ended(outcome)
        if self.tally.done == self.tally.of or self._clock() - self._spoke >= self._every_s:
            self._spoke = self._clock()
            self._say(str(self.tally))


class Bar(Progress):
    """A bar, and what runs, redrawn in place."""

    def __init__(self, folder: Folder, live: Live, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(folder, lambda text: live.console.print(text, markup=False, highlight=False), clock)
        self._clock = clock

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        tally = self.tally
        if not tally.of:
            return Group()
        oldest = sorted(tally.running.items(), key=lambda one: one[1])
        rows = [
            Text(f"  {span(self._clock() - since):>8}  {harmless(name)}", no_wrap=True)
            for name, since in oldest[:_SHOWN]
        ]
        if len(oldest) > _SHOWN:
            rows.append(Text(f"            and {len(oldest) - _SHOWN} more"))
        return Group(ProgressBar(tally.of, tally.done, width=40), Text(str(tally)), *rows)


@contextmanager
def progress_on(stream: TextIO, folder: Folder) -> Iterator[Progress]:
    """What suits ``stream``: redrawn in place on a terminal, lines elsewhere."""
    if not stream.isatty():
        yield Lines(folder, stream)
        return
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(file=stream), refresh_per_second=4, transient=True)
    bar = Bar(folder, live)
    live.update(bar)
    with live:
        yield bar
