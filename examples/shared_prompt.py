"""Several agents share one long fixed prompt: the engine computes it once, and `cached` shows it.

    agentrt run examples/shared_prompt.py

The first agent pays for the handbook; every later one finds it in the KV cache and pays for its own question only.
"""

from __future__ import annotations

import asyncio

from agentrt import Agent, program, run

HANDBOOK = "You work at the harbour office of Port Ellis. The handbook of the office follows.\n\n" + "\n".join(
    f"Rule {number}. {rule}"
    for number, rule in enumerate(
        [
            "Ships longer than ninety metres need a pilot from the outer buoy to the quay, by day and by night.",
            "Fishing boats land their catch at the north quay before seven in the morning, and at no other place.",
            "Fuel is sold at the east pontoon between eight and six; smoking is forbidden within thirty metres of it.",
            "Visiting yachts may stay three nights without a permit, and pay for each night in advance at the office.",
            "The bridge opens on the hour; a ship that misses it waits in the basin, not in the channel.",
            "When the wind is above force eight, no vessel leaves the harbour, and those outside are guided in first.",
            "Cargo that can burn or explode is announced two days ahead and unloaded at the breakwater only.",
            "Lost property is kept for ninety days in the blue cabinet, then given to the sailors' home.",
            "Every accident, however small, is written into the log before the end of the watch.",
            "The office answers calls on channel twelve; emergencies have channel sixteen to themselves.",
        ],
        start=1,
    )
)

clerk = Agent("clerk", system=HANDBOOK, max_tokens=40, temperature=0)
pilot = Agent("pilot", system=HANDBOOK, max_tokens=40, temperature=0)
guard = Agent("guard", system=HANDBOOK, max_tokens=40, temperature=0)
host = Agent("host", system=HANDBOOK, max_tokens=40, temperature=0)


@program
async def harbour() -> dict[str, str]:
    """Four roles answer from one handbook."""
    first = await clerk("Where do fishing boats land their catch?")
    pilots, guards, hosts = await asyncio.gather(
        pilot("Which ships need a pilot?"),
        guard("What happens when the wind is above force eight?"),
        host("How long may a visiting yacht stay?"),
    )
    return {"clerk": first, "pilot": pilots, "guard": guards, "host": hosts}


if __name__ == "__main__":
    for role, answer in run(harbour).output.items():
        print(f"{role}: {answer}")
