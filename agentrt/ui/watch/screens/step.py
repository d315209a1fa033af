"""Everything about one step: what went in, what the model was sent, what came out, what failed, where the time went."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final, cast

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from agentrt.errors import JournalError
from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.drawing.glyphs import KIND_GLYPH, Look, status_look, status_sign
from agentrt.ui.folds.prompts import turns_of
from agentrt.ui.model import StepView
from agentrt.ui.watch.messages import Notice, StepChosen, StepOpened
from agentrt.ui.watch.panes.step_parts import PARTS, Part, part_key, part_lines, part_text
from agentrt.ui.watch.panes.step_prompt import ABOUT
from agentrt.ui.watch.panes.step_sections import moment, state_words
from agentrt.ui.watch.panes.text_lines import Line
from agentrt.ui.watch.panes.text_view import TextView
from agentrt.ui.watch.screens.base import WatchScreen
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import one_line, tokens

OPEN_S: Final = 0.5
FINISHED_S: Final = 5.0
"""Seconds between two readings of a step's story: while it runs, and after that, when only hints may still come."""

SLOW_S: Final = 0.005
REST: Final = 30
"""A text that takes longer than this to lay out, as it is long, is drawn anew after so many times as long only."""


class Rereading:
    """When a step's story is to be read: when something is new, and not too often. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: tuple[int, bool] | None = None
        self._last = 0.0

    def due(self, version: int, *, finished: bool) -> float | None:
        """In how many seconds to read it; ``None`` when nothing is new."""
        if self._known is None:
            return 0.0
        if self._known == (version, finished):
            return None
        pause = FINISHED_S if finished and self._known[1] else OPEN_S
        return max(0.0, self._last + pause - self._clock())

    def read(self, version: int, *, finished: bool) -> None:
        """It is read now, as of this version."""
        self._known, self._last = (version, finished), self._clock()

    def forget(self) -> None:
        """It is to be read at once: it is another step's."""
        self._known = None


class StepHead(Static):
    """Two lines: the step and how it stands; what it took, and whom it asks."""

    def tell(self, step: StepView | None, watched: Watched, look: Callable[[Look], Style]) -> None:
        """Say it of a step; nothing of one that is not there."""
        head = Text(no_wrap=True, overflow="ellipsis")
        if step is not None:
            head.append(f"{status_sign(step.status, step.kind)} ", look(status_look(step.status, step.kind)))
            head.append(f"{KIND_GLYPH[step.kind]} {one_line(step.id)}", look("strong"))
            head.append(f"  {step.kind}  {state_words(step, watched.view, watched.now)}\n")
            head.append(one_line(" · ".join(_facts(step))), look("quiet"))
        self.update(head)


def _facts(step: StepView) -> list[str]:
    turn = step.turn
    if turn is None:
        return [f"called at {moment(step.added)}" + (f" by {step.parent}" if step.parent else "")]
    session = f" ({turn.session.rpartition('/')[2]})" if turn.session else ""
    return [*filter(None, [tokens(step.usage)]), f"agent {turn.agent}{session}, model {turn.model}"]


class PartTab(Static):
    """The name of a part; a click goes there."""

    def __init__(self, part: Part) -> None:
        super().__init__(part, markup=False, classes="part")
        self.part = part

    def on_click(self, event: events.Click) -> None:
        """Go there."""
        event.stop()
        cast("StepScreen", self.screen).go(self.part)


