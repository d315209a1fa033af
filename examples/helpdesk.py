"""Where a cache saves half the model's work, and where it rightly stays out of the way.

agentrt run examples/helpdesk.py --cache static

People ask the same things again: those turns are answered from the cache, also in the next run, and only for equal
questions as long as nothing is known of how often a like one would be wrong. Whoever calls a tool gets what the tool
says now: a turn with tools is never answered from the cache.
"""

from __future__ import annotations

from itertools import count

from agentrt import Agent, program, run, tool

ASKED = (
    "How do I return a parcel?",
    "When do you open on Saturdays?",
    "How do I return a parcel?",
    "Can I pay by invoice?",
    "When do you open on Saturdays?",
    "Can I pay by invoice?",
)
_places = count(12, -1)


@tool
async def places_left() -> str:
    """How many places are left in the course tonight."""
    return f"{next(_places)} places are left."


answers = Agent("answers", system="You answer customers of a shop in one short sentence.", max_tokens=40, temperature=0)
booking = Agent(
    "booking",
    system="Say how many places are left, with the words of the tool.",
    tools=[places_left],
    tool_use="once",
    max_tokens=40,
    temperature=0,
)


@program
async def helpdesk() -> dict[str, list[str]]:
    """Six questions, of which three are new; and twice the same one about places."""
    told = [await answers(question) for question in ASKED]
    places = [await booking("How many places are left?") for _ in range(2)]
    return {"answers": told, "places": places}


if __name__ == "__main__":
    print(run(helpdesk).output)
