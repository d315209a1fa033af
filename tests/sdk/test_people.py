"""Questions to people: what is asked, who answers, and what a run does meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from agentrt import Agent, Question, Run, Runtime, approve, ask, choose, fill, program, step, tool
from agentrt.errors import AnswerError, ConfigError, ProgramError, RunFailed, RunWaiting, StepTimeout, UsageError
from agentrt.events import Event, StepAdded, StepStarted, StepText
from agentrt.executors import SGLangExecutor
from agentrt.graph.machine import Node
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import Capability, Hint
from agentrt.runtime import aside
from agentrt.runtime.durable import inquiry
from agentrt.runtime.kv.forecast import Forecast, Places
from agentrt.runtime.kv.tracker import PEOPLE_S, Prompt, Tracker
from agentrt.store import Journal, archive
from agentrt.testing import Asked, Reply, ScriptedServer, call, say
from agentrt.types import RunId, SessionId, StepId

ABLE = Capability(protocol=1, version="test", pool=10_000, host=0, budget=0.9, salt=True)


class Trip(BaseModel):
    """Where to, and for how long."""

    city: str
    days: int = 3

    @field_validator("city")
    @classmethod
    def not_home(cls, city: str) -> str:
        if city == "home":
            raise ValueError("a trip leads away from home")
        return city


class Opened:
    """An observer that knows which questions have been put."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self._put: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepAdded):
            self.kinds[event.step] = event.kind
        elif isinstance(event, StepText):
            self._put[event.step].set()

    async def wait(self, *steps: str) -> None:
        """Wait until these are open."""
        for one in steps:
            await self._put[one].wait()


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that only wait for people are put aside soon."""
    monkeypatch.setattr(aside, "QUIET_S", 0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def once(run: Run[Any], step: str, answer: Any) -> None:
    """Answer a question that is known to be open."""
    run.answer(step, answer)


# -- asking ----------------------------------------------------------------------------------------------------------


async def test_each_kind_of_question_gives_its_value() -> None:
    """Yes or no is a bool, a choice and a text are texts, a form is its model with its defaults."""
    answers: dict[str, Any] = {"approve": False, "choose": "dev", "ask": "otter", "fill": {"city": "Oslo"}}

    @program
    async def main() -> list[Any]:
        return [await approve("Deploy?"), await choose("Which?", ["main", "dev"]), await ask("Name?"), await trip()]

    def trip() -> Any:
        return fill("Trip?", Trip)

    async with Runtime(answers=lambda question: answers[question.form]) as runtime:
        result = await runtime.run(main)
    assert result.output == [False, "dev", "otter", Trip(city="Oslo", days=3)]
    assert [one.id for one in result.steps] == ["approve#1", "choose#1", "ask#1", "fill#1"]


async def test_a_question_is_a_step_like_any_other(opened: Opened) -> None:
    """It waits for what is shown with it, others wait for its answer, and observers see its kind."""

    @step
    async def draft(topic: str) -> str:
        return f"About {topic}."

    @step
    async def publish(text: str, yes: bool) -> str:
        return f"{text} {yes}"

    seen: list[Question] = []

    async def person(question: Question) -> bool:
        seen.append(question)
        return True

    @program
    async def main() -> str:
        text = draft("otters")
        return await publish(text, approve("Publish?", context=text, who="editors"))

    async with Runtime(answers=person, observers=[opened]) as runtime:
        result = await runtime.run(main)
    assert result.output == "About otters. True"
    assert {("draft#1", "approve#1"), ("approve#1", "publish#1")} <= set(result.edges)
    assert opened.kinds["approve#1"] == "question"
    assert [(one.text, one.context, one.who) for one in seen] == [("Publish?", "About otters.", "editors")]


async def test_other_steps_go_on_while_a_person_thinks() -> None:
    """The answer may even depend on what they find."""
    found = asyncio.Event()

    @step
    async def search() -> str:
        found.set()
        return "found"

    async def person(_: Question) -> str:
        await found.wait()
        return "thanks"

    @program
    async def main() -> list[str]:
        answer = ask("What now?")
        return [await search(), await answer]

    async with Runtime(answers=person) as runtime:
        assert (await runtime.run(main)).output == ["found", "thanks"]


async def test_what_does_not_fit_is_told_to_who_answers() -> None:
    """The next time, the question says what was wrong, in the words of the form's model."""
    problems: list[str] = []
    given: list[dict[str, Any]] = [{"days": 2}, {"city": "home"}, {"city": "Oslo", "days": "2"}]

    def person(question: Question) -> dict[str, Any]:
        problems.append(question.problem)
        return given[len(problems) - 1]

    @program
    async def main() -> Trip:
        return await fill("Trip?", Trip)

    async with Runtime(answers=person) as runtime:
        assert (await runtime.run(main)).output == Trip(city="Oslo", days=2)
    assert problems == ["", "city: Field required", "city: Value error, a trip leads away from home"]


