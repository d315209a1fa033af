"""Edits of a running program: by the program, and by documents from outside."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentrt import Agent, Handle, RunResult, Runtime, any_of, edit, n_of, program, step, tool, when
from agentrt.errors import ConfigError, EditRefused, ProgramError, StepSkipped
from agentrt.events import GraphChange, GraphEdited, StepAdded, StepStarted
from agentrt.executors import OpenAIExecutor, SGLangExecutor
from agentrt.runtime.documents import EditDocument
from agentrt.testing import ScriptedServer, say, say_json

from .conftest import Watched
from .test_hints import ABLE, Plain

Main = Callable[[], Awaitable[Any]]


class Gate:
    """A step that ends when it is opened: what takes its value has not started before that."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

        @step
        async def gate() -> str:
            await self.event.wait()
            return "gate"

        self.step = gate

    def open(self) -> None:
        self.event.set()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@step
async def value(it: Any) -> Any:
    return it


@step
async def both(left: Any, right: Any = None) -> Any:
    return [left, right]


@step
async def joined(parts: list[str]) -> str:
    return "+".join(parts)


@tool
async def search(query: str, limit: int = 1) -> list[str]:
    """Find something."""
    return [query] * limit


@step
async def broken() -> str:
    raise ValueError("broken")


async def run(main: Main, **settings: Any) -> RunResult[Any]:
    """The result of a program of this function."""
    async with Runtime({}, **settings) as runtime:
        return await runtime.run(program(main))  # type: ignore[arg-type]


def done(result: RunResult[Any]) -> Any:
    """The output; every check in the program has held."""
    return result.output