class StepScreen(WatchScreen):
    """One step, in parts. Its story is read from the source when something has happened."""

    mode = "graph"
    DEFAULT_CSS = """
    StepScreen #step-head { height: 2; padding: 0 1; background: $surface; text-wrap: nowrap; text-overflow: ellipsis; }
    StepScreen #parts { height: 1; background: $surface; }
    StepScreen .part { width: auto; padding: 0 1; color: $text-muted; }
    StepScreen .part.shown { color: $foreground; text-style: bold reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "part(1)", "next part", key_display="tab"),
        Binding("shift+tab", "part(-1)", "part before", show=False),
        Binding("full_stop", "turn(1)", "next turn", key_display="."),
        Binding("comma", "turn(-1)", "turn before", key_display=","),
        Binding("u", "around", "the step around it", show=False),
        Binding("b", "boundary", "to where the cached part of the prompt ends", show=False),
        Binding("y", "copy", "copy"),
    ]

    def __init__(self, step: StepId, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.step = step
        self.part: Part = "Overview"
        self._story: StepStory | None = None
        self._stories = 0
        self._problem = ""
        self._watched: Watched | None = None
        self._clock = clock
        self._rests = 0.0
        self._rereading = Rereading(clock)
        self._reading = self._waits = False
        self._drawn: object = None
        self._fresh = True

    def body(self) -> ComposeResult:
        """Two lines about the step, the names of the parts, the part."""
        yield StepHead(id="step-head", markup=False)
        with Horizontal(id="parts"):
            for part in PARTS:
                yield PartTab(part)
        yield TextView()

    def on_mount(self) -> None:
        """The text has the keys."""
        self.text.pane.focus()

    @property
    def text(self) -> TextView:
        """What shows the part."""
        return self.query_one(TextView)

    @property
    def _view(self) -> StepView | None:
        return None if self._watched is None else self._watched.view.steps.get(self.step)

    # -- what is known -----------------------------------------------------------------------------------------------

    def show(self, watched: Watched) -> None:
        """Draw what is known, and have the story read when there may be more to it."""
        self._watched = watched
        if self._view is not None:
            self._look_again(watched, self._view)
        self._draw(watched)

    def _look_again(self, watched: Watched, step: StepView) -> None:
        due = self._rereading.due(watched.version, finished=step.finished)
        if due is None or self._reading:
            return
        if not due:
            self._reading = True
            self._rereading.read(watched.version, finished=step.finished)
            self.run_worker(self._read(watched, self.step), group="story")
        else:
            self._wait(due)

    def _wait(self, seconds: float) -> None:
        """Show again by itself then; one timer is enough, as it starts the next one."""
        if not self._waits:
            self._waits = True
            self.set_timer(seconds, self._waited)

    def _waited(self) -> None:
        self._waits = False
        if self._watched is not None:
            self.show(self._watched)

    async def _read(self, watched: Watched, step: StepId) -> None:
        try:
            story = await watched.source.story(step)
        except JournalError as error:
            self._problem = f"its story cannot be read now: {one_line(str(error))}"
        else:
            if step == self.step:
                self._problem, self._story = "", story
                self._stories += 1
        finally:
            self._reading = False
        self.show(watched)

    # -- what is drawn -----------------------------------------------------------------------------------------------

    def _draw(self, watched: Watched) -> None:
        step, now = self._view, watched.now
        self.query_one(StepHead).tell(step, watched, self.text.pane.look)
        for tab in self.query(PartTab):
            tab.set_class(tab.part == self.part, "shown")
        depends = None if step is None else part_key(self.part, step, watched.version, now)
        key = (self.step, self.part, self._stories, self._problem, depends)
        if key == self._drawn:
            return
        began = self._clock()
        if began < self._rests and not self._fresh:
            self._wait(self._rests - began)
            return
        self._drawn = key
        follow = self.part == "Output" and step is not None and not (step.finished and self._fresh)
        self.text.pane.put(self._lines(step, watched), follow=follow, top=self._fresh)
        self.text.count()
        self._fresh = self._story is None
        took = self._clock() - began
        self._rests = began + REST * took if took > SLOW_S else 0.0

    def _lines(self, step: StepView | None, watched: Watched) -> list[Line]:
        if step is None:
            return [Line(f"The run has no step {one_line(self.step)} now.", "quiet", aside=True)]
        problem = [Line(self._problem, "warning", "!", "warning", aside=True)] if self._problem else []
        if self._story is None:
            return problem or [Line("Reading ...", "quiet", aside=True)]
        return [*problem, *part_lines(self.part, step, self._story, watched.view, watched.now)]

    # -- keys --------------------------------------------------------------------------------------------------------

    def go(self, part: Part) -> None:
        """Show a part."""
        self.part, self._fresh, self._drawn = part, True, None
        if self._watched is not None:
            self._draw(self._watched)

    def open(self, step: StepId) -> None:
        """Show another step in the same part."""
        self.step, self._story, self._problem = step, None, ""
        self._rereading.forget()
        self._fresh, self._drawn = True, None
        self.post_message(StepChosen(step))
        if self._watched is not None:
            self.show(self._watched)

    def action_part(self, by: int) -> None:
        """The next part, or the one before."""
        self.go(PARTS[(PARTS.index(self.part) + by) % len(PARTS)])

    def action_turn(self, by: int) -> None:
        """The next turn of the same session, or the one before."""
        step = self._view
        if self._watched is None or step is None or step.turn is None or step.turn.session is None:
            self.post_message(Notice("this step is no turn of a session"))
            return
        turns = turns_of(self._watched.view, step.turn.session)
        at = turns.index(step) + by
        if 0 <= at < len(turns):
            self.open(turns[at].id)
        else:
            self.post_message(Notice(f"this is the {'last' if by > 0 else 'first'} turn of its session so far"))

    def action_around(self) -> None:
        """Open the step that has called this one."""
        if self._view is None or self._view.parent is None:
            self.post_message(Notice("the program itself has called this step"))
        else:
            self.post_message(StepOpened(self._view.parent))

    def action_boundary(self) -> None:
        """Go to the place of the prompt where what came from the cache ends."""
        if self.part != "Prompt":
            self.go("Prompt")
        if not self.text.pane.go_to_sign(ABOUT):
            self.post_message(Notice("there is no such place: all or nothing came from the cache, or it is not known"))

    def action_copy(self) -> None:
        """Put the part's text into the clipboard, by what the terminal offers for that (OSC 52)."""
        step, story, watched = self._view, self._story, self._watched
        if step is None or story is None or watched is None:
            return
        text = part_text(self.part, step, story, watched.view, watched.now)
        self.app.copy_to_clipboard(text)
        self.post_message(Notice(f"{len(text):,} characters are in the clipboard, if the terminal lets them"))

    async def action_back(self) -> None:
        """Stop finding, or leave the screen."""
        if self.text.finding:
            self.text.stop()
            self.text.count()
        else:
            await super().action_back()