async def test_an_answerer_that_never_fits_is_given_up() -> None:
    """The step fails, naming the problem, instead of asking for ever."""

    @program
    async def main() -> bool:
        return await approve("Deploy?")

    async with Runtime(answers=lambda _: "perhaps") as runtime:
        result = await runtime.run(main)
    assert isinstance(result.error, RunFailed)
    assert isinstance(result.error.__cause__, AnswerError)
    assert "expected yes or no, not 'perhaps'" in str(result.error)


async def test_an_answerer_s_own_error_is_the_step_s() -> None:
    """What it raises arrives in the program."""

    def broken(_: Question) -> bool:
        raise KeyError("no such person")

    @program
    async def main() -> str:
        with suppress(KeyError):
            await approve("Deploy?")
        return "went on"

    async with Runtime(answers=broken) as runtime:
        assert (await runtime.run(main)).output == "went on"


async def test_a_program_s_own_code_answers(opened: Opened) -> None:
    """``Run.questions`` shows what is open, ``Run.answer`` answers it, and refuses what is not open or does not fit."""

    @program
    async def main() -> list[Any]:
        return list(await asyncio.gather(approve("Deploy?"), choose("Which?", ["main", "dev"])))

    async with Runtime(answers=asyncio_never, observers=[opened]) as runtime:
        run = runtime.start(main)
        await opened.wait("approve#1", "choose#1")
        assert {one.step: one.expected for one in run.questions} == {
            "approve#1": "yes or no",
            "choose#1": "'main' or 'dev'",
        }
        with pytest.raises(UsageError, match="expected 'main' or 'dev', not 'prod'"):
            run.answer("choose#1", "prod")
        run.answer("choose#1", "dev")
        with pytest.raises(UsageError, match=r"no open question 'choose#1'; open are: approve#1"):
            run.answer("choose#1", "main")
        run.answer("approve#1", True)
        assert (await run).output == [True, "dev"]
        assert run.questions == []


async def asyncio_never(_: Question) -> Any:
    """A person who does not answer here."""
    await asyncio.get_running_loop().create_future()


async def test_a_default_counts_when_the_time_is_up() -> None:
    """Without a default the step fails; the seconds count against no step's own time limit."""

    @program(timeout=0.05)
    async def patient() -> bool:
        return await approve("Deploy?", default=False, within=0.2)

    @program
    async def main() -> list[Any]:
        strict = approve("Really?", within=0.1)
        with pytest.raises(StepTimeout, match="was not answered in time"):
            await strict
        return [await patient(), await fill("Trip?", Trip, default=Trip(city="Rome"), within=0.01)]

    async with Runtime(answers=asyncio_never) as runtime:
        assert (await runtime.run(main)).output == [False, Trip(city="Rome")]