class TestByTheProgram:
    """``async with edit() as change``."""

    async def test_an_inserted_step_is_a_step_as_any_other(self, gate: Gate) -> None:
        """It gets the next id, takes handles, and is awaited after the edit."""

        async def main() -> Any:
            async with edit() as change:
                first = change.insert(value, "a")
                second = change.insert(both, first, right=gate.step())
                assert change.version is None
            assert change.version == 1
            gate.open()
            return [await second, first.id, await value("b"), (await first)]

        result = await run(main)
        assert done(result) == [["a", "gate"], "value#1", "b", "a"]
        assert ("value#1", "both#1") in result.edges
        assert ("gate#1", "both#1") in result.edges

    async def test_a_rewired_step_takes_other_steps_and_values(self, gate: Gate) -> None:
        """Handles in its arguments are exchanged, however deep; it starts when its new inputs are there."""

        async def main() -> Any:
            old, kept, new = gate.step(), value("kept"), value("new")
            one, two = both({"deep": [old, kept]}, old), joined([old.ref, "x"])
            async with edit() as change:
                change.rewire(one, {old: new})
                change.rewire(two, {old: "plain"})
            found = [await one, await two]
            gate.open()
            return found

        result = await run(main)
        assert done(result) == [[{"deep": ["new", "kept"]}, "new"], "plain+x"]
        assert ("gate#1", "both#1") not in result.edges

    async def test_a_step_that_only_comes_after_is_rewired_too(self, gate: Gate) -> None:
        """``after`` is exchanged for another step, and gone where a value stands in its place."""

        async def main() -> Any:
            old, new = gate.step(), value("new")
            one, two = (value.with_(after=[old])(name) for name in "ab")
            async with edit() as change:
                change.rewire(one, {old: new})
                change.rewire(two, {old: None})
            found = [await one, await two]
            gate.open()
            return found

        result = await run(main)
        assert done(result) == ["a", "b"]
        assert ("value#1", "value#2") in result.edges

    async def test_dropped_steps_are_skipped(self, gate: Gate) -> None:
        """A dropped step and what is dropped with it never start; ``await`` says why; the run is done."""

        async def main() -> Any:
            one = value(gate.step())
            two = value(one)
            async with edit() as change:
                change.drop(one, two)
            with pytest.raises(StepSkipped, match=r"step 'value#2' was taken out of the graph"):
                await two
            gate.open()
            return "done"

        result = await run(main)
        assert done(result) == "done"
        assert [record.status for record in result.steps] == ["done", "skipped", "skipped"]

    async def test_arguments_are_replaced(self, gate: Gate) -> None:
        """A step that has not started is called with others: it waits for what these hold, and for nothing else."""

        async def main() -> Any:
            old, new = gate.step(), value("new")
            one = both(old, old)
            two = search.with_(after=[old])("otters")
            async with edit() as change:
                change.replace(one, new, right=["x"])
                change.replace(two, "bees", limit=2)
            assert two.status == "pending", "it still comes after the gate"
            found = await one
            gate.open()
            return [found, await two]

        assert done(await run(main)) == [["new", ["x"]], ["bees", "bees"]]

    async def test_a_prompt_is_replaced_and_rewired(self, gate: Gate) -> None:
        """An agent that was not asked yet is asked something else; its context stays."""
        writer = Agent("writer", system="You write.")

        async def main() -> Any:
            chat = writer.session()
            first, second = chat("Wait for", gate.step()), chat("and then")
            other = writer("Say", gate.step())
            async with edit() as change:
                change.replace(first, "Say", value("one"))
                change.replace(second, "Say two")
                change.rewire(other, {other.run.step("gate#2"): "three"})
            gate.open()
            return [await first, await second, await other, len(chat.said)]

        async with (
            ScriptedServer(lambda asked: say(asked.last)) as server,
            Runtime(OpenAIExecutor(server.url)) as runtime,
        ):
            result = await runtime.run(program(main))
        assert done(result) == ["Say\n\none", "Say two", "Say\n\nthree", 5]

    async def test_a_step_is_split(self, gate: Gate) -> None:
        """New steps do its work; it puts together what they give, by itself or by another step's function."""

        async def main() -> Any:
            whole, other = joined([gate.step().ref, "x"]), search(gate.step().ref)
            behind = value(whole)
            async with edit() as change:
                parts = [change.insert(value, name) for name in "ab"]
                change.split(whole, parts)
                change.split(other, [*parts, value("c")], by=joined)
            found = [await behind, await other]
            gate.open()
            return found

        result = await run(main, limits={"tool": 1, "python": 8})
        assert done(result) == ["a+b", "a+b+c"]
        assert {record.id: record.kind for record in result.steps}["search#1"] == "python"

    async def test_joins_are_rewired(self, gate: Gate) -> None:
        """The steps that ``any_of``, ``n_of`` and ``when`` take are exchanged as arguments are."""

        async def main() -> Any:
            old = gate.step()
            first, some = any_of(old), n_of(2, [old, value("x"), gate.step()])
            maybe = when(old, lambda it: it == "new")
            async with edit() as change:
                new = change.insert(value, "new")
                for join in (first, some, maybe):
                    change.rewire(join, {old: new})
                inserted = change.insert(any_of, new, old)
            found = [await first, sorted(await some), await maybe, await inserted]
            gate.open()
            return found

        assert done(await run(main)) == ["new", ["new", "x"], "new", "new"]

    async def test_later_changes_build_on_earlier_ones(self, gate: Gate) -> None:
        """A step may be changed several times in one edit; what was called before stays as it is."""

        async def main() -> Any:
            old, items = gate.step(), ["a"]
            one = both(old, old)
            async with edit() as change:
                new = change.insert(value, items)
                change.replace(one, [new, old])
                change.rewire(one, {old: "x"})
                change.rewire(new, {})
                items.append("later")
            found = await one
            gate.open()
            return found

        assert done(await run(main)) == [[["a", "later"], "x"], None]

    async def test_many_inputs_are_rewired_and_dropped(self, gate: Gate) -> None:
        """Wide inputs that share one join: a step can be let go of by all who take it, or by those who are dropped."""

        async def main() -> Any:
            parts = [value(gate.step()) for _ in range(12)]
            takers = [joined(list(parts)) for _ in range(3)]  # type: ignore[arg-type]
            async with edit() as change:
                change.rewire(takers[0], {parts[0]: "first"})
                change.drop(takers[1])
            with pytest.raises(EditRefused, match=r"step 'joined#3' needs 'value#1', which is dropped"):
                async with edit() as change:
                    change.drop(parts[0])
            async with edit() as change:
                change.drop(parts[0])
                change.replace(takers[2], parts[1:])
            late = joined(parts[1:])  # type: ignore[arg-type]
            gate.open()
            return [await takers[0], await takers[2], await late]

        assert done(await run(main)) == [
            "+".join(["first"] + ["gate"] * 11),
            "+".join(["gate"] * 11),
            "+".join(["gate"] * 11),
        ]

    async def test_a_step_nobody_takes_any_more_fails_the_program(self, gate: Gate) -> None:
        """The failure of a step that another one took was that one's; let go of, it is the program's again."""

        async def main() -> None:
            failing = broken.with_(after=[gate.step()])()
            one, two = value(failing), value(failing)
            async with edit() as change:
                change.drop(one)
                change.rewire(two, {failing: 1})
            gate.open()
            await two

        result = await run(main)
        assert result.status == "failed"
        assert "broken#1" in str(result.error)

    async def test_places_go_to_what_is_inserted_by_priority(self, gate: Gate) -> None:
        """Inserted steps queue for a place as others do, the most urgent first; dropped ones leave the queue."""
        order: list[str] = []

        @step
        async def note(name: str) -> None:
            order.append(name)

        async def main() -> None:
            note.with_(after=[gate.step()])("late")
            queued = [note(name) for name in "abc"]
            async with edit() as change:
                change.insert(note, "low")
                change.insert(note.with_(priority=1), "high")
                change.drop(queued[1])
            gate.open()

        await run(main, limits={"python": 2})
        assert [name for name in order if name != "late"] == ["a", "high", "c", "low"]


