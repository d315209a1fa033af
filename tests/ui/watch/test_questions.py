"""Questions to people, answered on a screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static, TextArea

from agentrt import approve, ask, choose, fill, program
from agentrt.runtime import Question, Runtime
from agentrt.store import Journal
from agentrt.types import RunId, StepId
from agentrt.ui.watch.acting import ActingApp, settled
from agentrt.ui.watch.actions import READ_ONLY, Actions
from agentrt.ui.watch.answers import WHOLE, read, slots
from agentrt.ui.watch.panes.answering import AnswerForm
from agentrt.ui.watch.panes.asked import AskedPane
from agentrt.ui.watch.panes.edges import Head
from agentrt.ui.watch.panes.questions import QuestionsPane
from agentrt.ui.watch.sources.journal import JournalRun
from agentrt.ui.watch.watched import Watched

DIFF = "--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-old\n+new \x1b[31m\tred\n"


class Trip(BaseModel):
    """A form."""

    city: str
    days: int = 3

    @field_validator("city")
    @classmethod
    def not_home(cls, city: str) -> str:
        if city == "home":
            raise ValueError("a trip leads away from home")
        return city


@program
async def deploy() -> str:
    return "deployed" if await approve("Deploy [b]now[/b]?", context=DIFF, who="ops") else "not deployed"


@program
async def everything() -> list[Any]:
    town = choose("Which town?", ["Oslo", "Rome", "[red]"])
    trip = fill("Trip?", Trip)
    note = ask("Anything else?\nReally?")
    return [await town, await trip, await note]


FORM = Question(RunId("run-1"), StepId("fill#1"), "fill", "Trip?", schema=Trip.model_json_schema())


# -- what is typed, as an answer -------------------------------------------------------------------------------------


def test_a_form_has_a_slot_for_each_field() -> None:
    """With its type, what may be left out, and the default already typed."""
    assert slots(FORM) == [("city", "city (string)", ""), ("days", "days (integer, may be left out)", "3")]
    assert slots(replace(FORM, default={"city": "Oslo", "days": 2}))[0].given == "Oslo"


@pytest.mark.parametrize(
    ("typed", "answer", "problems"),
    [
        ({"city": "Oslo", "days": "2"}, {"city": "Oslo", "days": 2}, {}),
        ({"city": "12", "days": ""}, {"city": "12"}, {}),
        ({"city": "", "days": "2"}, None, {"city": "expected string"}),
        ({"city": "Oslo", "days": "many"}, None, {"days": 'expected integer, not "many"'}),
    ],
)
def test_fields_are_read_as_everywhere_else(typed: dict[str, str], answer: Any, problems: dict[str, str]) -> None:
    """A text that does not fit is told at its field; what may be left out may."""
    assert read(FORM, typed) == (answer, problems)


def test_what_has_no_fields_is_typed_whole() -> None:
    """A text as it is, any other schema as JSON, with what does not fit."""
    text = replace(FORM, form="ask", schema=None)
    assert read(text, {WHOLE: "a\nb"}).answer == "a\nb"
    assert read(text, {WHOLE: " "}).problems == {WHOLE: "expected a text"}
    numbers = replace(FORM, schema={"type": "array", "items": {"type": "integer"}})
    assert read(numbers, {WHOLE: "[1, 2]"}).answer == [1, 2]
    assert "expected integer" in read(numbers, {WHOLE: '["one"]'}).problems[WHOLE]
    assert "expected JSON" in read(numbers, {WHOLE: "one"}).problems[WHOLE]


# -- on the screen ---------------------------------------------------------------------------------------------------


class Alone(App[None]):
    """Only the pane, over one run of a journal."""

    def __init__(self, journal: Journal, run: RunId, readonly: str = "") -> None:
        super().__init__()
        self.actions = Actions(journal, str(journal), readonly=readonly, by="ann")
        self.journal = journal
        self.run_id = run
        self.watched: Watched | None = None

    def compose(self) -> ComposeResult:
        yield QuestionsPane(lambda: self.actions)

    @property
    def pane(self) -> QuestionsPane:
        return self.query_one(QuestionsPane)

    async def look(self) -> None:
        """Take in all that is new, and show it."""
        if self.watched is None:
            source = JournalRun(self.journal, self.run_id)
            self.watched = Watched(source, await source.look())
        while await self.watched.look():
            pass
        self.watched.version += 1
        self.pane.show(self.watched)
        await self.workers.wait_for_complete()

    def rows(self) -> str:
        """What the question's pane shows."""
        pane = self.query_one(AskedPane)
        return "\n".join(pane.line(number).plain for number in range(pane.virtual_size.height))

    def told(self) -> str:
        """What is said below the form."""
        return str(self.query_one("#told", Static).content)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """An empty journal."""
    async with Journal(tmp_path / "runs.db") as made:
        yield made
        await settled()


Begin = Callable[[Any], Any]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts programs that ask, in a runtime with a connection of its own to the journal."""
    async with Runtime({}, journal=tmp_path / "runs.db", answers=lambda question: None, estimates=None) as runtime:
        yield runtime.start


async def asking(app: Alone, pilot: Pilot[None], number: int) -> None:
    """Until so many questions are shown."""
    while True:
        await app.look()
        if len(app.pane.open) == number:
            break
        await pilot.pause(0.01)
    await pilot.pause()


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Until it holds; the test's time limit ends what never does."""
    while not holds():
        await pilot.pause(0.01)


