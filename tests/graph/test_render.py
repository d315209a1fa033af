from __future__ import annotations

import json
import re
import shutil
import subprocess
from unicodedata import east_asian_width
from xml.etree import ElementTree as ET

import pytest

from agentrt.errors import ConfigError
from agentrt.graph.compile import read_template
from agentrt.graph.machine import Machine, Node
from agentrt.graph.render import FORMATS, render_run, render_template
from agentrt.graph.template import Template
from agentrt.types import StepId
from tests.graph.reading import HEAD, REPORT, read

EVERYTHING = """\
facts = search(topic)
if n > 3:
    parts = [helper(x, facts) for x in await facts]
else:
    parts = [clean(facts)]
for _ in range(3):
    chat = await writer(parts)
    if chat:
        break
try:
    page = await search(chat)
except ValueError:
    page = await clean('none')
return editor(parts, page)
"""

HOSTILE = [
    'say "hi"',
    "<script>alert(1)</script>",
    "a\\nb\\",
    "]]>&amp;",
    "line\nbreak\r\tx",
    "\x1b[31mred\x07",
    "end",
    "#quot; ;",
    "`tick` | {x} [y] (z)",
    "\u65e5\u672c\u8a9e" * 14,
    "\u202eright to left",
    "\ud800",
    "x" * 300,
]


def hostile(name: str) -> Template:
    """A program in which an agent, one with tools, a condition and a case go by that name."""
    head = HEAD + f"odd = Agent({name!r})\nodder = Agent({name + '2'!r}, tools=[search])\n"
    return read(f"if topic == {name!r}:\n    odd(1)\nmatch n:\n    case {name!r}:\n        odder(2)\nreturn 1", head)


def test_text():
    """The text is a tree in the order of the source, with what each step comes after."""
    assert render_template(read_template(REPORT, "report.py")) == (
        "report  report.py:11\n"
        "├─ ● search                        tool    :12\n"
        "├─ ● planner                       llm     :13\n"
        "├─ ↻ for section in await outline          :14  ← planner\n"
        "│  └─ ○ writer                     agent   :14  ← search  ↺ search\n"
        "│     ├─ ○ writer.turn             llm     :14\n"
        "│     └─ ○ search                  tool    :14  ← writer.turn\n"
        "├─ ○ editor                        llm     :15  ← writer\n"
        "└─ ■ end                                        ← editor\n"
        "\n"
        "● known before the program first waits  ← comes after\n"
    )


def test_text_of_ways():
    """Ways of a branch are headed by their names, and joins are told as what they join."""
    text = render_template(read(EVERYTHING))
    for part in ("◇ n > 3?", "├─ then:", "└─ else:", "← error in search", "helper or clean"):
        assert part in text


@pytest.mark.parametrize("name", HOSTILE)
def test_text_fits_the_terminal(name: str):
    """No line is wider than 80 columns or carries characters that would steer a terminal."""
    for line in render_template(hostile(name)).splitlines():
        assert sum(2 if east_asian_width(one) in "WF" else 1 for one in line) <= 80
        assert line.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_can_be_written(name: str, format: str):  # noqa: A002
    """Whatever a step is called, every format is text that a file can hold."""
    render_template(hostile(name), format).encode()


def test_json():
    """The JSON of a template reads back as the same template."""
    template = read(EVERYTHING)
    assert Template.from_json(json.loads(render_template(template, "json"))) == template


@pytest.mark.parametrize("name", HOSTILE)
def test_svg_is_well_formed(name: str):
    """Whatever a step is called, the picture is valid XML that shows the name and runs nothing."""
    root = ET.fromstring(render_template(hostile(name), "svg"))
    tags = {one.tag.rpartition("}")[2] for one in root.iter()}
    assert tags <= {"svg", "title", "style", "defs", "marker", "path", "rect", "text"}