class TestRefused:
    """Nothing of a refused edit is applied."""

    async def test_all_reasons_are_told_and_nothing_changes(self, gate: Gate) -> None:
        """Reasons of the graph, of the arguments and of the changes stand in one message."""

        async def main() -> Any:
            started, waiting, other = value("x"), value(gate.step()), joined([gate.step().ref])
            behind = value(waiting)
            await started

            async def too_much() -> None:
                async with edit() as change:
                    fresh.append(change.insert(value, "fresh"))
                    change.drop(waiting)
                    change.replace(started, 1)
                    change.replace(other)
                    change.rewire(other, {started: fresh[0]})
                    change.split(other, [])

            fresh: list[Handle[Any]] = []
            with pytest.raises(EditRefused) as caught:
                await too_much()
            assert set(caught.value.reasons) == {
                "step 'joined#1' cannot be called so: missing a required argument: 'parts'",
                "step 'joined#1' does not take 'value#1'",
                "step 'joined#1' cannot be split: it has no parts",
                "step 'value#1' has started (done); only steps that have not can be changed",
                "step 'value#3' needs 'value#2', which is dropped; rewire it, or drop it too",
            }
            with pytest.raises(StepSkipped, match="the edit that inserts it was not applied"):
                await fresh[0]
            assert not fresh[0].cancel()
            assert other.run.machine.version == 0
            gate.open()
            return [await behind, await other]

        result = await run(main)
        assert done(result) == ["gate", "gate"]
        assert "value#4" not in {record.id for record in result.steps}

    async def test_a_cycle_is_refused(self, gate: Gate) -> None:
        """Steps that would wait for each other are named."""

        async def main() -> Any:
            one = value(gate.step())
            two = value(one)
            with pytest.raises(EditRefused, match=r"a cycle: value#\d before value#\d"):
                async with edit() as change:
                    change.rewire(one, {one.run.step("gate#1"): two})
            gate.open()
            return await two

        assert done(await run(main)) == "gate"

    async def test_an_exception_in_the_block_gives_the_edit_up(self, gate: Gate) -> None:
        """The exception comes out, the changes do not come in."""

        async def main() -> Any:
            one = value(gate.step())

            async def broken_off() -> None:
                async with edit() as change:
                    change.drop(one)
                    change.insert(broken)
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await broken_off()
            gate.open()
            return [await one, (await value("next")), one.run.machine.version]

        assert done(await run(main)) == ["gate", "next", 0]

    async def test_what_is_no_step_of_this_run_is_refused_at_once(self, gate: Gate) -> None:
        """Values, steps of other runs and the program itself cannot be changed, and nothing comes after the end."""

        async def main() -> Any:
            one = value(gate.step())
            around: list[Any] = []
            around.append(around)
            async with edit() as change:
                with pytest.raises(ProgramError, match="got 'x' for a step"):
                    change.drop("x")  # type: ignore[arg-type]
                with pytest.raises(ProgramError, match="expected a step or an agent"):
                    change.insert(lambda: 1)  # type: ignore[arg-type,return-value]
                with pytest.raises(ProgramError, match="contains itself"):
                    change.replace(one, around)
                with pytest.raises(ProgramError, match="no step of run"):
                    change.rewire(one, {one.run.step("gate#1"): one.parent})
            with pytest.raises(ProgramError, match="this edit has ended"):
                change.drop(one)
            gate.open()
            return await one

        assert done(await run(main)) == "gate"
        with pytest.raises(ProgramError, match=r"edit\(\) was called outside a run"):
            edit()

    async def test_a_step_that_waits_for_its_next_attempt_has_started(self) -> None:
        """Between two attempts a step is not changed."""
        tries: list[int] = []

        @step(retries=1, backoff=0.01)
        async def flaky(x: int) -> int:
            tries.append(x)
            if len(tries) == 1:
                raise ValueError
            return x

        async def main() -> Any:
            one = flaky(1)
            while one.status != "pending" or not tries:
                await asyncio.sleep(0)
            with pytest.raises(EditRefused, match="has started"):
                async with edit() as change:
                    change.replace(one, 2)
            return await one

        assert done(await run(main)) == 1

    async def test_an_empty_edit_is_no_edit(self) -> None:
        """Without changes the version stays."""

        async def main() -> Any:
            async with edit() as change:
                pass
            return change.version

        assert done(await run(main)) == 0


