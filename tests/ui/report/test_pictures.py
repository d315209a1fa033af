"""Pictures: the graph of any run can be drawn, the time beneath it, and numbers over time."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from agentrt.events import RunEnded, StepAdded
from agentrt.graph.render.svg import to_svg
from agentrt.types import StepId
from agentrt.ui.folds.folding import MOST
from agentrt.ui.report.charts import Curve, figure, round_up, rounded
from agentrt.ui.report.escaping import html, line, shown
from agentrt.ui.report.gantt import MOST_ROWS, Gantt
from agentrt.ui.report.graph import acyclic, drawing_of
from agentrt.ui.report.picture import picture_of
from tests.ui.report.conftest import HOSTILE, HOSTILE_NAME, RUN, a_lot, by_time, ran, report_of

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    """What is written in a picture, which must be well-formed."""
    return [element.text or "" for element in ET.fromstring(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize("seed", range(8))
def test_every_run_can_be_drawn(seed: int) -> None:
    """Whatever has run is a well-formed picture, with a box and a line for each step."""
    picture = picture_of(report_of(a_lot(seed, size=50)))
    written = texts(picture)
    assert "llm#" in "".join(written)
    assert "critical path" in written


def test_the_time_is_beneath_the_graph() -> None:
    """One picture: boxes above, bars below, as wide as the wider of them."""
    root = ET.fromstring(picture_of(report_of([*ran("a#1", 0, 1), *ran("b#1", 1, 2, inputs=("a#1",))])))
    graph = root.find(f"{SVG}svg")
    assert graph is not None
    (bars,) = [element for element in root.findall(f"{SVG}g") if element.get("transform")]
    below = float(str(bars.get("transform")).partition(" ")[2].partition(")")[0])
    assert below >= float(str(graph.get("height")))
    assert float(str(root.get("height"))) > below


def test_texts_stay_texts_in_pictures() -> None:
    """A name that would be markup is drawn as it is."""
    picture = picture_of(report_of(ran(f"{HOSTILE_NAME}#1", 0, 1), program=HOSTILE))
    assert not list(ET.fromstring(picture).iter(f"{SVG}img"))
    assert any("<img src=x onerror" in text for text in texts(picture))


def test_many_steps_are_folded() -> None:
    """Above sixty steps those of a name are one box and one line, which says how many they are."""
    events = [event for n in range(200) for event in ran(f"fetch#{n}", n / 10, n / 10 + 1)]
    events += [event for n in range(200) for event in ran(f"read#{n}", 1 + n / 10, 2 + n / 10, inputs=(f"fetch#{n}",))]
    report = report_of([*by_time(events), RunEnded(RUN, 30.0, "done", None)])
    drawing = drawing_of(report.view, report.now)
    assert [node.title for node in drawing.nodes] == ["fetch x200", "read x200"]
    assert [(edge.source, edge.kind) for edge in drawing.edges] == [(drawing.nodes[0].id, "data")]
    assert [row.label for row in Gantt(report).rows] == ["fetch x200", "read x200"]
    assert len(picture_of(report)) < 60_000


def test_a_way_round_is_drawn_as_one() -> None:
    """Boxes that take results of each other, as rounds of a loop do when folded, are drawn with an edge back."""
    events = []
    for n in range(50):
        events += ran(f"write#{n}", n, n + 0.5, inputs=[f"judge#{n - 1}"] if n else [])
        events += ran(f"judge#{n}", n + 0.5, n + 1, inputs=[f"write#{n}"])
    drawing = drawing_of(report_of(events).view, 50.0)
    titles = {node.id: node.title for node in drawing.nodes}
    assert {(titles[edge.source], titles[edge.target]): edge.kind for edge in drawing.edges} == {
        ("write x50", "judge x50"): "data",
        ("judge x50", "write x50"): "back",
    }
    assert "back" in to_svg(drawing)


def test_holders_that_take_from_each_other_can_be_drawn() -> None:
    """A step inside one agent that takes what a later one gave is no reason not to draw the graph."""
    events = [*ran("a#1", 0, 9, kind="agent"), *ran("a#1/x#1", 0, 1), *ran("late#1", 1, 2, inputs=("a#1/x#1",))]
    events += ran("a#1/y#1", 2, 3, inputs=("late#1",))
    drawing = drawing_of(report_of(by_time(events)).view, 9.0)
    kinds = {(edge.source, edge.target): edge.kind for edge in drawing.edges}
    assert kinds == {("a#1/x#1", "late#1"): "data", ("late#1", "a#1/y#1"): "back"}
    ET.fromstring(to_svg(drawing))


def test_sources_come_first() -> None:
    """A step that was given others to wait for than it was called with stands behind them."""
    report = report_of([*ran("a#1", 0, 1), *ran("b#1", 1, 2)])
    drawing = drawing_of(report.view, 2.0)
    nodes, edges = acyclic(drawing.nodes, [("b#1", "a#1", "data")])
    assert [node.id for node in nodes] == ["b#1", "a#1"]
    assert edges == [("b#1", "a#1", "data")]


def test_a_join_stands_among_those_that_it_gathers() -> None:
    """The steps of an agent are gathered inside of its box."""
    events = [*ran("a#1", 0, 9, kind="agent"), *ran("a#1/x#1", 0, 1), *ran("a#1/x#2", 0, 1)]
    events.append(
        StepAdded(RUN, 1.0, StepId("join-1"), "join", "join", None, (StepId("a#1/x#1"), StepId("a#1/x#2")), ())
    )
    events += ran("a#1/y#1", 1, 2, inputs=("join-1",))
    drawing = drawing_of(report_of(by_time(events)).view, 9.0)
    assert {node.id: node.parent for node in drawing.nodes}["join-1"] == "a#1"


def test_bars_are_where_the_time_was() -> None:
    """A step's bar begins and ends at its times, and tells them to who points at it."""
    report = report_of([*ran("a#1", 0, 5, kind="tool"), *ran("b#1", 5, 10), RunEnded(RUN, 10.0, "done", None)])
    root = ET.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(Gantt(report).lines())}</svg>')
    bars = [
        one for one in root.iter(f"{SVG}rect") if one.get("class") in ("g-tool", "g-code") and one.get("y") != "4.0"
    ]
    first, second = ((float(str(one.get("x"))), float(str(one.get("width")))) for one in bars)
    assert first[0] + first[1] == pytest.approx(second[0], abs=0.2)
    assert first[1] == pytest.approx(second[1], abs=0.2)
    assert "a#1\ntool, done\ntools 5.0 s" in [title.text for title in root.iter(f"{SVG}title")]