async def test_a_question_is_shown_with_its_context(journal: Journal, begin: Begin) -> None:
    """As a diff, for whom, nothing of it read as markup, and no control character left in it."""
    run = begin(deploy)
    app = Alone(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 1)
        assert "? Deploy [b]now[/b]?" in app.rows()
        assert "approve#1, for ops" in app.rows()
        assert "│ +new ␛[31m" in app.rows()
        assert "\x1b" not in app.rows()
        run.cancel()


async def test_yes_and_no_need_a_second_key(journal: Journal, begin: Begin) -> None:
    """``y`` goes to its button and answers nothing yet; enter does; what becomes of it is told."""
    run = begin(deploy)
    app = Alone(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 1)
        await pilot.press("enter")
        assert app.focused is not None
        assert app.focused.id == "no", "the harmless one"
        await pilot.press("y")
        assert not run.done
        assert app.focused.id == "yes"
        await pilot.press("enter")
        assert (await run).output == "deployed"
        await until(pilot, lambda: app.told() == "✓ approve#1: taken")
        await asking(app, pilot, 0)
        assert not app.query(AnswerForm)


async def test_each_form_fits_its_question(journal: Journal, begin: Begin) -> None:
    """A list to choose from, fields with their problems, a text of several lines; another question keeps no text."""
    run = begin(everything)
    app = Alone(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 3)
        await pilot.press("enter", "down", "enter")
        await asking(app, pilot, 2)
        assert app.pane.open[0].step == "fill#1"
        app.pane.begin()
        await pilot.press("enter", *"x", "enter")
        assert app.query_one("#problem-0", Static).content == "✗ expected string"
        assert 'not "x"' in str(app.query_one("#problem-1", Static).content)
        app.query_one("#slot-0", Input).value = "home"
        app.query_one("#slot-1", Input).value = "5"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "a trip leads away from home" in app.told())
        assert app.query_one("#slot-0", Input).value == "home", "what was typed stays"
        await pilot.press("escape")
        app.query_one("#slot-0", Input).value = "Bergen"
        app.pane.begin()
        await pilot.press("ctrl+s")
        await asking(app, pilot, 1)
        app.pane.begin()
        app.query_one(TextArea).text = "one\ntwo"
        await pilot.press("ctrl+s")
        assert (await run).output == ["Rome", Trip(city="Bergen", days=5), "one\ntwo"]


async def test_typing_outlives_what_happens_meanwhile(journal: Journal, begin: Begin) -> None:
    """Another question is answered elsewhere: the list changes, the form and its text stay."""
    run = begin(everything)
    app = Alone(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 3)
        app.query_one("#questions", OptionList).highlighted = 2
        await pilot.pause()
        app.pane.begin()
        await pilot.press(*"hello")
        run.answer("choose#1", "Oslo")
        await asking(app, pilot, 2)
        assert app.query_one(TextArea).text == "hello"
        assert app.focused is app.query_one(TextArea)
        run.cancel()


async def test_answered_elsewhere_is_told(journal: Journal, begin: Begin) -> None:
    """Whoever is slower learns it, and the question is gone from the list."""
    run = begin(deploy)
    app = Alone(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 1)
        run.answer("approve#1", answer=False)
        await run
        app.pane.begin()
        await pilot.press("y", "enter")
        await until(pilot, lambda: "answered already, with false" in app.told())


async def test_a_run_that_no_process_has_keeps_the_answer(journal: Journal, tmp_path: Path) -> None:
    """It is told that the answer waits for a resume; a second one is told that there is one."""
    async with Runtime(
        {}, journal=tmp_path / "runs.db", answers=lambda question: None, put_aside=True, estimates=None
    ) as runtime:
        run = (await runtime.run(deploy)).id
    app = Alone(journal, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 1)
        for said in ("kept; the run takes it when it is resumed", "has an answer already"):
            app.pane.begin()
            await pilot.press("y", "enter")
            await until(pilot, lambda said=said: said in app.told() and not app.query("Button.-active"))


async def test_read_only_shows_and_answers_nothing(journal: Journal, begin: Begin) -> None:
    """The question is there, a form is not, and why is said."""
    run = begin(deploy)
    app = Alone(journal, run.id, READ_ONLY)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 1)
        assert "Deploy" in app.rows()
        assert not app.query(AnswerForm)
        assert "read-only" in str(app.query("#form Static").only_one(Static).content)
        run.cancel()


async def test_nobody_asked_is_said(journal: Journal, begin: Begin) -> None:
    """A plain sentence, no empty form."""
    run = begin(deploy)
    await run.runtime.close()
    app = Alone(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await asking(app, pilot, 0)
        assert str(app.query_one("#questions", OptionList).get_option_at_index(0).prompt) == "Nobody is asked anything"


# -- in the app ------------------------------------------------------------------------------------------------------


async def test_a_key_leads_to_the_questions_from_anywhere(journal: Journal, begin: Begin) -> None:
    """Their number stands beside the tab; ``a`` shows them, and from there goes to the form."""
    run = begin(deploy)
    app = ActingApp(journal, run.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.watched is not None and app.watched.view.asking)
        app.paint()
        assert "5 Questions (1)" in app.screen.query_one(Head).lines[1].plain
        await pilot.press("a")
        await until(pilot, lambda: app.current_mode == "questions" and app.screen.query(AnswerForm))
        await pilot.press("a")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "no")
        await pilot.press("y", "enter")
        assert (await run).output == "deployed"
        await until(pilot, lambda: not app.screen.query(AnswerForm))