async def test_observers_see_the_edit(watched: Watched, gate: Gate) -> None:
    """``GraphEdited`` has the version and every change; new steps are told before it, and start after it."""

    @program
    async def main() -> None:
        old = gate.step()
        one, two, three = value(old), value(old), value(old)
        async with edit() as change:
            new = change.insert(value, "new")
            change.drop(one)
            change.rewire(two, {old: new})
            change.split(three, [new])
        gate.open()

    await watched.runtime.run(main)
    [edited] = [event for event in watched.events if isinstance(event, GraphEdited)]
    assert edited.version == 1
    assert edited.changes == (
        GraphChange("insert", "value#4", ()),
        GraphChange("drop", "value#1", ()),
        GraphChange("rewire", "value#2", ("value#4",)),
        GraphChange("split", "value#3", ("value#4",)),
    )
    place = watched.events.index(edited)
    assert "value#4" in [event.step for event in watched.events[:place] if isinstance(event, StepAdded)]
    assert "value#4" in [event.step for event in watched.events[place:] if isinstance(event, StepStarted)]


async def test_the_engine_is_told_how_far_a_turn_is_after_an_edit(gate: Gate) -> None:
    """Steps to execution are counted anew with each edit, and the hint about a waiting session follows."""
    writer = Agent("writer", system="You write.")

    def told(steps: int) -> Callable[[ScriptedServer], bool]:
        return lambda server: [hint.steps for hint in server.hints if hint.subject.kind == "session"][-1:] == [steps]

    @program
    async def main() -> str:
        async with writer.session() as chat:
            await chat("Begin.")
            first = gate.step()
            third = value(value(first))
            turn = chat("Go on.", third)
            await server.until(told(3))
            async with edit() as change:
                change.rewire(turn, {third: first})
            await server.until(told(1))
            async with edit() as change:
                change.rewire(turn, {first: change.insert(value, change.insert(value, first))})
            await server.until(told(3))
            gate.open()
            return await turn

    async with (
        ScriptedServer(lambda asked: say(asked.last), takes=ABLE) as server,
        Runtime(SGLangExecutor(server.url), kv=Plain(), estimates=None) as runtime,
    ):
        result = await runtime.run(main)
    assert done(result) == "Go on.\n\ngate"


GATES: list[Gate] = []


@step
async def held() -> str:
    await GATES[-1].event.wait()
    return "held"


@program
async def plain() -> Any:
    """What is edited from outside: everything is behind one step."""
    first = held()
    found = search.with_(after=[first])("bees")
    report, shown = joined([first.ref, "x"]), value(found)
    return await report, await shown


async def edited(document: Any, *, expect: type[Exception] | None = None) -> tuple[RunResult[Any], Exception | None]:
    """The program ``plain`` after this edit from outside."""
    GATES.append(Gate())
    problem: Exception | None = None
    async with Runtime({}) as runtime:
        going = runtime.start(plain)
        for _ in range(5):
            await asyncio.sleep(0)
        try:
            assert going.edit(document) == 1
        except Exception as error:
            if expect is None or not isinstance(error, expect):
                raise
            problem = error
        GATES[-1].open()
        return await going, problem