def test_lines_are_bounded() -> None:
    """A program with very many names has a picture of bounded height, which says how many lines it has not."""
    events = [event for n in range(3 * MOST_ROWS) for event in ran(f"name{n}#1", n, n + 1)]
    gantt = Gantt(report_of(events))
    assert (len(gantt.rows), gantt.left_out) == (MOST_ROWS, 2 * MOST_ROWS)
    assert 3 * MOST_ROWS > MOST


def test_figures_are_well_formed() -> None:
    """Areas stand on top of each other, lines beside; a curve without a point, and a run without time, can be drawn."""
    curves = [Curve("in <use>", "a", [(0, 1), (5, 3)]), Curve("free", "b", [(0, 9), (5, 7)])]
    for stacked in (True, False):
        root = ET.fromstring(figure("Tier", curves, 10.0, stacked=stacked, top=10))
        assert len([one for one in root.iter("path") if one.get("d", "").startswith("M46.0")]) >= 2
    assert "in &lt;use&gt; 3" in figure("Tier", curves, 10.0)
    ET.fromstring(figure("none", [Curve("x", "c", [])], 0.0))


@pytest.mark.parametrize(
    ("value", "word"), [(0, "0"), (2.5, "2.5"), (950, "950"), (1_234, "1.23k"), (5_600_000, "5.6M"), (2e9, "2G")]
)
def test_numbers_are_short(value: float, word: str) -> None:
    """Numbers on an axis take few letters."""
    assert rounded(value) == word


def test_ticks_are_round() -> None:
    """The next of 1, 2 and 5, times a power of ten."""
    assert [round_up(value) for value in (0, 0.3, 1, 1.1, 26, 51, 1000)] == [1, 0.5, 1, 2, 50, 100, 1000]


def test_what_cannot_be_seen_is_shown() -> None:
    """Control characters and marks of direction have a sign; line breaks and other languages stay."""
    assert shown("a\tb\nc \x1b\x7f\x9b\u202e\0 Größe 水 👩‍🔬") == "a\tb\nc ␛␡⟨U+009B⟩⟨U+202E⟩␀ Größe 水 👩‍🔬"
    assert html('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"
    assert line(" a\n b ") == "a b"
    assert len(line("x" * 5_000)) == 300