def test_svg_boxes_do_not_overlap():
    """Boxes of one row or another never cover each other, but for what a box holds."""
    root = ET.fromstring(render_template(read(EVERYTHING), "svg"))
    boxes = [
        tuple(float(one.attrib[key]) for key in ("x", "y", "width", "height"))
        for one in root.iter("{http://www.w3.org/2000/svg}rect")
        if "x" in one.attrib
    ]
    for index, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[index + 1 :]:
            apart = x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
            inside = x <= x2 and y <= y2 and x2 + width2 <= x + width and y2 + height2 <= y + height
            assert apart or inside


@pytest.mark.parametrize("name", HOSTILE)
def test_mermaid_labels_are_only_text(name: str):
    """In Mermaid every label is quoted, and what could act in it is a numbered entity."""
    text = render_template(hostile(name), "mermaid")
    for label in re.findall(r'"([^"\n]*)"', text):
        plain = re.sub(r"#\d+;|<br/>", "", label)
        assert not set(plain) & set("<>&#;\"'`\\[]{}|")
    assert text.count('"') % 2 == 0


def test_mermaid():
    """The Mermaid text names its nodes by number and marks ways and rounds."""
    lines = render_template(read_template(REPORT, "report.py"), "mermaid").splitlines()
    assert lines[:4] == ["---", 'title: "report"', "---", "flowchart TD"]
    assert '  subgraph sn4 ["writer"]' in lines
    assert "  n6 -.->|again| n4" in lines


@pytest.mark.parametrize("name", HOSTILE)
def test_dot_quotes(name: str):
    """In DOT no name ends its own quotes or its line."""
    for line in render_template(hostile(name), "dot").splitlines():
        assert re.fullmatch(r'([^"\\]|"(\\.|[^"\\])*")*', line)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("name", HOSTILE)
def test_dot_is_taken_by_graphviz(name: str):
    """Graphviz reads what we write, whatever a step is called."""
    text = render_template(hostile(name), "dot").encode()
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert not done.stderr


def test_unknown_format():
    """A format there is not is refused with those there are."""
    with pytest.raises(ConfigError, match="'png': expected one of text, json, mermaid, dot, svg"):
        render_template(read("return 1"), "png")


@pytest.fixture
def run() -> list[Node]:
    """A run in its middle: one step done, one failed, one running in an agent, one skipped."""
    machine = Machine()
    agent = Node(StepId("helper#1"), "helper", "agent")
    done, failed = Node(StepId("search#1"), "search", "tool"), Node(StepId("clean#1"), "clean", "python")
    turn = Node(StepId("helper#1/helper.turn#1"), "helper.turn", "llm", parent=agent, after=(done,))
    last = Node(StepId("editor#1"), "editor", "llm", inputs=(agent, failed), after=(done,))
    for node in (done, failed, agent, turn, last):
        machine.add(node, 0.0)
    machine.finish(done, 0.25)
    machine.fail(failed, ValueError("no"), 1.5)
    machine.validate()
    return list(machine.nodes.values())


def test_text_of_a_run(run: list[Node]):
    """A run is drawn with the status and time of each step."""
    assert render_run(run, title="main") == (
        "main\n"
        "├─ ✓ search#1          tool · done · 250 ms\n"
        "├─ ✗ clean#1           python · failed · 1.50 s\n"
        "├─ ▶ helper#1          agent · running\n"
        "│  └─ ▶ helper.turn#1  llm · running             ← search#1\n"
        "└─ ↷ editor#1          llm · skipped             ← helper#1, clean#1, search#1\n"
    )


@pytest.mark.parametrize("format", FORMATS)
def test_run_in_every_format(run: list[Node], format: str):  # noqa: A002
    """Every format draws a run, with every step in it."""
    text = render_run(run, format)
    assert all(name in text for name in ("search", "clean", "helper", "editor", "failed"))


@pytest.mark.parametrize("format", FORMATS)
def test_empty_run(format: str):  # noqa: A002
    """A run without steps is drawn too."""
    assert render_run([], format).endswith("\n")