async def test_with_nobody_to_answer_the_error_comes_at_once() -> None:
    """No journal, no answerer, no terminal: the message names all three."""

    @program
    async def main() -> bool:
        return await approve("Deploy?")

    async with Runtime() as runtime:
        result = await runtime.run(main)
    assert isinstance(result.error, RunFailed)
    assert isinstance(result.error.__cause__, ConfigError)
    for word in ("terminal", "answers=", "journal"):
        assert word in str(result.error)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: choose("Which?", []), "at least one"),
        (lambda: choose("Which?", ["a"], default="b"), "no answer to it"),
        (lambda: approve("Yes?", default="yes"), "no answer to it"),  # type: ignore[arg-type]
        (lambda: approve("Yes?", within=0), "seconds above 0"),
        (lambda: ask("Name?", colour="red"), "no option colour"),  # type: ignore[call-arg]
        (lambda: fill("Name?", str), "use ask"),
        (lambda: fill("Trip?", Trip, default=Trip.model_construct(city="home")), "away from home"),
    ],
)
async def test_questions_that_cannot_be_answered_are_refused(make: Callable[[], Any], said: str) -> None:
    """Nobody is asked, and the message says what to give instead."""

    @program
    async def main() -> Any:
        return await make()

    async with Runtime(answers=lambda _: pytest.fail("nobody should be asked")) as runtime:
        result = await runtime.run(main)
    assert isinstance(result.error, RunFailed)
    assert isinstance(result.error.__cause__, ConfigError)
    assert said in str(result.error)


def test_questions_are_asked_in_programs_only() -> None:
    """Outside a run there is nobody to tell the answer to."""
    with pytest.raises(ProgramError, match=r"approve\(\) was called outside a run"):
        approve("Deploy?")


async def test_a_cancelled_question_is_not_open_any_more(opened: Opened) -> None:
    """A program that stops waiting takes it back."""

    @program
    async def main() -> str:
        with suppress(TimeoutError):
            await asyncio.wait_for(ask("Name?"), 0.05)
        return "went on"

    async with Runtime(answers=asyncio_never, observers=[opened]) as runtime:
        run = runtime.start(main)
        assert (await run).output == "went on"
        assert run.questions == []


# -- in the journal --------------------------------------------------------------------------------------------------


ran: list[str] = []


@step
async def prepare(topic: str) -> str:
    ran.append("prepare")
    return f"draft of {topic}"


@program
async def deploy(topic: str = "otters") -> list[Any]:
    text = prepare(topic)
    trip = fill("Trip?", Trip)
    yes = await approve("Deploy?", context=text)
    ran.append(f"approved {yes}")
    return [yes, await trip]


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_a_run_that_only_waits_is_put_aside(file: Path, soon: None) -> None:
    """It ends as waiting, belongs to nobody, and its steps are where they were."""
    async with Runtime(journal=file, put_aside=True) as runtime:
        result = await runtime.run(deploy)
    assert result.status == "waiting"
    assert isinstance(result.error, RunWaiting)
    assert {one.id: one.status for one in result.steps} == {
        "prepare#1": "done",
        "fill#1": "running",
        "approve#1": "running",
    }
    async with Journal(file) as journal, journal.connect() as connection:
        row = await archive.find_run(connection, "last")
        assert (row.status, row.owner) == ("waiting", None)
        kinds = [(one.kind, one.step) for one in await archive.entries_of(connection, row.id)]
    assert ("asked", "approve#1") in kinds
    assert ("ended", "approve#1") not in kinds


async def test_an_answer_given_while_no_process_has_the_run_waits_for_it(file: Path, soon: None) -> None:
    """The next process takes it from the mail; nothing before the question runs again, and the letter is gone."""
    async with Runtime(journal=file, put_aside=True) as runtime:
        run = (await runtime.run(deploy)).id
    async with Runtime(journal=file) as elsewhere:
        (trip, yes) = sorted(await elsewhere.questions(), key=lambda one: one.form, reverse=True)
        assert (yes.text, yes.context) == ("Deploy?", "draft of otters")
        assert trip.schema is not None
        assert set(trip.schema["properties"]) == {"city", "days"}
        with pytest.raises(UsageError, match="2 open questions; say which one"):
            await elsewhere.answer(run, None, True)
        assert await elsewhere.answer(run, "approve#1", True) == "kept"
        assert await elsewhere.answer(run, "fill#1", Trip(city="Oslo")) == "kept"
    async with Runtime(journal=file, put_aside=True) as runtime:
        assert (await (await runtime.resume(deploy, run))).output == [True, Trip(city="Oslo")]
    assert ran == ["prepare", "approved True"]
    async with Journal(file) as journal, journal.connect() as connection:
        assert await archive.letters(connection, [run]) == []


