"""A run in which everything goes wrong that can: recorded for the tests and pictures of the screens.

A step fails and tells its story, another works at its second attempt, one is skipped because nobody wanted it, one is
cancelled because another was faster, and an agent is told that its arguments do not fit.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from agentrt import Agent, any_of, attempt, program, step, tool, when

City = Literal["Oslo", "Lima"]


@step(retries=2, backoff=0.6)
async def fetch(topic: str) -> str:
    """A page from a server that drops the first connection."""
    await asyncio.sleep(0.4)
    if attempt() == 1:
        raise ConnectionError("the server closed the connection after 512 of 4,096 bytes")
    return f"{topic}: 150,000 hairs per square centimetre; 3 to 5 pups in a life"


@step
async def near(topic: str) -> str:
    """An archive next door."""
    await asyncio.sleep(0.9)
    return f"{topic} sleep on their backs"


@step
async def far(topic: str) -> str:
    """An archive overseas, which nobody waits for."""
    await asyncio.sleep(60)
    return topic


@tool
async def temperature(city: City) -> str:
    """The temperature in a city, in degrees Celsius."""
    await asyncio.sleep(0.3)
    return {"Oslo": "-4", "Lima": "19"}[city]


guide = Agent("guide", system="Answer with the words of the tool.", tools=[temperature])
writer = Agent("writer", system="You write one sentence in plain words.", temperature=0)
critic = Agent("critic", system="You say yes or no.", temperature=0)


@step
async def publish(text: str, verdict: str) -> str:
    """Put it where people read it, if it was found good."""
    return f"{text} ({verdict})"


@step
async def count(page: str) -> int:
    """The hairs of a page's animal, which are not where they are looked for."""
    await asyncio.sleep(0.7)
    problem = ValueError(f"could not find a number after 'hairs:' in {page[:24]!r}")
    problem.add_note("the page has the number before the word since its last edition")
    raise problem


@step
async def chart(hairs: int, text: str) -> str:
    """A drawing of them."""
    return f"{text} {hairs}"


@program(siblings="finish")
async def mishaps(topic: str = "sea otters") -> str:
    """An article on a topic, which is never written."""
    page = fetch(topic)
    first = any_of(near(topic), far(topic), cancel_rest=True)
    weather = guide("How cold is it where they live, in Bergen?")
    draft = writer("Say this in other words:", page, first)
    verdict = critic("Is this good?", draft)
    publish(draft, when(verdict, lambda said: said == "yes"))
    drawing = chart(count(page), draft)
    return f"{await weather} {await drawing}"
