"""What a person is asked, with all that goes with it."""

from __future__ import annotations

import time
from typing import Final

from rich.text import Text
from textual import events

from agentrt.runtime.questions import Question
from agentrt.ui.drawing.glyphs import Look
from agentrt.ui.watch.panes.base import Pane
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import lines_of, one_line

WRAPPED: Final = 100_000
"""Characters up to which a text is wrapped; what is longer is scrolled sideways."""

_DIFF: Final[dict[str, Look]] = {"+": "done", "-": "failed", "@": "accent"}


def is_diff(lines: list[str]) -> bool:
    """Whether a text is what changes a file, as ``diff -u`` writes it."""
    return any(line.startswith("@@ ") for line in lines)


class AskedPane(Pane):
    """One question: its text, for whom it is, until when, and its context, which scrolls."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._question: Question | None = None
        self._lines: list[tuple[str, Look | None]] = []

    def show(self, watched: Watched) -> None:
        """Nothing changes with the run but which question it is."""

    def ask(self, question: Question | None) -> None:
        """Show this question, from its beginning; none shows nothing."""
        if question != self._question:
            same = self._question is not None and question is not None and self._question.step == question.step
            self._question = question
            self._lay_out()
            if not same:
                self.scroll_to(0, 0, animate=False, immediate=True, force=True)

    def line(self, number: int) -> Text:
        """A line of it."""
        text, look = self._lines[number]
        return Text(text, self.look(look) if look else "", no_wrap=True, end="")

    def on_resize(self, event: events.Resize) -> None:
        """Lines end elsewhere now."""
        self._lay_out()

    def _lay_out(self) -> None:
        self._lines = [] if self._question is None else self._laid_out(self._question)
        self.resize_to(max((len(text) for text, _ in self._lines), default=0), len(self._lines))

    def _laid_out(self, question: Question) -> list[tuple[str, Look | None]]:
        lines = self._wrapped([f"? {line}" if not n else f"  {line}" for n, line in enumerate(lines_of(question.text))])
        found: list[tuple[str, Look | None]] = [(line, "strong") for line in lines]
        found.append((_about(question), "quiet"))
        context = lines_of(question.context)
        if not question.context:
            return found
        found.append(("", None))
        if is_diff(context):
            return [*found, *((f"│ {line}", _DIFF.get(line[:1])) for line in context)]
        if len(question.context) <= WRAPPED:
            context = self._wrapped(context, 2)
        return [*found, *((f"│ {line}", None) for line in context)]

    def _wrapped(self, lines: list[str], less: int = 0) -> list[str]:
        width = max(20, self.room.width - less)
        found: list[str] = []
        for line in lines:
            if len(line) * 2 <= width or Text(line).cell_len <= width:
                found.append(line)
            else:
                found += [part.plain.rstrip() for part in Text(line).wrap(self.app.console, width)]
        return found


def _about(question: Question) -> str:
    words = [str(question.step)]
    if question.who:
        words.append(f"for {question.who}")
    if question.until is not None:
        words.append(f"until {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(question.until))}")
    if question.default is not None:
        default = "yes" if question.default is True else "no" if question.default is False else repr(question.default)
        words.append(f"else {default}" if question.until is not None else f"default {default}")
    return "  " + one_line(", ".join(words))