async def test_an_answer_reaches_the_process_that_has_the_run(file: Path, opened: Opened) -> None:
    """It is taken within a look or two, written down with who gave it, and a second one is told so."""
    async with Runtime(journal=file, observers=[opened]) as runtime, Runtime(journal=file) as elsewhere:
        run = runtime.start(deploy)
        await opened.wait("approve#1", "fill#1")
        assert await elsewhere.answer(run.id, "approve#1", False, by="ann") == "taken"
        with pytest.raises(UsageError, match="answered already, with false; open are: fill#1"):
            await elsewhere.answer(run.id, "approve#1", True)
        with pytest.raises(UsageError, match="no open question 'nobody#1'"):
            await elsewhere.answer(run.id, "nobody#1", True)
        assert await elsewhere.answer(run.id, None, {"city": "Oslo"}) == "taken"
        assert (await run).output == [False, Trip(city="Oslo")]
        with pytest.raises(UsageError, match=r"\(done\) has no open question; open are: none"):
            await elsewhere.answer(run.id, None, True)
    async with Journal(file) as journal, journal.connect() as connection:
        entries = await archive.entries_of(connection, run.id)
        assert await archive.letters(connection, [run.id]) == []
    (answered,) = [one for one in entries if (one.kind, one.step) == ("answered", "approve#1")]
    assert json.loads(answered.data)["by"] == "ann"


async def test_only_one_answer_can_be_on_its_way(file: Path, soon: None) -> None:
    """The first is kept, the second is told so."""
    async with Runtime(journal=file, put_aside=True) as runtime:
        await runtime.run(deploy)
        assert await runtime.answer("last", "approve#1", True) == "kept"
        with pytest.raises(UsageError, match="has an answer already"):
            await runtime.answer("last", "approve#1", False)


async def test_what_only_the_program_can_refuse_is_told_as_well(file: Path, opened: Opened) -> None:
    """The schema lets it pass, the model does not: whoever answered is told, and the question stays open."""
    async with Runtime(journal=file, observers=[opened]) as runtime, Runtime(journal=file) as elsewhere:
        run = runtime.start(deploy)
        await opened.wait("fill#1")
        with pytest.raises(UsageError, match="days: expected integer, not true"):
            await elsewhere.answer(run.id, "fill#1", {"city": "Oslo", "days": True})
        with pytest.raises(UsageError, match="a trip leads away from home"):
            await elsewhere.answer(run.id, "fill#1", {"city": "home"})
        (trip,) = [one for one in await elsewhere.questions(run.id) if one.form == "fill"]
        assert "away from home" in trip.problem
        run.cancel()
        await run


async def test_a_refused_answer_leaves_the_question_open_for_the_next(file: Path, soon: None) -> None:
    """Also when it was given while no process had the run: the run is put aside again, and says what was wrong."""
    async with Runtime(journal=file, put_aside=True) as runtime:
        run = (await runtime.run(deploy)).id
        assert await runtime.answer(run, "fill#1", {"city": "home"}) == "kept"
        again = await (await runtime.resume(deploy, run))
        assert again.status == "waiting"
        (trip,) = [one for one in await runtime.questions(run) if one.form == "fill"]
        assert "away from home" in trip.problem
        assert await runtime.answer(run, "fill#1", {"city": "Oslo"}) == "kept"


