"""``any_of``, ``n_of`` and ``when``: joins of the first of many, and conditions on edges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from agentrt import Agent, Handle, RunResult, Runtime, any_of, n_of, program, step, when
from agentrt.errors import ConfigError, ProgramError, RunFailed, StepSkipped, UpstreamFailed
from agentrt.events import StepStarted
from agentrt.testing import say

from .conftest import served


class Doors:
    """Steps that end when their door is opened, in the order in which that happens."""

    def __init__(self) -> None:
        self.open: dict[str, asyncio.Event] = {}

        @step
        async def wait(name: str) -> str:
            await self.open.setdefault(name, asyncio.Event()).wait()
            if name.startswith("bad"):
                raise ValueError(name)
            return name

        self.wait = wait

    def unlock(self, *names: str) -> None:
        """Open these doors, one turn of the loop after the other."""
        for name in names:
            self.open.setdefault(name, asyncio.Event()).set()


async def run(main: Callable[[], Awaitable[Any]], **settings: Any) -> RunResult[Any]:
    """The result of a program of this function."""
    async with Runtime({}, **settings) as runtime:
        return await runtime.run(program(main))  # type: ignore[arg-type]


@step
async def value(it: Any) -> Any:
    return it


@step
async def broken() -> str:
    raise ValueError("broken")


@step
async def together(parts: Iterable[str]) -> str:
    return "+".join(parts)


def statuses(result: RunResult[Any]) -> dict[str, str]:
    return {record.id: record.status for record in result.steps}


class TestFirstOfMany:
    """``any_of`` and ``n_of``."""

    async def test_the_first_value_wins(self) -> None:
        """The value is that of whichever comes first; the others go on, and the graph says who it was."""
        doors = Doors()

        async def main() -> list[str]:
            slow, fast = doors.wait("slow"), doors.wait("fast")
            first = any_of(slow, fast)
            doors.unlock("fast")
            found = await first
            doors.unlock("slow")
            return [found, await slow]

        result = await run(main)
        assert result.output == ["fast", "slow"]
        assert ("wait#2", "any_of#1") in result.edges
        assert ("wait#1", "any_of#1") not in result.edges

    async def test_the_first_n_come_in_their_order(self) -> None:
        """``n_of`` gives the values in the order in which they came, and takes any iterable of handles."""
        doors = Doors()

        async def main() -> list[str]:
            parts = [doors.wait(name) for name in "abcd"]
            some = n_of(2, (part for part in parts))
            doors.unlock("c")
            await parts[2]
            doors.unlock("a")
            found = await some
            doors.unlock("b", "d")
            return found

        assert (await run(main)).output == ["c", "a"]

    async def test_what_is_done_already_counts(self) -> None:
        """A join of steps that are done has its value at once, that of the one that was done first."""

        async def main() -> tuple[bool, str]:
            first = value("a")
            await first
            second = value("b")
            await second
            both = any_of(second, first)
            return both.done(), await both

        assert (await run(main)).output == (True, "a")

    async def test_failures_are_passed_over_while_a_value_can_come(self) -> None:
        """A step that fails is nobody's failure when another of them has a value."""

        async def main() -> str:
            return await any_of(broken(), value("fine"))

        result = await run(main)
        assert result.output == "fine"
        assert statuses(result)["broken#1"] == "failed"

    async def test_too_many_failures_are_the_first_ones_fault(self) -> None:
        """When too few can still have a value, the join never starts, and says whose failure came first."""
        doors = Doors()

        async def main() -> list[str]:
            parts = [doors.wait(name) for name in ("good", "bad 1", "bad 2")]
            some = n_of(2, parts)
            doors.unlock("bad 2")
            await asyncio.wait([parts[2]])
            doors.unlock("bad 1")
            with pytest.raises(UpstreamFailed, match=r"'n_of#1' never started, because step 'wait#3' failed.*bad 2"):
                await some
            doors.unlock("good")
            return [await parts[0]]

        assert (await run(main)).output == ["good"]

    async def test_the_rest_can_be_cancelled(self) -> None:
        """``cancel_rest`` ends what has not won, before it starts if it waits for a place."""
        started: list[str] = []
        doors = Doors()

        @step
        async def note(name: str) -> str:
            started.append(name)
            return await doors.wait(name)

        async def main() -> str:
            found = await any_of(*(note(name) for name in "abc"), cancel_rest=True)
            await asyncio.sleep(0)
            return found

        doors.unlock("b")
        result = await run(main, limits={"python": 2})
        assert result.output == "b"
        assert [statuses(result)[f"note#{number}"] for number in (1, 2, 3)] == ["cancelled", "done", "cancelled"]
        assert "a" in started

    async def test_a_joins_value_is_handed_on(self) -> None:
        """A join is a handle as any other: it goes into steps, joins and containers, and may be awaited often."""

        async def main() -> list[Any]:
            first = any_of(value("a"), value("b"))
            some = n_of(1, [first])
            return [await together([first, first]), await together(some), await first, await first]

        assert (await run(main)).output == ["a+a", "a", "a", "a"]

    async def test_many_inputs_stay_inputs(self) -> None:
        """Joins of the same wide set of steps each wait for these themselves."""

        async def main() -> list[str]:
            parts = [value(str(number)) for number in range(20)]
            joins = [n_of(3, parts), n_of(2, parts), n_of(1, parts)]
            return [len(found) for found in await asyncio.gather(*joins)]

        assert (await run(main)).output == [3, 2, 1]

    @pytest.mark.parametrize("made", [lambda: any_of(), lambda: n_of(0, [value(1)]), lambda: n_of(2, [value(1)] * 1)])
    async def test_what_cannot_be_is_refused(self, made: Callable[[], Handle[Any]]) -> None:
        """A join of nothing, of none, and of more than there are is refused where it is called."""

        async def main() -> None:
            with pytest.raises(ConfigError, match="expected at least 1, and as many steps"):
                made()

        await run(main)

    async def test_only_handles_can_be_joined(self) -> None:
        """A value in a handle's place is named."""

        async def main() -> None:
            with pytest.raises(ProgramError, match="any_of: got 'a'; expected handles"):
                any_of("a")  # type: ignore[arg-type]

        await run(main)