class TestByDocuments:
    """``Run.edit``."""

    async def test_every_change_can_be_written_down(self) -> None:
        """Insert, rewire, drop, replace and split, with names for what is new and references in arguments."""
        changes = [
            {"do": "insert", "step": "value", "args": [["a", {"b": 1}]], "as": "new"},
            {"do": "insert", "step": "search", "args": ["c"], "kwargs": {"limit": 2}, "as": "more", "after": ["new"]},
            {"do": "replace", "step": "joined#1", "args": [[{"$step": "later"}, "y"]]},
            {"do": "rewire", "step": "value#1", "inputs": {"search#1": "more"}},
            {"do": "drop", "step": "search#1"},
        ]
        later = {"do": "insert", "step": "value", "args": ["later"], "as": "later"}
        result, _ = await edited(json.dumps({"changes": [later, *changes]}))
        assert done(result) == ("later+y", ["c", "c"])
        assert ("value#3", "search#2") in result.edges
        assert {record.id: record.status for record in result.steps}["search#1"] == "skipped"

    async def test_a_step_is_split_by_a_document(self) -> None:
        """The parts are new steps, put together by another one."""
        parts = [{"step": "value", "args": [name]} for name in "ab"]
        result, _ = await edited({"changes": [{"do": "split", "step": "search#1", "into": parts, "by": "joined"}]})
        assert done(result)[1] == "a+b"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"do": "drop", "step": "gone#1"}, "there is no step 'gone#1'"),
            ({"do": "insert", "step": "serach"}, r"no step called 'serach' \(there are: .*search"),
            (
                {"do": "insert", "step": "search", "args": [1, 2, 3]},
                "'search' cannot be called so: too many positional",
            ),
            ({"do": "insert", "step": "value", "args": [{"$step": "x"}]}, "there is no step 'x'"),
            ({"do": "drop", "step": "held#1"}, r"'held#1' has started \(running\)"),
        ],
    )
    async def test_what_is_wrong_is_named(self, change: dict[str, Any], reason: str) -> None:
        """Unknown steps, arguments that do not fit, started steps: refused, and the run goes on as it was."""
        result, error = await edited({"changes": [change]}, expect=EditRefused)
        assert re.search(reason, str(error))
        assert done(result) == ("held+x", ["bees"])

    @pytest.mark.parametrize(
        ("document", "where"),
        [
            ("{", "it: Invalid JSON"),
            ({}, "changes: Field required"),
            ({"changes": [{"do": "fly"}]}, "changes.0: Input tag 'fly'"),
        ],
    )
    async def test_what_is_no_document_is_refused(self, document: Any, where: str) -> None:
        """The message says where it is wrong."""
        _, error = await edited(document, expect=ConfigError)
        assert where in str(error)

    async def test_a_document_is_applied_by_the_program_too(self, gate: Gate) -> None:
        """``change.apply`` takes what a planner wrote, and gives the steps that it names."""

        async def main() -> Any:
            async with edit() as change:
                named = change.apply({"changes": [{"do": "insert", "step": "value", "args": ["x"], "as": "it"}]})
            return await named["it"]

        assert done(await run(main)) == "x"

    async def test_an_agent_writes_the_document(self, gate: Gate) -> None:
        """A planner whose output is an edit: what it answers is applied as it is."""
        planner = Agent("planner", output=EditDocument)
        answer = {"changes": [{"do": "replace", "step": "value#1", "args": ["planned"]}]}

        async def main() -> Any:
            one = value(gate.step())
            document = await planner("What now?")
            async with edit() as change:
                change.apply(document)
            gate.open()
            return await one

        async with ScriptedServer([say_json(answer)]) as server, Runtime(OpenAIExecutor(server.url)) as runtime:
            result = await runtime.run(program(main))
        assert done(result) == "planned"

    async def test_steps_are_inserted_into_a_running_step(self, gate: Gate) -> None:
        """``parent`` says whose part the new steps are; one that does not run is no parent."""

        @program
        async def inner() -> str:
            return await gate.step()

        async def main() -> Any:
            one = inner()
            while one.run.step("inner#1/gate#1") is None:
                await asyncio.sleep(0)
            change = {"do": "insert", "step": "value", "args": ["x"]}
            one.run.edit({"parent": "inner#1", "changes": [change]})
            with pytest.raises(EditRefused, match="no running step 'inner#2'"):
                one.run.edit({"parent": "inner#2", "changes": [change]})
            gate.open()
            return await one

        result = await run(main)
        assert {"inner#1/value#1"} <= {record.id for record in result.steps}
