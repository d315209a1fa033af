"""No source crashes the reader: real files, and programs that were cut up."""

from __future__ import annotations

import re
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import AgentrtError
from agentrt.graph.compile import read_template
from agentrt.graph.render import FORMATS, render_template
from tests.graph.reading import REPORT, source
from tests.graph.test_render import EVERYTHING

LIBRARY = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))

SAMPLES = [
    REPORT,
    source(EVERYTHING),
    source(
        "chat = writer.session()\nwhile (x := await chat(topic)) != n:\n    match x:\n        case {'a': b}:\n"
        "            async with asyncio.TaskGroup() as g:\n                g.create_task(search(b))\n        case _:\n"
        "            continue\n    del x\nreturn await asyncio.gather(*(clean(y) for y in map(writer, topic)))"
    ),
    source(
        "def f(a, *b, **c):\n    again = lambda q: f(q)\n    return f(a) or again(b)\nclass K:\n    w = writer\n"
        "try:\n    x = f(K.w(1))\nexcept* ValueError:\n    raise\nelse:\n    x = [*x, *{1: search(2)}.values()]\n"
        "finally:\n    pass\nreturn {k: v for k, v in zip(x, [i async for i in each(writer, x)])}"
    ),
]

TOKENS = [re.findall(r"\w+|\s+|[^\w\s]", text) for text in SAMPLES]


def read(text: str) -> None:
    """Read every way there is, and draw what comes out."""
    with suppress(AgentrtError):
        template = read_template(text, "p.py", "main" if "def main" in text else None)
        for one in FORMATS:
            render_template(template, one)


@pytest.mark.parametrize("text", SAMPLES)
def test_samples_are_sound(text: str):
    """What the next tests cut up is a program in the first place."""
    read_template(text, "p.py")


@pytest.mark.parametrize("path", LIBRARY[::12], ids=lambda path: path.name)
def test_real_files(path: Path):
    """A real file, each of its functions made a step or a program, is read or refused, never more."""
    text = path.read_text(encoding="utf-8")
    kinds = iter(range(10**6))
    marked = re.sub(
        r"(?m)^(?=(async )?def )", lambda _: ("@agentrt.program\n", "@agentrt.step\n")[next(kinds) % 2], text
    )
    for name in [None, *re.findall(r"(?m)^@agentrt\.program\n(?:async )?def (\w+)", marked)[:3]]:
        with suppress(AgentrtError):
            read_template(re.sub(r"(?m)^from __future__.*$", "", f"import agentrt\n{marked}"), path.name, name)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(TOKENS), st.data())
def test_cut_up(tokens: list[str], data: st.DataObject):
    """A program with tokens dropped, doubled or swapped is read or refused, never more."""
    tokens = list(tokens)
    for _ in range(data.draw(st.integers(1, 6))):
        here = data.draw(st.integers(0, len(tokens) - 1))
        there = data.draw(st.integers(0, len(tokens) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "swap", "put"]))
        if change == "drop" and len(tokens) > 1:
            del tokens[here]
        elif change == "double":
            tokens.insert(here, tokens[there])
        elif change == "swap":
            tokens[here], tokens[there] = tokens[there], tokens[here]
        else:
            tokens.insert(
                here, data.draw(st.sampled_from(["await ", "writer", "(", ")", "*", "return ", "break", "\0", "é"]))
            )
    read("".join(tokens))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str):
    """Any text at all is read or refused, never more."""
    read(text)
