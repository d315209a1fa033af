"""The runs of a journal as rows: how each stands, how far it is, what it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType

from agentrt.ui.drawing.glyphs import status_look, status_sign
from agentrt.ui.drawing.pieces import cut_cells
from agentrt.ui.watch.messages import RunOpened
from agentrt.ui.watch.panes.listing import Listing
from agentrt.ui.watch.sources.journal import RunSummary
from agentrt.ui.words import day, duration, one_line, share, short

WIDE: Final = 100
"""Columns from which on a row tells the tokens too."""

NARROW: Final = 64
"""Columns below which it leaves out when the run began, and how far it is."""


def heading(width: int) -> str:
    """The names of the columns that have room: the program, which tells runs apart, has some in any case."""
    began = f"{'BEGAN':<13}" if width >= NARROW else ""
    spent = f"{'TOKENS':>9}{'CACHED':>8}" if width >= WIDE else ""
    steps = f"  {'STEPS':<20}" if width >= NARROW else ""
    return f"  {'STATE':<12}{began}{'TIME':>8}{steps}{spent}  PROGRAM"


class RunsPane(Listing):
    """The list. ``find`` is what the shown runs hold in their program, id, state or error; ``wall`` the time of day."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "watch")]

    def __init__(self, wall: Callable[[], float]) -> None:
        super().__init__(id="runs")
        self._wall = wall
        self.all: list[RunSummary] = []
        self.shown: list[RunSummary] = []
        self.find = ""

    def take(self, runs: list[RunSummary]) -> None:
        """Have these runs; the cursor stays on its run."""
        under = self.shown[self.cursor].state.id if self.cursor < len(self.shown) else None
        self.all = runs
        self.shown = [run for run in runs if _holds(run, self.find.lower())]
        places = [number for number, run in enumerate(self.shown) if run.state.id == under]
        self.cursor = places[0] if places and self.cursor else min(self.cursor, max(0, len(self.shown) - 1))
        self.fill(len(self.shown))

    def search(self, find: str) -> None:
        """Show those that hold these words."""
        self.find = find
        self.take(self.all)

    def row(self, number: int) -> Text:
        """One run."""
        run = self.shown[number]
        state = run.state
        look = self.look(status_look(state.status))
        line = Text(no_wrap=True)
        line.append(f"{status_sign(state.status)} ", look).append(f"{state.status:<12}", look)
        width = self.size.width
        if width >= NARROW:
            line.append(f"{day(state.wall, self._wall()):<13}", self.look("quiet"))
        took = duration(run.seconds) if run.seconds or state.live else ""  # of one that broke off nobody knows it
        line.append(f"{took:>8}")
        if width >= NARROW:
            line.append("  ").append_text(self._bar(run)).append(_counts(run).ljust(11))
        spent = run.usage.prompt + run.usage.completion
        if width >= WIDE:
            line.append(f"{short(spent) if spent else '':>9}")
            line.append(f"{share(run.usage.cached, run.usage.prompt) if spent else '':>8}", self.look("cached"))
        line.append("  ")
        room = max(1, width - line.cell_len - 1)
        told = cut_cells(one_line(state.program), room)
        line.append(told, "bold")
        room -= cell_len(told) + 2
        if state.error and room > 6 and not state.live:
            line.append(f"  {cut_cells(one_line(state.error), room)}", self.look(status_look(state.status)))
        return line

    def _bar(self, run: RunSummary) -> Text:
        width = 8
        done = width * run.finished // max(1, run.total)
        bar = Text("━" * done, self.look("failed" if run.failed else "done"))
        bar.append("─" * (width - done), self.look("quiet"))
        return bar.append(" ")

    def opened(self) -> None:
        """Watch the run."""
        self.post_message(RunOpened(self.shown[self.cursor].state.id))


def _holds(run: RunSummary, find: str) -> bool:
    state = run.state
    return all(
        any(word in text.lower() for text in (state.program, state.id, state.status, state.error or ""))
        for word in find.split()
    )


def _counts(run: RunSummary) -> str:
    told = f"{run.finished:,}/{run.total:,}"
    return told if len(told) <= 11 else f"{short(run.finished)}/{short(run.total)}"
