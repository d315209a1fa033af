"""Fan-out and join: a search beside an outline, one writer per section, and a headline over it all.

    agentrt run examples/report.py --input topic="sea otters"

Nobody says what runs in parallel: a step starts when its inputs are there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from agentrt import Agent, program, run, step, tool

Section = Literal["Body", "Food", "Sleep", "Home", "Dangers", "Young"]

NOTES = {
    "Body": "The sea otter has the densest fur of any animal, about 150,000 hairs per square centimetre.",
    "Food": "Sea otters dive for sea urchins, crabs and clams, and open the shells with stones.",
    "Sleep": "Sea otters sleep on their backs, wrapped in kelp, so that they do not drift away.",
    "Home": "Sea otters live along the coasts of the northern Pacific, in forests of kelp.",
    "Dangers": "Oil is deadly for sea otters, because oiled fur no longer keeps the cold water out.",
    "Young": "A sea otter mother carries her pup on her belly for the first months of its life.",
}


class Outline(BaseModel):
    """What the report is made of."""

    sections: Annotated[list[Section], Field(min_length=4, max_length=4)]


@tool
async def search(query: str) -> dict[str, str]:
    """Find the notes, by section, that share a word with the query."""
    words = {word.rstrip("s") for word in query.lower().split()}
    return {name: note for name, note in NOTES.items() if words & {word.rstrip("s.,") for word in note.lower().split()}}


@step
async def pick(notes: dict[str, str], section: str) -> str:
    """The note on one section."""
    return notes.get(section, "Nothing is known of this yet.")


planner = Agent("planner", system="You choose the sections of a report.", output=Outline, temperature=0)
writer = Agent(
    "writer",
    system="You are a nature writer. You write one short sentence in plain words, from the note you are given.",
    max_tokens=40,
    temperature=0,
)
editor = Agent("editor", system="You write headlines of at most eight words.", max_tokens=24, temperature=0)


@program
async def report(topic: str = "sea otters") -> str:
    """A short report on a topic."""
    facts = search(topic)  # starts at once
    # runs beside the search, nobody said so
    outline = planner(f"A report on {topic} may speak of {', '.join(NOTES)}. Choose.")
    sections = list(dict.fromkeys((await outline).sections))
    notes = [pick(facts, section) for section in sections]  # fan-out: data decides how wide
    parts = [writer("Say this in other words:", note) for note in notes]
    headline = editor("Write a headline for this text:", parts)  # waits for every part by itself
    bodies = [f"## {section}\n\n{await part}" for section, part in zip(sections, parts, strict=True)]
    return "\n\n".join([f"# {await headline}", *bodies])


if __name__ == "__main__":
    print(run(report).output)