class Wall:
    """The time of day, as a test has it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@program
async def timed() -> str:
    return await choose("Which?", ["main", "dev"], default="main", within=60)


async def put_aside(file: Path, wall: Wall) -> str:
    """A run of ``timed`` that waits, nobody having it."""
    async with Runtime(journal=file, put_aside=True, wall=wall) as runtime:
        assert (await runtime.run(timed)).status == "waiting"
        return "last"


async def test_a_deadline_goes_on_while_no_process_has_the_run(file: Path, soon: None) -> None:
    """It is by the time of day, and not begun anew by a resume: then the default counts at once."""
    wall = Wall()
    run = await put_aside(file, wall)
    wall.now += 30
    async with Runtime(journal=file, put_aside=True, wall=wall) as runtime:
        assert (await (await runtime.resume(timed, run))).status == "waiting"
    wall.now += 31
    async with Runtime(journal=file, put_aside=True, wall=wall) as runtime:
        with pytest.raises(UsageError, match="its time is up"):
            await runtime.answer(run, None, "dev")
        assert (await (await runtime.resume(timed, run))).output == "main"


async def test_an_answer_in_time_counts_however_late_it_is_read(file: Path, soon: None) -> None:
    """What was acknowledged is not lost to a default."""
    wall = Wall()
    run = await put_aside(file, wall)
    wall.now += 59
    async with Runtime(journal=file, wall=wall) as runtime:
        assert await runtime.answer(run, None, "dev") == "kept"
        wall.now += 1000
        assert (await (await runtime.resume(timed, run))).output == "dev"


async def test_a_question_of_a_cancelled_run_is_asked_again(file: Path, opened: Opened) -> None:
    """Cancelling takes it back; going on with the run opens it again, and what was answered stays answered."""
    async with Runtime(journal=file, observers=[opened]) as runtime:
        run = runtime.start(deploy)
        await opened.wait("approve#1", "fill#1")
        once(run, "fill#1", {"city": "Oslo"})
        run.cancel()
        assert (await run).status == "cancelled"
        assert await runtime.questions() == []
    again = Opened()
    async with Runtime(journal=file, observers=[again]) as runtime:
        resumed = await runtime.resume(deploy, run.id)
        await again.wait("approve#1")
        once(resumed, "approve#1", True)
        if resumed.questions:  # the cancel came before the answer was on disk
            once(resumed, "fill#1", {"city": "Oslo"})
        assert (await resumed).output == [True, Trip(city="Oslo")]
    assert ran == ["prepare", "approved True"]


async def test_a_run_with_anything_else_to_do_is_not_put_aside(file: Path, soon: None) -> None:
    """Neither while a step runs, nor while one waits out the delay before its next attempt."""
    attempts: list[int] = []

    @step(retries=1, backoff=0.3)
    async def shaky() -> int:
        attempts.append(1)
        if len(attempts) < 2:
            raise ConnectionError("try again")
        return len(attempts)

    @step
    def slow() -> int:
        return sum(range(3_000_000))

    @program
    async def main() -> list[Any]:
        answer = ask("Name?")
        return [await shaky(), await slow(), await answer]

    async with Runtime(journal=file, put_aside=True) as runtime:
        result = await runtime.run(main)
    assert {one.id: one.status for one in result.steps} == {"ask#1": "running", "shaky#1": "done", "slow#1": "done"}


async def test_a_question_inside_a_step_inside_a_program_waits_too(file: Path, soon: None) -> None:
    """Steps around a question wait with it; they are entered again, and only their calls are made again."""

    @tool
    async def ask_somebody(question: str) -> str:
        """Ask a person."""
        return await ask(question)

    @program
    async def inner() -> str:
        return await ask_somebody("Name?")

    @program
    async def main() -> str:
        return f"{await prepare('x')} for {await inner()}"

    async with Runtime(journal=file, put_aside=True) as runtime:
        assert (await runtime.run(main)).status == "waiting"
        (question,) = await runtime.questions()
        assert question.step == "inner#1/ask_somebody#1/ask#1"
        await runtime.answer("last", None, "Ann")
        assert (await (await runtime.resume(main))).output == "draft of x for Ann"
    assert ran == ["prepare"]


async def test_questions_survive_whatever_order_they_are_answered_in(file: Path, soon: None) -> None:
    """Answers one by one, each followed by a resume that is put aside again, come to the same output."""

    @program
    async def main() -> list[str]:
        return await asyncio.gather(*(ask(f"Name {number}?") for number in range(4)))

    async with Runtime(journal=file, put_aside=True) as runtime:
        await runtime.run(main)
        for number in (2, 4, 1, 3):
            await runtime.answer("last", f"ask#{number}", f"name {number}")
            result = await (await runtime.resume(main))
        assert result.output == ["name 1", "name 2", "name 3", "name 4"]


async def test_an_answer_waits_out_the_replay(file: Path, soon: None) -> None:
    """A letter that comes while a run is replayed is for later, not for nobody."""
    async with Runtime(journal=file, put_aside=True) as runtime:
        run = (await runtime.run(deploy)).id
        async with Journal(file) as journal:
            question = await inquiry.find(journal, run, "approve#1")
            resumed = await runtime.resume(deploy, run)
            posted = await inquiry.post(journal, question, True, now=runtime._wall)
            assert await inquiry.outcome(journal, posted) == "taken"
        resumed.cancel()
        await resumed


async def test_of_two_answers_at_once_one_is_told_that_it_came_second(file: Path, soon: None) -> None:
    """They come one after the other, whoever posts them."""
    async with Runtime(journal=file, put_aside=True) as runtime:
        run = (await runtime.run(deploy)).id
    async with Runtime(journal=file) as one, Runtime(journal=file) as other:
        both = await asyncio.gather(
            *(each.answer(run, "approve#1", yes) for each, yes in ((one, True), (other, False))), return_exceptions=True
        )
    assert both.count("kept") == 1
    assert sum(isinstance(each, UsageError) for each in both) == 1


async def test_questions_live_on_a_server_as_in_a_file(postgres_url: str, opened: Opened, soon: None) -> None:
    """Put aside, answered while nobody has the run, answered while somebody has it, refused, raced for."""
    async with Runtime(journal=postgres_url, put_aside=True) as runtime:
        run = (await runtime.run(deploy)).id
    async with (
        Runtime(journal=postgres_url, observers=[opened]) as runtime,
        Runtime(journal=postgres_url) as elsewhere,
    ):
        assert {one.step for one in await elsewhere.questions()} == {"approve#1", "fill#1"}
        both = await asyncio.gather(
            *(each.answer(run, "approve#1", True) for each in (runtime, elsewhere)), return_exceptions=True
        )
        assert both.count("kept") == 1
        resumed = await runtime.resume(deploy, run)
        await opened.wait("fill#1")
        with pytest.raises(UsageError, match="away from home"):
            await elsewhere.answer(run, "fill#1", {"city": "home"})
        assert await elsewhere.answer(run, "fill#1", {"city": "Oslo"}) == "taken"
        assert (await resumed).output == [True, Trip(city="Oslo")]
    assert ran == ["prepare", "approved True"]


@pytest.mark.parametrize("turns", [0, 1, 3, 10, 30, 100, 300])
async def test_an_answer_that_comes_while_a_run_is_put_aside_is_not_lost(file: Path, soon: None, turns: int) -> None:
    """Whether the run still takes it or is gone already: resumed, it has it."""

    @program
    async def main() -> bool:
        return await approve("Deploy?")

    opened = Opened()
    async with Runtime(journal=file, put_aside=True, observers=[opened]) as runtime, Runtime(journal=file) as elsewhere:
        run = runtime.start(main)
        await opened.wait("approve#1")
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await elsewhere.answer(run.id, None, True) in ("taken", "kept")
        result = await run
        if result.status == "waiting":
            result = await (await runtime.resume(main, run.id))
        assert result.output is True


# -- and the engine --------------------------------------------------------------------------------------------------


Hook = Callable[[], Awaitable[None]]
writer = Agent("writer", system="You write.")


@step
async def proofread(text: str, hook: Hook) -> str:
    await hook()
    return text


@program
async def reviewed(hook: Hook) -> str:
    session = writer.session()
    text = await proofread(session("Write."), hook)
    if await approve("Publish?", context=text):
        text = await session("Once more.")
    return text


@program
async def beside(hook: Hook) -> list[Any]:
    yes = approve("Publish?")
    session = writer.session()
    await proofread(session("Write."), hook)
    return [await session("Once more."), await yes]


def last_told(server: ScriptedServer, kind: str) -> dict[Any, Hint]:
    """What each subject of that kind was told last."""
    return {hint.subject: hint for hint in server.hints if hint.subject.kind == kind}


def kept(server: ScriptedServer, kind: str = "session") -> bool:
    """Whether the engine is to keep any context of that kind."""
    return any(hint.keep > 0 and not hint.ended for hint in last_told(server, kind).values())


async def test_a_context_that_waits_for_a_person_loses_its_protection(opened: Opened) -> None:
    """The engine is to keep it while a step runs before its next turn, not while a person thinks, and then again."""

    async def script(asked: Asked) -> Reply:
        if asked.last == "Once more.":
            await server.until(kept)
        return say("Text.")

    async with (
        ScriptedServer(script, takes=ABLE) as server,
        Runtime(SGLangExecutor(server.url), answers=asyncio_never, observers=[opened]) as runtime,
    ):
        run = runtime.start(reviewed, lambda: server.until(kept))
        await opened.wait("approve#1")
        await server.until(lambda server: not kept(server))
        assert not any(hint.ended for hint in server.hints), "it is only not protected"
        assert not kept(server, "agent"), "neither is its prompt"
        run.answer("approve#1", True)
        assert (await run).output == "Text."


async def test_a_tool_that_asks_a_person_frees_its_agent_s_context(opened: Opened) -> None:
    """The agent's session waits for the tool, and nobody knows for how long."""

    @tool
    async def ask_somebody(question: str) -> str:
        """Ask a person."""
        await server.until(kept)
        return await ask(question)

    agent = Agent("helper", system="You help.", tools=[ask_somebody])

    @program
    async def main() -> str:
        return await agent("Find out the name.")

    def script(asked: Asked) -> Reply:
        return call("ask_somebody", question="Name?") if len(asked.messages) < 3 else say("Ann it is.")

    async with (
        ScriptedServer(script, takes=ABLE) as server,
        Runtime(SGLangExecutor(server.url), answers=asyncio_never, observers=[opened]) as runtime,
    ):
        run = runtime.start(main)
        step = "helper#1/ask_somebody#1/ask#1"
        await opened.wait(step)
        await server.until(lambda server: not kept(server))
        run.answer(step, "Ann")
        assert (await run).output == "Ann it is."


