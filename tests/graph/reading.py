"""Programs for the tests of this folder, and short ways to ask about their templates."""

from __future__ import annotations

from agentrt.graph.compile import read_template
from agentrt.graph.template import Template

HEAD = """\
import asyncio
from agentrt import Agent, each, program, step, tool
@tool
async def search(query: str) -> list[str]: ...
@step
def clean(text: str) -> str: ...
writer = Agent("writer")
editor = Agent("editor")
helper = Agent("helper", tools=[search])
"""

REPORT = """\
from agentrt import Agent, program, tool

@tool
async def search(query: str) -> list[str]: ...

planner = Agent("planner")
writer = Agent("writer", system="You write one paragraph.", tools=[search])
editor = Agent("editor")

@program
async def report(topic: str) -> str:
    facts = search(topic)
    outline = planner(f"Outline a report on {topic}")
    parts = [writer(section, facts) for section in await outline]
    return editor(parts)
"""


def source(body: str, head: str = HEAD) -> str:
    """A file with one program of this body; its first line stands right below the head."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").split("\n"))
    return f"{head}@program\nasync def main(topic, n=1, **more):\n{lines}\n"


FIRST = HEAD.count("\n") + 3
"""The line in which a body starts."""


def read(body: str, head: str = HEAD) -> Template:
    """The template of a program of this body."""
    return read_template(source(body, head), "p.py", "main")


def into(template: Template, node: str) -> dict[str, str]:
    """What a node comes after, and by which kind of edge."""
    return {str(edge.source): edge.kind for edge in template.edges if edge.target == node}


def steps(template: Template) -> list[str]:
    """The ids of the steps."""
    return [str(node.id) for node in template.nodes if node.is_step]
