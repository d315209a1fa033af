"""The form that fits a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from agentrt.runtime.questions import Question
from agentrt.ui.watch.answers import WHOLE, Slot, Typed, read, slots
from agentrt.ui.words import one_line


class YesNo(Horizontal):
    """Two buttons. ``y`` and ``n`` go to one of them; pressing it is the answer."""

    BINDINGS: ClassVar[list[BindingType]] = [  # first of all, so that an enter typed right after them finds its button
        Binding("y", "point('yes')", "yes, with enter", priority=True),
        Binding("n", "point('no')", "no, with enter", priority=True),
    ]

    def compose(self) -> ComposeResult:
        """Yes and no."""
        yield Button("[u]Y[/u]es", id="yes", compact=True)
        yield Button("[u]N[/u]o", id="no", compact=True)

    def action_point(self, name: str) -> None:
        """Go to a button."""
        self.screen.set_focus(self.query_one(f"#{name}"))


class AnswerForm(VerticalScroll, can_focus=False):
    """Asks for the answer to one question: buttons, a list, a text, or fields; what does not fit is said at its place.

    A new form is made for each question.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back to the questions"),
        Binding("ctrl+s", "send", "send the answer"),
    ]
    DEFAULT_CSS = """
    AnswerForm { height: auto; max-height: 50vh; }
    AnswerForm Horizontal { height: auto; }
    AnswerForm Button { margin: 0 1 0 0; min-width: 10; }
    AnswerForm OptionList { height: auto; max-height: 10; border: none; padding: 0; }
    AnswerForm TextArea { height: 5; border: none; padding: 0 1; background: $panel; }
    AnswerForm Input { height: 1; border: none; padding: 0 1; background: $panel; }
    AnswerForm .buttons { margin-top: 1; }
    AnswerForm Static { height: auto; }
    AnswerForm .problem { color: $text-error; display: none; }
    AnswerForm .label { color: $text-muted; }
    """

    class Answered(Message):
        """The person has answered, with plain JSON that fits as far as can be told here."""

        def __init__(self, question: Question, answer: Any) -> None:
            super().__init__()
            self.question = question
            self.answer = answer

    class Left(Message):
        """The person goes back without an answer."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question
        self.slots = slots(question)

    def compose(self) -> ComposeResult:
        """The parts that this kind of question needs."""
        if self.question.form == "approve":
            yield YesNo()
        elif self.question.form == "choose":
            yield OptionList(*(Option(Text(one_line(one) or "(empty)")) for one in self.question.choices), id="choices")
        else:
            for number, slot in enumerate(self.slots):
                yield from self._typing(number, slot)
            with Horizontal(classes="buttons"):
                yield Button("Send (ctrl+s)", id="send", compact=True)
        yield Static(id="problem-whole", classes="problem", markup=False)

    def _typing(self, number: int, slot: Slot) -> Iterator[Widget]:
        yield Static(slot.label, classes="label", markup=False)
        if slot.name == WHOLE:
            yield TextArea(slot.given, id=f"slot-{number}", soft_wrap=True)
        else:
            yield Input(slot.given, id=f"slot-{number}")
            yield Static(id=f"problem-{number}", classes="problem", markup=False)

    def on_mount(self) -> None:
        """The default is where a choice begins; what was wrong with the last answer is said."""
        if self.question.form == "choose" and self.question.default in self.question.choices:
            self.query_one(OptionList).highlighted = self.question.choices.index(self.question.default)
        self.complain(self.question.problem)

    def complain(self, problem: str) -> None:
        """Say what is wrong with all of an answer; nothing takes it away."""
        self._say("problem-whole", problem)

    def begin(self) -> None:
        """Go to where an answer is given; of yes and no to the one that does nothing."""
        wanted = {"approve": "#no", "choose": "#choices"}.get(self.question.form, "#slot-0")
        if self.question.form == "approve" and self.question.default is True:
            wanted = "#yes"
        self.screen.set_focus(self.query_one(wanted))

    # -- what the person does ----------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Back to the list, with what was typed left as it is."""
        self.post_message(self.Left())

    def action_send(self) -> None:
        """Give the answer that is typed, if it fits."""
        if self.slots:
            self._take(read(self.question, self._texts()))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "send":
            self.action_send()
        else:
            self._answer(event.button.id == "yes")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._answer(self.question.choices[event.option_index])

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        """Enter goes to the next field; in the last one it sends."""
        event.stop()
        number = int(str(event.input.id).removeprefix("slot-"))
        if number + 1 < len(self.slots):
            self.screen.set_focus(self.query_one(f"#slot-{number + 1}"))
        else:
            self.action_send()

    def _texts(self) -> dict[str, str]:
        found = {}
        for number, slot in enumerate(self.slots):
            one = self.query_one(f"#slot-{number}")
            found[slot.name] = one.text if isinstance(one, TextArea) else one.value if isinstance(one, Input) else ""
        return found

    def _take(self, typed: Typed) -> None:
        for number, slot in enumerate(self.slots):
            if slot.name != WHOLE:
                self._say(f"problem-{number}", typed.problems.get(slot.name, ""))
        self.complain(typed.problems.get(WHOLE, ""))
        if not typed.problems:
            self._answer(typed.answer)
            return
        wrong = [number for number, slot in enumerate(self.slots) if slot.name in typed.problems]
        if wrong:
            self.screen.set_focus(self.query_one(f"#slot-{wrong[0]}"))

    def _answer(self, answer: Any) -> None:
        self.post_message(self.Answered(self.question, answer))

    def _say(self, place: str, problem: str) -> None:
        label = self.query_one(f"#{place}", Static)
        label.update(f"✗ {one_line(problem)}" if problem else "")
        label.display = bool(problem)
