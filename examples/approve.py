"""People in the loop: a text is written, somebody looks at it, and only then it is published.

    agentrt run examples/approve.py --input topic="sea otters"

In a terminal the questions are asked there. Anywhere else the run is put aside until they are answered, for days if it
has to be, whatever becomes of its process: `agentrt runs questions`, `agentrt runs answer RUN STEP ANSWER --resume`.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from agentrt import Agent, approve, ask, choose, fill, program, run, tool


class Issue(BaseModel):
    """Where the text appears."""

    number: int = Field(ge=1, description="of the newsletter")
    section: str = "Nature"


writer = Agent(
    "writer",
    system="You are a nature writer. You write one short sentence in plain words.",
    max_tokens=40,
    temperature=0,
)


@tool
async def publish(text: str, place: str) -> str:
    """Put the text where people read it."""
    return f"{place}: {text}"


@program
async def article(topic: str = "sea otters") -> str:
    """An article on a topic, if it is approved."""
    place = choose("Where shall it appear?", ["blog", "newsletter"])  # asked while the text is being written
    text = writer(f"Say what is special about {topic}.")
    while not await approve("Publish this?", context=text, who="the editor"):
        text = writer(f"Say what is special about {topic}.", "Mind this:", ask("What shall be different?"))
    if await place == "newsletter":
        issue = await fill("Which issue?", Issue)
        return await publish(text, f"newsletter {issue.number}, {issue.section}")
    return await publish(text, place)


if __name__ == "__main__":
    print(run(article).output)