async def test_a_context_that_others_need_soon_stays_protected(opened: Opened) -> None:
    """A question in one branch says nothing about the contexts of another."""

    async def seen() -> None:
        await opened.wait("approve#1")
        await server.until(kept)

    async with (
        ScriptedServer(lambda _: say("Text."), takes=ABLE) as server,
        Runtime(SGLangExecutor(server.url), answers=asyncio_never, observers=[opened]) as runtime,
    ):
        run = runtime.start(beside, seen)
        await opened.wait("approve#1", "writer#2")
        run.answer("approve#1", True)
        assert (await run).output == ["Text.", True]


async def test_a_run_that_was_put_aside_holds_nothing_in_the_engine(file: Path, soon: None) -> None:
    """Its contexts are told to have ended."""
    async with (
        ScriptedServer(lambda _: say("Text."), takes=ABLE) as server,
        Runtime(SGLangExecutor(server.url), journal=file, put_aside=True) as runtime,
    ):
        result = await runtime.run(reviewed, nothing)
        assert result.status == "waiting"
        await server.until(lambda server: any(hint.ended for hint in server.hints))
        assert not kept(server)


async def nothing() -> None:
    """A hook that waits for nothing."""


def test_others_may_have_the_room_of_who_waits_for_a_person() -> None:
    """The gate is told that the session comes back in an hour, as of a tool that takes so long."""
    run, session = RunId("r"), SessionId("r/writer~1")
    turn, question = Node(StepId("writer#1"), "writer", "llm"), Node(StepId("ask#1"), "ask", "question")
    turn.session, question.inputs = session, (turn,)
    nodes = {node.id: node for node in (turn, question)}
    acts: list[tuple[RunId, SessionId, float]] = []
    estimators = Estimators()
    tracker = Tracker(
        run,
        nodes,
        Forecast(Places(None), estimators),
        estimators,
        lambda: 0.0,
        lambda *_: None,
        lambda *one: acts.append(one),
    )
    tracker.opened(session, Prompt("writer", "default", (), ()))
    tracker(StepStarted(run, 1.0, question.id, 1))
    assert acts == [(run, session, PEOPLE_S)]
