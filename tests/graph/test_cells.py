"""Step graphs drawn with box characters: what a reader sees is what the edges say."""

from __future__ import annotations

import random
from collections.abc import Iterable
from textwrap import dedent

import pytest

from agentrt.graph.render.terminal import CellEdge, CellNode, CellPicture, draw_cells
from agentrt.graph.render.terminal.channels import channel
from agentrt.graph.render.terminal.columns import Item
from agentrt.graph.render.terminal.strokes import DOWN, LEFT, RIGHT, UP, Cell, glyph

STEPS = {UP: (0, -1), RIGHT: (1, 0), DOWN: (0, 1)}
OPPOSITE = {UP: DOWN, DOWN: UP, RIGHT: LEFT}


def nodes(names: str) -> list[CellNode]:
    """Nodes of these names, with the room that the name takes and a blank; ``x/y`` is y inside of x."""
    parts = [name.rpartition("/") for name in names.split()]
    return [CellNode(name, len(name) + 1, holder=holder) for holder, _, name in parts]


def edges(told: str) -> list[CellEdge]:
    """``a>b`` hands on a value, ``a:b`` is an order."""
    return [CellEdge(*one.replace(":", ">").split(">"), control=":" in one) for one in told.split()]


def lines(picture: CellPicture, marked: Iterable[tuple[str, str]] = ()) -> list[str]:
    """What a terminal would show."""
    marks = picture.marks(marked)
    rows = [[" "] * picture.width for _ in range(picture.height)]
    for y, row in enumerate(rows):
        for run in picture.line(y, marks.get(y)):
            row[run.x : run.x + len(run.text)] = run.text
    for name, place in picture.places.items():
        rest = "─" * (place.width - len(name) - 1) if place.leaves else ""
        rows[place.y][place.x : place.x + len(name) + 1 + len(rest)] = f"{name} {rest}"
    return ["".join(row).rstrip() for row in rows]


def drawn(names: str, told: str, marked: Iterable[tuple[str, str]] = ()) -> str:
    """The picture of a graph as text."""
    return "\n".join(lines(draw_cells(nodes(names), edges(told)), marked)) + "\n"


@pytest.mark.parametrize(
    ("names", "told", "picture"),
    [
        ("a b c", "a>b b>c", "a ─▸ b ─▸ c\n"),
        (
            "a b c d",
            "a>b a>c b>d c>d",
            """\
            a ─┬▸ b ─┬▸ d
               └▸ c ─┘
            """,
        ),
        (
            "s1 s2 s3 t1 t2 t3",
            "s1>t1 s1>t2 s1>t3 s2>t1 s2>t2 s2>t3 s3>t1 s3>t2 s3>t3",
            """\
            s1 ─┬▸ t1
            s2 ─┼▸ t2
            s3 ─┴▸ t3
            """,
        ),
        (
            "a b c",
            "a>b b>c a>c",
            """\
            a ─┬▸ b ─┬▸ c
               └─────┘
            """,
        ),
        (
            "search planner pick writer",
            "search>pick planner:pick pick>writer planner:writer",
            """\
            search ──┬▸ pick ─▸ writer
            planner ╌┘
            """,
        ),
        (
            "agent agent/turn agent/look agent/read agent/end last",
            "turn>look turn>read look>end read>end agent>last",
            """\
            ╭─agent ─────────────────╮─▸ last
            │ turn ─┬▸ look ─┬▸ end  │
            │       └▸ read ─┘       │
            ╰────────────────────────╯
            """,
        ),
    ],
    ids=["chain", "diamond", "all to all", "past a column", "an order that is implied", "what a step holds"],
)
def test_shapes_that_programs_have_are_drawn_as_people_draw_them(names: str, told: str, picture: str) -> None:
    """Main lines are straight, what goes together shares a line, and a frame is around what a step holds."""
    assert drawn(names, told) == dedent(picture)


def test_a_line_that_passes_beneath_another_does_not_join_it() -> None:
    """Of two sources that share one of two targets, the other target is seen to have one source."""
    assert drawn("s u v t", "s>v s>t u>t") == dedent(
        """\
        s ─┬▸ v
        u ─└▸ t
        """
    )


def test_lines_that_change_places_go_round_each_other() -> None:
    """Two lines whose ends stand crosswise in two rows never share a cell: one takes a free row between two tracks."""
    a, b, x, y = (Item(name, 2, 1, 0, row=row) for name, row in (("a", 0), ("b", 1), ("x", 0), ("y", 1)))
    for source, target in ((a, y), (b, x)):
        source.rights.append(target)
        target.lefts.append(source)
    found = channel([a, b])
    (bent,) = [net for net in found.nets if net.row is not None]
    (plain,) = [net for net in found.nets if net.row is None]
    assert bent.row == 2
    assert bent.track < plain.track < bent.second < found.tracks


def test_marked_edges_are_heavy_and_leave_others_light() -> None:
    """The marked way is told from the others without any colour."""
    assert drawn("a b c d", "a>b a>c b>d c>d", [("a", "c"), ("c", "d")]) == dedent(
        """\
        a ━┱▸ b ─┲▸ d
           ┗▸ c ━┛
        """
    )


