"""Ten agents with long fixed prompts of their own, called one after the other, round after round."""

from __future__ import annotations

from agentrt import Agent, program
from agentrt.benchmarks.kv.given import prompt, reply

planner = Agent("planner", system=prompt("planner"), max_tokens=reply(), temperature=0)
reader = Agent("reader", system=prompt("reader"), max_tokens=reply(), temperature=0)
searcher = Agent("searcher", system=prompt("searcher"), max_tokens=reply(), temperature=0)
writer = Agent("writer", system=prompt("writer"), max_tokens=reply(), temperature=0)
critic = Agent("critic", system=prompt("critic"), max_tokens=reply(), temperature=0)
editor = Agent("editor", system=prompt("editor"), max_tokens=reply(), temperature=0)
tester = Agent("tester", system=prompt("tester"), max_tokens=reply(), temperature=0)
fixer = Agent("fixer", system=prompt("fixer"), max_tokens=reply(), temperature=0)
checker = Agent("checker", system=prompt("checker"), max_tokens=reply(), temperature=0)
teller = Agent("teller", system=prompt("teller"), max_tokens=reply(), temperature=0)


@program
async def agent_flow(notes: list[str]) -> str:
    """Hand each note from agent to agent."""
    said = ""
    for note in notes:
        said = await planner(note, said)
        said = await reader(note, said)
        said = await searcher(note, said)
        said = await writer(note, said)
        said = await critic(note, said)
        said = await editor(note, said)
        said = await tester(note, said)
        said = await fixer(note, said)
        said = await checker(note, said)
        said = await teller(note, said)
    return said
