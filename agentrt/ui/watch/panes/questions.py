"""What a run asks people, and the answers that are given here."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from agentrt.errors import JournalError
from agentrt.runtime.questions import Question
from agentrt.types import StepId
from agentrt.ui.watch.actions import Actions, Told, in_words
from agentrt.ui.watch.looking import Looking
from agentrt.ui.watch.panes.answering import AnswerForm
from agentrt.ui.watch.panes.asked import AskedPane
from agentrt.ui.watch.watched import Watched
from agentrt.ui.words import one_line

_SIGNS: Final = {"information": "✓", "warning": "!", "error": "✗"}


class QuestionsPane(Vertical):
    """A list of what is asked, the question that is chosen, and a form for its answer.

    ``actions`` gives what can be done with the run, ``None`` when it is watched from where nothing can.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", "next question", show=False),
        Binding("k", "move(-1)", "question before", show=False),
    ]
    DEFAULT_CSS = """
    QuestionsPane #questions { height: auto; max-height: 6; border: none; padding: 0; }
    QuestionsPane AskedPane { height: 1fr; min-height: 3; margin-top: 1; }
    QuestionsPane #form { height: auto; margin-top: 1; }
    QuestionsPane #told { height: auto; max-height: 3; }
    QuestionsPane #told.information { color: $text-success; }
    QuestionsPane #told.warning { color: $text-warning; }
    QuestionsPane #told.error { color: $text-error; }
    """

    def __init__(
        self,
        actions: Callable[[], Actions | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._actions = actions
        self._looking = Looking(self._look, self._work, clock)
        self._watched: Watched | None = None
        self._seen: tuple[Any, ...] = ()
        self._open: list[Question] = []
        self._shown: Question | None = None
        self._answering: set[StepId] = set()

    def compose(self) -> ComposeResult:
        """From the list to the answer."""
        yield OptionList(id="questions")
        yield AskedPane(id="asked")
        yield Vertical(id="form")
        yield Static(id="told", markup=False)

    @property
    def open(self) -> list[Question]:
        """What is asked now, as far as is known."""
        return self._open

    # -- looking -----------------------------------------------------------------------------------------------------

    def show(self, watched: Watched) -> None:
        """See what is asked now, if there may be something new."""
        seen = (watched.source, watched.state.id, watched.version)
        if seen != self._seen:
            self._watched, self._seen = watched, seen
            self.look()

    def look(self) -> None:
        """See what is asked now; soon, if somebody is looking."""
        self._looking.wanted()

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work, group="look")

    async def _look(self) -> None:
        actions = self._actions()
        if actions is None or self._watched is None:
            await self._take([], "the questions of this run cannot be read from here")
            return
        if not self._open and not self._watched.view.asking:
            await self._take([], "Nobody is asked anything")
            return
        try:
            found = await actions.questions(self._watched.state.id)
        except JournalError as error:  # tried again with the next change
            self._tell(Told(in_words(error), "error"))
            return
        await self._take(found, "Nobody is asked anything")

    async def _take(self, found: list[Question], nothing: str) -> None:
        """The list changes; the form stays while its question is open, with what was typed into it."""
        chosen = None if self._shown is None else self._shown.step
        if found != self._open or not found:
            self._open = found
            options = self.query_one("#questions", OptionList)
            options.clear_options()
            options.add_options([Option(_in_the_list(one)) for one in found] or [Option(Text(nothing), disabled=True)])
            steps = [one.step for one in found]
            options.highlighted = steps.index(chosen) if chosen in steps else 0 if found else None
        await self._choose(chosen)

    async def _choose(self, step: StepId | None) -> None:
        """Show the question of that step; the first one if it is not asked any more."""
        question = next((one for one in self._open if one.step == step), self._open[0] if self._open else None)
        if question == self._shown:
            return
        before, self._shown = self._shown, question
        self.query_one(AskedPane).ask(question)
        if before is not None and question is not None and before.step == question.step:
            for form in self.query(AnswerForm):
                form.complain(question.problem)
            return
        await self._new_form(question)

    async def _new_form(self, question: Question | None) -> None:
        place = self.query_one("#form", Vertical)
        had_focus = self.screen.focused is not None and place in self.screen.focused.ancestors
        if had_focus:
            self.query_one("#questions").focus()
        await place.remove_children()
        actions = self._actions()
        if question is not None and actions is not None:
            readonly = Static(actions.readonly, markup=False)
            await place.mount(readonly if actions.readonly else AnswerForm(question))

    # -- what the person does ----------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """To another question."""
        options = self.query_one("#questions", OptionList)
        if self._open:
            options.highlighted = max(0, min(len(self._open) - 1, (options.highlighted or 0) + by))

    def begin(self) -> None:
        """Go to where the answer is given."""
        for form in self.query(AnswerForm):
            form.begin()
            return
        self.query_one("#questions").focus()

    @on(OptionList.OptionHighlighted, "#questions")
    async def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if 0 <= event.option_index < len(self._open):
            await self._choose(self._open[event.option_index].step)

    @on(OptionList.OptionSelected, "#questions")
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.begin()

    @on(AnswerForm.Left)
    def _left(self, event: AnswerForm.Left) -> None:
        event.stop()
        self.query_one("#questions").focus()

    @on(AnswerForm.Answered)
    def _answered(self, event: AnswerForm.Answered) -> None:
        event.stop()
        self.run_worker(self._answer(event.question, event.answer), group="answer")

    async def _answer(self, question: Question, answer: Any) -> None:
        """Give the answer, once."""
        actions = self._actions()
        assert actions is not None, "there is no form without"
        if question.step in self._answering:
            return
        self._answering.add(question.step)
        self._tell(Told(f"{question.step}: answered; waiting for the run to take it"))
        try:
            told = await actions.answer(question, answer)
        except Exception as error:  # noqa: BLE001 - told to the person; the screens go on
            told = Told(in_words(error), "error")
        self._answering.discard(question.step)
        self._tell(told)
        self.look()

    def _tell(self, told: Told) -> None:
        label = self.query_one("#told", Static)
        label.update(f"{_SIGNS[told.severity]} {one_line(told.text)}")
        label.set_classes(told.severity)


def _in_the_list(question: Question) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("? ", "bold")
    text.append(one_line(question.text)[:200], "bold")
    text.append(f"  {one_line(question.step)}", "dim")
    if question.problem:
        text.append("  ✗ the last answer did not fit")
    return text
