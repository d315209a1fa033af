"""A planner writes a plan, and each task starts when its inputs are there: while the rest is still being written.

    agentrt run examples/planner.py --input question="Which is heavier, the otter or the beaver?"

The plan is made of numbered lines as `1. search(otter)` and `3. compare($1, $2)`. Each line becomes a step as soon as
it is complete; what it names by `$` are other tasks, whose handles it takes: so tasks run side by side, in any order
that their inputs allow (LLMCompiler, arXiv 2312.04511). The answer stands in the graph from the start, and an edit puts
every new task among its inputs: the engine is told all the time how far away it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import BaseModel, Field

from agentrt import Agent, Handle, edit, program, run, step, tool

ANIMALS: Final = {
    "otter": "A sea otter weighs up to 45 kilograms and eats sea urchins.",
    "beaver": "A beaver weighs up to 30 kilograms and eats bark.",
    "badger": "A badger weighs up to 17 kilograms and eats worms.",
    "seal": "A harbour seal weighs up to 130 kilograms and eats fish.",
}
LINE: Final = re.compile(r"(\d)\. (search|compare)\(([^)]*)\)")

# a small model needs to be held to the form of a line; what stands in it is its own
Task = Annotated[str, Field(pattern=rf"^\d\. (search\(({'|'.join(ANIMALS)})\)|compare\(\$1, \$2\))$")]


class Plan(BaseModel):
    """What the planner writes."""

    lines: Annotated[list[Task], Field(min_length=3, max_length=3)]


@tool
async def search(animal: str) -> str:
    """What is known of an animal."""
    return ANIMALS.get(animal, f"Nothing is known of the {animal}.")


@step
async def compare(one: str, other: str) -> str:
    """Two notes side by side."""
    return f"{one} {other}"


TASKS: Final[dict[str, Callable[..., Handle[str]]]] = {"search": search, "compare": compare}

planner = Agent(
    "planner",
    system=(
        "You write plans. A plan looks up each animal of the question, and then compares them.\n"
        "Question: Which is heavier, the badger or the seal?\n"
        '{"lines": ["1. search(badger)", "2. search(seal)", "3. compare($1, $2)"]}'
    ),
    output=Plan,
    max_tokens=80,
    temperature=0,
)
writer = Agent(
    "writer",
    system="You answer a question about animals in one sentence, with the words of the notes.",
    max_tokens=40,
    temperature=0,
)


@program
async def answer(question: str = "Which is heavier, the otter or the beaver?") -> str:
    """The answer to a question, by a plan."""
    plan = planner(f"Question: {question}")
    last = writer.with_(after=[plan])(question)
    tasks: dict[str, Handle[str]] = {}
    text = ""
    async for piece in plan.stream():
        text += piece
        for number, name, given in sorted(LINE.findall(text)):
            parts = [part.strip() for part in given.split(",")]
            if number in tasks or not all(part[1:] in tasks for part in parts if part.startswith("$")):
                continue
            tasks[number] = TASKS[name](*(tasks[part[1:]] if part.startswith("$") else part for part in parts))
            async with edit() as change:
                change.replace(last, "Notes:", list(tasks.values()), question)
    return await last


if __name__ == "__main__":
    print(run(answer).output)
