"""An agent that calls tools until it is done; the calls of one reply run side by side.

agentrt run examples/tool_loop.py --input city=Oslo
"""

from __future__ import annotations

from typing import Literal

from agentrt import Agent, program, run, tool

City = Literal["Oslo", "Lima", "Cairo"]
TEMPERATURES: dict[City, int] = {"Oslo": -4, "Lima": 19, "Cairo": 31}


@tool
async def temperature(city: City) -> str:
    """The temperature in a city right now, in degrees Celsius."""
    return f"The temperature in {city} is {TEMPERATURES[city]} degrees Celsius."


guide = Agent(
    "guide",
    system="Answer with the words of the tool.",
    tools=[temperature],
    tool_use="once",  # a small model needs to be told: call a tool first, then answer
    parallel_tools=False,
    max_tokens=80,
    temperature=0,
)


@program
async def weather(city: City = "Oslo") -> str:
    """The weather of a city."""
    return await guide(f"What is the temperature in {city}?")


if __name__ == "__main__":
    print(run(weather).output)