@dataclass
class Pair:
    left: str
    right: str


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    part: Any


@step
async def needs(part: str) -> str:
    return part


@step
async def can_do_without(part: str = "nothing", *more: str, other: str = "none", **rest: str) -> list[object]:
    return [part, *more, other, rest]


class TestConditions:
    """``when``, and what comes of edges that are disabled."""

    async def test_a_branch_is_taken_by_its_condition(self) -> None:
        """Both branches are in the graph from the start; one runs, the other is skipped, which is no failure."""

        async def main() -> str:
            score = value(7)
            good = needs(when(score, lambda it: it > 5).ref)
            bad = needs(when(score, lambda it: it <= 5).ref)
            return f"{await any_of(good, bad)}"

        result = await run(main)
        assert result.output == "7"
        assert statuses(result) == {
            "value#1": "done",
            "when#1": "done",
            "needs#1": "done",
            "when#2": "skipped",
            "needs#2": "skipped",
            "any_of#1": "done",
        }

    async def test_a_skipped_step_never_starts(self) -> None:
        """What is skipped was not started, takes no place, and is skipped before its other inputs are known."""
        started: list[str] = []
        doors = Doors()

        async def main() -> None:
            late = doors.wait("late")
            first = needs.with_(after=[when(value(1), lambda _: False)])(late.ref)
            with pytest.raises(StepSkipped):
                await first
            doors.unlock("late")

        def watch(event: object) -> None:
            if isinstance(event, StepStarted):
                started.append(event.step)

        await run(main, observers=[watch])
        assert "needs#1" not in started

    async def test_the_error_names_the_way_to_the_condition(self) -> None:
        """``await`` raises ``StepSkipped``, chained to the condition that did not hold."""

        async def main() -> None:
            second = needs(needs(when(value("x"), lambda it: it == "y").ref).ref)
            with pytest.raises(StepSkipped, match=r"step 'needs#2' was skipped, because step 'needs#1' was") as caught:
                await second
            assert isinstance(caught.value.__cause__, StepSkipped)
            assert str(caught.value.__cause__.__cause__) == "the condition on step 'value#1' does not hold"

        assert (await run(main)).status == "done"

    async def test_a_program_that_awaits_what_was_skipped_fails_by_it(self) -> None:
        """Nobody else handles it, so the run says so."""

        async def main() -> str:
            return await needs(when(value("x"), lambda _: False).ref)

        result = await run(main)
        assert result.status == "failed"
        assert isinstance(result.error, RunFailed)
        assert "needs#1" in str(result.error)

    @pytest.mark.parametrize("keep", [True, False])
    async def test_containers_leave_it_out(self, keep: bool) -> None:
        """A list, tuple, set or dict holds what there is; a step all of whose inputs are gone is skipped."""
        seen: list[Any] = []

        @step
        async def look(*given: Any) -> None:
            seen.append(given)

        async def main() -> None:
            maybe = when(value("a"), lambda _: keep)
            sure = value("b")
            look([maybe, sure], (maybe, sure, 1), {"maybe": maybe, "sure": sure}, {"deep": [[maybe], sure]})
            alone = together([maybe])
            if keep:
                assert await alone == "a"
            else:
                with pytest.raises(StepSkipped):
                    await alone

        assert (await run(main)).status == "done"
        [given] = seen
        kept = ["a"] if keep else []
        assert given == (
            [*kept, "b"],
            (*kept, "b", 1),
            {**({"maybe": "a"} if keep else {}), "sure": "b"},
            {"deep": [kept, "b"]},
        )

    async def test_defaults_take_its_place(self) -> None:
        """An argument with a default is not given; positions, ``*args`` and ``**kwargs`` close up."""

        async def main() -> list[Any]:
            no, yes = when(value("no"), lambda _: False).ref, value("yes").ref
            return [
                await can_do_without(no, yes),
                await can_do_without(yes, no, yes, no),
                await can_do_without(yes, other=no, more=yes, less=no),
                await can_do_without(no, other=yes),
            ]

        assert (await run(main)).output == [
            ["nothing", "yes", "none", {}],
            ["yes", "yes", "none", {}],
            ["yes", "none", {"more": "yes"}],
            ["nothing", "yes", {}],
        ]

    async def test_what_is_needed_is_not_done_without(self) -> None:
        """A parameter without a default, a field of an object, and what the step comes after: it is skipped."""

        async def main() -> list[str]:
            no, yes = when(value("no"), lambda _: False), value("yes")
            pair: Any = Pair(no, yes)  # type: ignore[arg-type]
            made = [
                needs(no.ref),
                needs(part=no.ref),
                value([pair]),
                value([yes, Model(part=no)]),
                needs.with_(after=[no])(yes.ref),
                value.with_(after=[yes, no])("given"),
            ]
            done = await asyncio.gather(*made, return_exceptions=True)
            return [type(one).__name__ for one in done]

        assert (await run(main)).output == ["StepSkipped"] * 6

    async def test_a_plain_function_has_its_defaults_too(self) -> None:
        """A step in a thread is called without what is not wanted, as long as something else is."""

        @step
        def both(first: str = "-", second: str = "-") -> str:
            return first + second

        async def main() -> str:
            return await both(when(value("a"), lambda _: False).ref, value("b").ref)

        assert (await run(main)).output == "-b"

    async def test_an_agent_is_asked_with_the_parts_there_are(self) -> None:
        """A part of a prompt that is not wanted is left out of it."""
        writer = Agent("writer")

        async def main() -> str:
            return await writer("Say", when(value("this"), lambda _: False), when(value("that"), lambda _: True))

        async with served(lambda asked: say(asked.last)) as (_, runtime):
            result = await runtime.run(program(main))
        assert "that" in result.output
        assert "this" not in result.output

    async def test_many_inputs_of_which_some_are_not_wanted(self) -> None:
        """Wide inputs that share one join: lists close up, what needs one of them is skipped."""

        @step
        async def exact(*, a: str, rest: list[str]) -> list[str]:
            return [a, *rest]

        async def main() -> list[Any]:
            parts = [when(value(str(number)), lambda it: it != "3") for number in range(12)]
            lists = [together(list(parts)) for _ in range(3)]
            needy = [exact(a=parts[3].ref, rest=[*parts[:3], *parts[4:]]) for _ in range(3)]
            done = await asyncio.gather(*needy, return_exceptions=True)
            return [[await one for one in lists], [isinstance(one, StepSkipped) for one in done]]

        result = await run(main)
        assert result.output == [["0+1+2+4+5+6+7+8+9+10+11"] * 3, [True] * 3]

    async def test_a_failure_is_no_condition(self) -> None:
        """When the step itself fails, what comes after its condition is skipped because of that failure."""

        async def main() -> None:
            with pytest.raises(UpstreamFailed, match="'broken#1' failed"):
                await needs(when(broken(), lambda _: True).ref)

        assert (await run(main)).status == "done"

    async def test_a_condition_that_raises_fails(self) -> None:
        """The error is the condition's step's; nobody looked at it, so the program fails by it."""

        async def main() -> None:
            when(value(1), lambda it: it.missing)

        result = await run(main)
        assert "AttributeError" in str(result.error)
        assert statuses(result)["when#1"] == "failed"

    async def test_a_condition_is_a_plain_function(self) -> None:
        """A coroutine function, which would always be true, is refused."""

        async def later(_: object) -> bool:
            return False

        async def main() -> None:
            with pytest.raises(ProgramError, match="make it a plain one"):
                await when(value(1), later)  # type: ignore[arg-type]

        assert (await run(main)).status == "done"

    async def test_a_run_with_skipped_branches_is_done(self) -> None:
        """Branches that nobody awaits and that were not wanted leave no failure behind."""

        async def main() -> str:
            needs(needs(when(value("x"), lambda _: False).ref).ref)
            return "done"

        result = await run(main)
        assert result.output == "done"
        assert [record.error for record in result.steps if record.id == "needs#1"] == [
            "step 'needs#1' was skipped, because step 'when#1' was"
        ]