def test_a_cycle_is_entered_where_it_came_first_and_its_end_is_told() -> None:
    """What closes a cycle is not drawn but named, so that the caller can mark it."""
    picture = draw_cells(nodes("turn tool end"), edges("turn>tool tool>turn turn>end"))
    assert picture.back == {("tool", "turn")}
    assert lines(picture) == ["turn ─┬▸ tool", "      └▸ end"]


def test_an_edge_to_what_came_earlier_is_drawn_as_any_other() -> None:
    """The order in which steps were made does not matter where an edit made an early one wait for a late one."""
    assert drawn("answer plan task", "plan>answer task>answer plan>task").splitlines()[0].startswith("plan ")


def test_nothing_is_drawn_of_nothing() -> None:
    """An empty graph is an empty picture."""
    picture = draw_cells((), ())
    assert (picture.width, picture.height, picture.places) == (0, 0, {})


def test_a_box_has_its_label_inside_and_its_edges_at_the_first_line() -> None:
    """Boxes leave room for as many lines as asked for."""
    boxes = [CellNode(name, 6, 2, boxed=True) for name in "ab"]
    picture = draw_cells(boxes, edges("a>b"))
    assert (picture.height, picture.places["a"][:4], picture.places["a"].frame) == (4, (2, 1, 6, 2), (0, 0, 10, 4))
    assert lines(picture)[1] == "│ a      │─▸ │ b      │"


def test_the_glyphs_show_their_directions() -> None:
    """Masks and weights come out as the characters that Unicode has for them."""
    assert [glyph(Cell(mask, "edge")) for mask in (10, 5, 6, 12, 3, 9, 7, 13, 14, 11, 15)] == list("─│┌┐└┘├┤┬┴┼")
    assert glyph(Cell(15, "edge"), heavy=10) == "┿"
    assert glyph(Cell(15, "edge"), heavy=15) == "╋"


@pytest.mark.parametrize("seed", range(40))
def test_in_any_graph_lines_lead_where_edges_lead(seed: int) -> None:
    """No labels overlap; every drawn edge begins and ends at its nodes; a line leads to nobody else."""
    chance = random.Random(seed)
    names = [f"n{number}" for number in range(chance.randint(2, 60))]
    pairs = {
        (names[low], names[high])
        for low, high in (sorted(chance.sample(range(len(names)), 2)) for _ in range(chance.randint(1, 90)))
        if high - low < 16
    }
    check(draw_cells(nodes(" ".join(names)), [CellEdge(*pair) for pair in sorted(pairs)]), pairs)


def check(picture: CellPicture, pairs: set[tuple[str, str]]) -> None:
    """The picture says what the edges say."""
    taken = [(place.x + dx, place.y) for place in picture.places.values() for dx in range(place.width)]
    assert len(taken) == len(set(taken))
    tips = {(place.x - 2, place.y): name for name, place in picture.places.items()}
    masks = {(x, y): cell for y, row in enumerate(picture._canvas.rows) for x, cell in row.items()}
    for source in {source for source, _ in pairs}:
        place = picture.places[source]
        targets = {target for one, target in pairs if one == source}
        assert reached((place.x + place.width, place.y), masks, tips) <= targets
        for target in targets:
            path = [(x, y) for y, row in picture.marks([(source, target)]).items() for x in row]
            assert min(path)[0] >= place.x + place.width
            assert (picture.places[target].x - 2, picture.places[target].y) in path


def reached(start: tuple[int, int], masks: dict[tuple[int, int], Cell], tips: dict[tuple[int, int], str]) -> set[str]:
    """The nodes to whose tips one comes from a cell along lines, which never lead to the left."""
    found, seen, queue = set(), {start}, [start]
    while queue:
        x, y = queue.pop()
        if (x, y) in tips and masks[x, y].role == "tip":
            found.add(tips[x, y])
            continue
        for bit, (dx, dy) in STEPS.items():
            there = (x + dx, y + dy)
            joined = masks[x, y].mask & bit and there in masks and masks[there].mask & OPPOSITE[bit]
            if joined and there not in seen:
                seen.add(there)
                queue.append(there)
    return found


@pytest.mark.parametrize("seed", range(10))
def test_what_is_added_leaves_the_rest_in_its_order(seed: int) -> None:
    """As a graph grows by one node at a time, few pairs of nodes in one column change places."""
    chance = random.Random(seed)
    names, told, before = ["n0"], list[CellEdge](), draw_cells(nodes("n0"), ())
    changed = pairs = 0
    for number in range(1, 50):
        told.append(CellEdge(names[chance.randrange(max(0, number - 8), number)], f"n{number}"))
        names.append(f"n{number}")
        after = draw_cells(nodes(" ".join(names)), told, before)
        for one in before.places:
            for other in before.places:
                if one < other and before.places[one].x == before.places[other].x:
                    pairs += 1
                    was = before.places[one].y < before.places[other].y
                    changed += was != (after.places[one].y < after.places[other].y)
        before = after
    assert changed <= 0.02 * pairs
