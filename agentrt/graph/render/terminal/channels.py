"""How edges run between two columns: along vertical tracks, so that no two share a cell that do not belong together.

Sources with the very same targets are one *net* and share one track: whatever enters it leaves it for each of its
targets, so a fan-out, a fan-in and all-to-all are drawn as one line, and a line says who goes to whom. A vertical line
owns its cells; lines of other nets pass beneath it. Where a source of one net stands in the row of a target of another,
the first has to turn off before the second turns in; where that goes round in a circle, one net takes two tracks and a
free row between them (a dogleg, Deutsch 1976).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentrt.graph.render.terminal.columns import Item


@dataclass(slots=True, eq=False)
class Net:
    """Edges that share a track: every source is joined to every target. Rows are those of their ports.

    ``track`` counts from 0 at the left. With a dogleg the sources meet on ``track``, the line runs along ``row`` to
    ``second``, and the targets leave from there.
    """

    sources: list[Item]
    targets: list[Item]
    track: int = 0
    second: int = 0
    row: int | None = None

    @property
    def parts(self) -> list[Part]:
        """Its vertical lines: one, or two with a dogleg."""
        enter, leave = {one.line for one in self.sources}, {one.line for one in self.targets}
        if self.row is None:
            return [Part(self, 0, frozenset(enter), frozenset(leave))]
        return [Part(self, 0, frozenset(enter), frozenset()), Part(self, 1, frozenset(), frozenset(leave))]


class Part(NamedTuple):
    """One vertical line of a net, 0 the first: the rows of the sources that enter and of the targets that leave."""

    net: Net
    number: int
    enter: frozenset[int]
    leave: frozenset[int]

    @property
    def span(self) -> tuple[int, int]:
        """Its first and last row."""
        rows = self.enter | self.leave if self.net.row is None else self.enter | self.leave | {self.net.row}
        return min(rows), max(rows)

    @property
    def straight(self) -> bool:
        """Whether it is no more than a point."""
        low, high = self.span
        return low == high


@dataclass(slots=True)
class Channel:
    """What runs between two columns, on ``tracks`` tracks."""

    nets: list[Net]
    tracks: int


def channel(column: Sequence[Item]) -> Channel:
    """The nets between a column and the one to its right, on their tracks."""
    by_targets: dict[frozenset[int], Net] = {}
    for item in column:
        if item.rights:
            key = frozenset(map(id, item.rights))
            net = by_targets.setdefault(key, Net([], item.rights))
            net.sources.append(item)
    nets = list(by_targets.values())
    return Channel(nets, _assign(nets))


def _assign(nets: list[Net]) -> int:
    """Give every net its track; the number of tracks."""
    while True:
        parts = [part for net in nets for part in net.parts]
        before = _constraints(parts)
        order, cyclic = _sorted(before)
        if cyclic is None:
            return _pack(parts, before, order)
        net = parts[cyclic].net
        net.row = _free_row(nets, net)


def _constraints(parts: list[Part]) -> list[list[int]]:
    """For each part, by number, the parts whose track must lie further left."""
    entering = {row: number for number, part in enumerate(parts) if not part.straight for row in part.enter}
    before: list[list[int]] = []
    for number, part in enumerate(parts):
        found = [entering[row] for row in part.leave if entering.get(row, number) != number]
        before.append([*found, number - 1] if part.number else found)
    return before


def _sorted(before: list[list[int]]) -> tuple[list[int], int | None]:
    """The parts, each after those before it; or one that closes a circle and has no dogleg yet."""
    left = [len(set(some)) for some in before]
    after: dict[int, list[int]] = {}
    for number, some in enumerate(before):
        for one in set(some):
            after.setdefault(one, []).append(number)
    order = [number for number, count in enumerate(left) if not count]
    for number in order:
        for one in after.get(number, ()):
            left[one] -= 1
            if not left[one]:
                order.append(one)
    if len(order) == len(before):
        return order, None
    return order, _in_circle(before, set(order))


def _in_circle(before: list[list[int]], done: set[int]) -> int:
    """A part that waits for itself: whoever goes back from one that waits on and on comes to it twice."""
    number = next(one for one in range(len(before)) if one not in done)
    seen: set[int] = set()
    while number not in seen:
        seen.add(number)
        number = next(one for one in before[number] if one not in done)
    return number


def _free_row(nets: list[Net], net: Net) -> int:
    """The row nearest to the net's first source that nothing enters or leaves by."""
    taken = {one.line for other in nets for one in (*other.sources, *other.targets)}
    taken |= {other.row for other in nets if other.row is not None}
    home = net.sources[0].line
    rows = [row for row in range(max(taken) + 2) if row not in taken]
    return min(rows, key=lambda row: abs(row - home))


def _pack(parts: list[Part], before: list[list[int]], order: list[int]) -> int:
    """The leftmost track for each part that lies right of those before it and is free along its rows."""
    taken: list[list[tuple[int, int]]] = []
    track = [0] * len(parts)
    for number in order:
        part = parts[number]
        if part.straight:
            continue
        least = max((track[one] + 1 for one in before[number]), default=0)
        low, high = part.span
        while least < len(taken) and any(low <= end and start <= high for start, end in taken[least]):
            least += 1
        while len(taken) <= least:
            taken.append([])
        taken[least].append((low, high))
        track[number] = least
        if part.number == 0:
            part.net.track = least
        else:
            part.net.second = least
    return len(taken)
