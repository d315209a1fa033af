"""Random programs, run step by step: what the template says of what still comes holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt import Program, Runtime
from agentrt.events import StepAdded
from agentrt.graph.analysis import State, ViewNode, steps_to_execution
from agentrt.graph.analysis_template import template_steps
from agentrt.graph.compile import read_template
from agentrt.graph.template import Template
from agentrt.types import StepId


class Writer:
    """Writes a random program in which every call has a step of its own, so that names tell calls apart.

    ``sharp``: every call is awaited at once, so that how far a step is depends on the program's way alone.
    """

    def __init__(self, chance: random.Random, sharp: bool = False) -> None:
        self.chance = chance
        self.sharp = sharp
        self.calls = 0

    def body(self, depth: int, loop: bool = False) -> list[str]:
        lines = []
        for _ in range(self.chance.randint(1, 3)):
            lines += self.statement(depth, loop)
        return lines

    def statement(self, depth: int, loop: bool) -> list[str]:
        kinds: list[Callable[[], list[str]]] = [self.assign, self.assign, self.wait, self.grow]
        if depth:
            kinds += [
                lambda: self.branch(depth, loop),
                lambda: self.block("for i in range(flip(3)):", depth),
                lambda: self.block("while flip(2):", depth),
                lambda: self.block(f"while (await {self.call()}) < 2:", depth),
                lambda: ["try:", *self.inside(depth, loop), "except ValueError:", *self.inside(depth, loop)],
            ]
        if loop:
            kinds += [lambda: ["if flip(2):", f"    {self.chance.choice(['break', 'continue'])}"]]
        return self.chance.choice(kinds)()

    def call(self) -> str:
        self.calls += 1
        taken = [name for name in "abc" if self.chance.random() < 0.4]
        return f"s{self.calls}({', '.join([*taken, *(['[*m]'] if self.chance.random() < 0.2 else [])])})"

    def assign(self) -> list[str]:
        wait = "await " if self.sharp else self.chance.choice(["await ", ""])
        return [f"{self.chance.choice('abc')} = {wait}{self.call()}"]

    def wait(self) -> list[str]:
        return (
            ["for h in (a, b):", "    if isawaitable(h):", "        await h"]
            if self.chance.random() < 0.3
            else self.assign()
        )

    def grow(self) -> list[str]:
        return [f"m.append({'await ' if self.sharp else ''}{self.call()})"]

    def inside(self, depth: int, loop: bool) -> list[str]:
        return [f"    {line}" for line in self.body(depth - 1, loop)]

    def branch(self, depth: int, loop: bool) -> list[str]:
        other = ["else:", *self.inside(depth, loop)] if self.chance.random() < 0.5 else []
        return ["if flip(2):", *self.inside(depth, loop), *other]

    def block(self, head: str, depth: int) -> list[str]:
        return [head, *self.inside(depth, True)]

    def program(self) -> str:
        body = ["a = b = c = 0", "m = []", *self.body(3), *self.body(2), "return 0"]
        steps = "".join(
            f"@step\nasync def s{n}(*args):\n    return await gate('s{n}')\n" for n in range(1, self.calls + 1)
        )
        lines = "\n".join(f"    {line}" for line in body)
        head = "from inspect import isawaitable\nfrom agentrt import program, step\n"
        return f"{head}{steps}@program\nasync def main():\n{lines}\n"


class Run:
    """One run of such a program, in which one step at a time ends and all else settles in between."""

    def __init__(self, source: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.added: dict[StepId, StepAdded] = {}
        self.waiting: list[tuple[str, asyncio.Future[int]]] = []
        self.moments: list[tuple[frozenset[StepId], list[str], list[str]]] = []
        self.ended: set[StepId] = set()
        self.flips = 0
        names: dict[str, Any] = {"gate": self.gate, "flip": self.flip}
        exec(compile(source, "p.py", "exec"), names)  # the program that was just written
        self.program: Program[[], Any] = names["main"]

    async def gate(self, name: str) -> int:
        """The whole work of a step: to wait until it is told to end."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting.append((name, future))
        return await future

    def flip(self, sides: int) -> int:
        """A decision of the program that no reader can foresee; after many of them, always the one that leaves."""
        self.flips += 1
        return self.chance.randrange(sides) if self.flips < 40 else 0

    async def go(self) -> None:
        """Run to the end."""
        async with Runtime({}, observers=[self.see]) as runtime:
            run = asyncio.ensure_future(self.wait_for(runtime))
            while True:
                for _ in range(30):
                    await asyncio.sleep(0)
                if run.done() or not self.waiting:
                    break
                running = [name for name, _ in self.waiting]
                called = [
                    step.name for step in self.added.values() if step.step not in self.ended and step.kind != "join"
                ]
                self.moments.append((frozenset(self.ended), running, called))
                _, future = self.waiting.pop(self.chance.randrange(len(self.waiting)))
                future.set_result(self.chance.randrange(4) if len(self.moments) < 60 else 3)
            await run

    async def wait_for(self, runtime: Runtime) -> None:
        result = await runtime.run(self.program)
        assert result.status == "done", result.error

    def see(self, event: Any) -> None:
        if isinstance(event, StepAdded):
            self.added[event.step] = event
        elif type(event).__name__ == "StepEnded":
            self.ended.add(event.step)


def distances(template: Template, run: Run) -> Iterator[tuple[str, int, int | None]]:
    """For each moment and step that still came: how far it really was, and what was said (``None``: never)."""
    ids = {node.name: node.id for node in template.nodes if node.is_step}
    for ended, running, called in run.moments:
        said = template_steps(template, [ids[name] for name in running], [ids[name] for name in called])
        view = {
            step: ViewNode((*one.inputs, *one.after), weight=int(one.kind != "join"), state=_state(step in ended))
            for step, one in run.added.items()
        }
        for step, really in steps_to_execution(view).items():
            one = run.added[StepId(step)]
            if one.kind != "join":
                yield step, really, said.get(ids[one.name])


def _state(ended: bool) -> State:
    return "finished" if ended else "open"


def write_and_run(seed: int, sharp: bool) -> list[tuple[str, int, int | None]]:
    """What template and run say of a random program."""
    source = Writer(random.Random(seed), sharp).program()
    template = read_template(source, "p.py")
    run = Run(source, seed)
    asyncio.run(run.go())
    return list(distances(template, run))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_what_still_comes_is_in_sight(seed: int):
    """Whatever a program decides, the template never says *never* of a step that still comes."""
    for step, _, said in write_and_run(seed, sharp=False):
        assert said is not None, step


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_comes_sooner_than_said(seed: int):
    """In a program that awaits what it calls, no step is further away by the template than it turns out to be."""
    for step, really, said in write_and_run(seed, sharp=True):
        assert said is not None
        assert said <= really, step
