"""Where the choice goes from a node of a drawn graph. Nothing of Textual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

from agentrt.graph.render.terminal import CellPlace

MARGIN: Final = 8
"""The columns kept visible beside what is scrolled to, where there is room."""

Direction: TypeAlias = Literal["left", "right", "up", "down"]


def neighbour(
    places: Mapping[str, CellPlace], edges: Iterable[tuple[str, str]], node: str, direction: Direction
) -> str | None:
    """The node to go to: along an edge to the left or right, where there is one; else the nearest on that side."""
    here = places[node]
    if direction in ("left", "right"):
        ends = [(a, b) if direction == "right" else (b, a) for a, b in edges]
        near = [
            other for one, other in ends if one == node and other in places and _beyond(here, places[other], direction)
        ]
        if near:
            return min(near, key=lambda name: (abs(places[name].y - here.y), abs(places[name].x - here.x)))
    beyond = [name for name, place in places.items() if name != node and _beyond(here, place, direction)]
    return min(beyond, key=lambda name: _far(here, places[name], direction), default=None)


def at(places: Mapping[str, CellPlace], x: int, y: int) -> str | None:
    """The node whose label, box or frame's line is there."""
    return next((name for name, place in places.items() if place.holds(x, y)), None)


def scrolled(place: CellPlace, size: tuple[int, int], offset: tuple[int, int]) -> tuple[int, int]:
    """How far to scroll, from ``offset``, as little as makes a label visible in that size, with something around it."""
    (width, height), (x, y) = size, offset
    left, right = max(0, place.x - MARGIN), place.x + place.width + MARGIN
    top, bottom = max(0, place.y - 1), place.y + place.height + 1
    if right - left > width:
        left, right = place.x, place.x + width
    return min(left, max(x, right - width)), min(top, max(y, bottom - height))


def _beyond(here: CellPlace, there: CellPlace, direction: Direction) -> bool:
    match direction:
        case "left":
            return there.x < here.x
        case "right":
            return there.x > here.x
        case "up":
            return there.y < here.y
        case "down":
            return there.y > here.y


def _far(here: CellPlace, there: CellPlace, direction: Direction) -> tuple[int, int]:
    """How far away: first what lies straight in the direction, then the nearest, then the least aside."""
    across, along = _apart(here, there), abs(there.y - here.y)
    if direction in ("up", "down"):
        return (across > 0) * 1000 + along + across, abs(there.x - here.x)
    return 2 * along + abs(there.x - here.x), along


def _apart(here: CellPlace, there: CellPlace) -> int:
    """The columns between two labels, 0 when one is above the other."""
    return max(0, there.x - here.x - here.width, here.x - there.x - there.width)
