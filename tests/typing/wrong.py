"""What type checkers must refuse; every marked line is one error."""

from __future__ import annotations

from agentrt import Agnet, approve, ask, choose, fill, program, run  # refused
from agentrt.executors import OpenAIExecuter  # refused
from tests.typing.right import Paragraph, half, main, planner, rank, search, writer


@program
async def wrong() -> int:
    await search(42)  # refused
    await search()  # refused
    await search(topic="x")  # refused
    await rank(half(1))  # refused
    await half(search("x"))  # refused
    await rank(["x"], top="y")  # refused
    len(search("x"))  # refused
    search("x")[0]  # refused
    (await search("x")).upper()  # refused
    (await writer("x")).body  # refused
    text: str = await writer("x")  # refused
    await planner("x", to="y")  # refused
    await approve("Go on?", default="yes")  # refused
    await choose("Which?", 3)  # refused
    await ask("Name?", within="soon")  # refused
    (await fill("Which?", Paragraph)).body  # refused
    print(text)
    return await search("x")  # refused


run(main, 3)  # refused
run(half, 3)  # refused
run(main, "x").output.title_  # refused
print(Agnet, OpenAIExecuter)
