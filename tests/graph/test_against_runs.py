"""What the source tells beforehand is what a run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrt import Runtime
from agentrt.events import StepAdded
from agentrt.graph.compile import read_template
from agentrt.graph.template import TemplateNode
from agentrt.sdk.loader import load_program

HEAD = """\
import asyncio
from agentrt import each, program, step, tool
@tool
async def search(query: object) -> list[str]:
    await asyncio.sleep(0)
    return ["a", "b"]
@step
async def clean(text: object) -> str:
    await asyncio.sleep(0)
    return "x"
@step
async def judge(*facts: object) -> int:
    return len(facts)
@program
async def inner(query: object) -> str:
    found = await search(query)
    return await clean(found)
"""

BODIES = [
    "a = search(1)\nb = clean(a)\nc = [judge(b, a) for _ in range(3)]\nreturn await clean(c)",
    "a = search(1)\nparts = [clean(x) for x in await a]\nreturn await judge(*parts)",
    "a = await search(1)\nif a:\n    b = clean(a)\nelse:\n    b = judge(1)\nreturn await judge(b, inner(a))",
    "t = clean(0)\nfor _ in range(3):\n    t = clean(t)\nreturn await t",
    (
        "async def one(x):\n    return await clean(await search(x))\n"
        "r = await asyncio.gather(one(1), one(2))\nreturn await judge(r)"
    ),
    (
        "n = 0\nwhile n < 3:\n    n += await judge(1)\n    if n == 2:\n        break\nelse:\n    search(n)\n"
        "return await clean(n)"
    ),
    "out = [x async for x in each(clean, [1, 2, 3], at_once=2)]\nreturn await judge(out)",
    "a = search(1)\nb = clean.with_(after=[a])(2)\nreturn await judge(b)",
    (
        "try:\n    a = await search(1)\n    raise ValueError\nexcept ValueError:\n    a = await clean(2)\n"
        "finally:\n    b = judge(3)\nreturn await b"
    ),
    (
        "async with asyncio.TaskGroup() as g:\n"
        "    t = g.create_task(inner(1).ref if 0 else asyncio.sleep(0))\n    x = inner(2)\n"
        "return await judge(x)"
    ),
    (
        "x, y = inner(1), inner(2)\n"
        "first, _ = await asyncio.wait([x, y], return_when=asyncio.FIRST_COMPLETED)\nreturn await judge(x, y)"
    ),
]


@pytest.mark.parametrize("body", BODIES)
async def test_template_holds_what_a_run_does(body: str, tmp_path: Path):
    """Known steps get the ids and inputs that were foretold, every other step stands in the template at its line."""
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    path = tmp_path / "p.py"
    path.write_text(f"{HEAD}@program\nasync def main() -> object:\n{lines}\n")
    template = read_template(path.read_text(), str(path), "main")
    added: list[StepAdded] = []
    async with Runtime(
        {}, observers=[lambda event: added.append(event) if isinstance(event, StepAdded) else None]
    ) as runtime:
        result = await runtime.run(load_program(f"{path}:main"))
    assert result.status == "done"
    assert {step.id: step.inputs for step in template.known}.items() <= {
        step.step: step.inputs for step in added
    }.items()
    nodes: dict[str, set[TemplateNode]] = {step.step: set(template.find(step.name)) for step in added}
    above = {(edge.source, edge.target) for edge in template.edges}
    reached = _closure({str(node.id) for node in template.nodes}, above)
    for step in added:
        assert nodes[step.step], f"{step.step} is not in the template"
        for before in (*step.inputs, *step.after):
            assert any(str(one.id) in reached[str(two.id)] for one in nodes[step.step] for two in nodes[before])


def _closure(ids: set[str], edges: set[tuple[str, str]]) -> dict[str, set[str]]:
    """For each node those that can come behind it."""
    found: dict[str, set[str]] = {}
    for start in ids:
        seen: set[str] = set()
        queue = [start]
        for one in queue:
            for source, target in edges:
                if source == one and target not in seen:
                    seen.add(str(target))
                    queue.append(str(target))
        found[start] = seen
    return found
