"""Answers to put into stores, and a process that puts them until it is killed: ``python -m tests.store.answered FILE``.

It says ``put N`` when the ``N``-th group is kept.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from agentrt.semcache.base import Answer, Feedback, Shelf
from agentrt.store import Journal
from agentrt.store.answers import Answers
from agentrt.types import ModelReply, ToolCall, Usage

SHELF = Shelf("tenant:t1", "facts", "f1")
OTHER = Shelf("user:u1", "facts", "f1")
GROUP = 50


def answer(number: int, **changed: Any) -> Answer:
    """An answer with a request of its own."""
    made: dict[str, Any] = {
        "id": number,
        "shelf": SHELF,
        "exact": f"e{number}",
        "question": f"What is {number}?",
        "reply": ModelReply(f"It is {number}.", usage=Usage(10, 4, 3), model="m"),
        "at": 1000.0 + number,
        "seconds": 0.5,
        "vector": number.to_bytes(8, "little"),
        "embedder": "static",
    }
    return Answer(**made | changed)


def judged(number: int, *, right: bool = True, at: float = 1.0, shelf: Shelf = SHELF) -> Feedback:
    """What was found of an answer."""
    return Feedback(shelf, number, f"What's {number}?", f"What is {number}?", 0.9, 0.8, right, "exact", at)


def everything(number: int) -> ModelReply:
    """A reply with all that a reply may have; ``source`` is whose who gives it again."""
    calls = (ToolCall("c1", "look", '{"at": "\\u0000'), ToolCall("c2", "", ""))
    return ModelReply(f"ä\0\ud83e {number}\n" * 500, calls, "tool_calls", Usage(2**30, 7, 9), "m ü")


async def main(file: str) -> None:
    """Put groups of answers, each with a large reply, and replace the first of each group by the next group's."""
    async with Journal(Path(file)) as journal:
        store, number = Answers(journal), 0
        while True:
            ids = await store.reserve(GROUP)
            said = [
                answer(one, reply=ModelReply(f"It is {one}." * 1_000), exact=f"e{one % (GROUP * 4)}") for one in ids
            ]
            await store.put(said)
            print(f"put {number}", flush=True)
            number += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
