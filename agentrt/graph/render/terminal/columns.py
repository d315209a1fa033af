"""Which column each node of a drawing stands in, and in which order: few crossings, and little that moves.

Columns are the levels of the nodes. An edge that passes columns gets a bend in each; the edges of one source share
theirs, so that a value that many use is one line. A column is ordered by where its neighbours stand (barycentres,
Sugiyama, Tagawa and Toda 1981); an order from before is only given up for one with fewer crossings.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentrt.graph.analysis import levels

SWEEPS: Final = 6
"""How often the columns are ordered, alternately by their left and their right neighbours."""


@dataclass(slots=True, eq=False)
class Item:
    """A node, or a bend of the edges of one source (``bend``), in its column; lengths are in cells.

    ``port`` is the row of it, from its top, where edges come and go. ``row`` is its top, ``place`` its number in its
    column from 0. ``lefts`` and ``rights`` are its neighbours in the columns beside it.
    """

    id: str
    width: int
    height: int
    port: int
    level: int = 0
    bend: bool = False
    row: int = 0
    place: int = 0
    lefts: list[Item] = field(default_factory=list)
    rights: list[Item] = field(default_factory=list)

    @property
    def line(self) -> int:
        """The row in which its edges come and go."""
        return self.row + self.port


def forward(ids: Sequence[str], edges: Iterable[tuple[str, str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """The ids with sources before targets, and the edges that agree with that; what closes a cycle is left out.

    Ties go by the order of the ids, and so does the choice where a cycle is entered.
    """
    number = {name: index for index, name in enumerate(ids)}
    after: dict[str, list[str]] = {name: [] for name in ids}
    missing = dict.fromkeys(ids, 0)
    pairs = list(dict.fromkeys((source, target) for source, target in edges if source != target))
    for source, target in pairs:
        after[source].append(target)
        missing[target] += 1
    order: dict[str, int] = {}
    ready = [index for index, name in enumerate(ids) if not missing[name]]
    entries = iter(range(len(ids)))
    while len(order) < len(ids):
        index = ready.pop(0) if ready else next(one for one in entries if ids[one] not in order)
        name = ids[index]
        order[name] = len(order)
        for target in after[name]:
            missing[target] -= 1
            if not missing[target] and target not in order:
                insort(ready, number[target])
    kept = [pair for pair in pairs if order[pair[0]] < order[pair[1]]]
    return list(order), sorted(kept, key=lambda pair: order[pair[0]])


def telling(pairs: Sequence[tuple[str, str]], control: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges without those of ``control`` that say no more than others do together.

    Edges come by their sources' order, and lead forward in it.
    """
    after: dict[str, list[str]] = {}
    for source, target in pairs:
        after.setdefault(source, []).append(target)
    behind: dict[str, set[str]] = {}
    for source in reversed(after):
        behind[source] = set(after[source]).union(*(behind.get(one, ()) for one in after[source]))
    return [
        (source, target)
        for source, target in pairs
        if (source, target) not in control or not any(target in behind.get(one, ()) for one in after[source])
    ]


def columns(items: Mapping[str, Item], edges: Sequence[tuple[str, str]]) -> list[list[Item]]:
    """The items in their columns, with bends among them and neighbours known; edges go forward in the items' order."""
    before: dict[str, list[str]] = {name: [] for name in items}
    after: dict[str, list[str]] = {}
    for source, target in edges:
        before[target].append(source)
        after.setdefault(source, []).append(target)
    for name, level in levels(before).items():
        items[name].level = level
    found: list[list[Item]] = [[] for _ in range(max((item.level for item in items.values()), default=-1) + 1)]
    for item in items.values():
        found[item.level].append(item)
    for source, targets in after.items():
        _join(items[source], [items[target] for target in targets], found)
    return found


def _join(source: Item, targets: list[Item], found: list[list[Item]]) -> None:
    """Make the source and its targets neighbours, through bends in the columns between."""
    last = source
    for level in range(source.level + 1, max(target.level for target in targets) + 1):
        here = [target for target in targets if target.level == level]
        for target in here:
            last.rights.append(target)
            target.lefts.append(last)
        if any(target.level > level for target in targets):
            bend = Item(f"{source.id}\n{level}", 0, 1, 0, level, bend=True)
            bend.lefts.append(last)
            last.rights.append(bend)
            found[level].append(bend)
            last = bend


def order(found: list[list[Item]], before: Mapping[str, int]) -> None:
    """Order each column: as ``before`` says (the rows of items in an earlier drawing), unless that crosses more."""
    for column in found:
        _start(column, before)
    best, kept = _crossings(found), [list(column) for column in found]
    for sweep in range(SWEEPS):
        if not best:
            break
        _sweep(found, sweep % 2 == 0)
        crossings = _crossings(found)
        if crossings < best:
            best, kept = crossings, [list(column) for column in found]
    for column, items in zip(found, kept, strict=True):
        _settle(column, items)


def _start(column: list[Item], before: Mapping[str, int]) -> None:
    """What was there keeps its order; what is new comes after what its left neighbours stand beside."""
    known = [item for item in column if item.id in before]
    known.sort(key=lambda item: before[item.id])
    fresh = [item for item in column if item.id not in before]
    if not known:
        _settle(column, sorted(fresh, key=lambda item: _mean(item.lefts, -1.0)))
        return
    keys = [_mean(item.lefts, -1.0) for item in known]
    for number in range(1, len(keys)):  # an order from before may not be sorted by its neighbours
        keys[number] = max(keys[number], keys[number - 1])
    for item in fresh:
        key = _mean(item.lefts, float("inf"))
        at = bisect_right(keys, key)
        keys.insert(at, key)
        known.insert(at, item)
    _settle(column, known)


def _mean(items: Sequence[Item], otherwise: float) -> float:
    return sum(item.place for item in items) / len(items) if items else otherwise


def _settle(column: list[Item], items: Iterable[Item]) -> None:
    column[:] = items
    for place, item in enumerate(column):
        item.place = place


def _sweep(found: list[list[Item]], rightwards: bool) -> None:
    for column in found[1:] if rightwards else found[-2::-1]:
        keys = {id(item): _mean(item.lefts if rightwards else item.rights, float(item.place)) for item in column}
        _settle(column, sorted(column, key=lambda item: keys[id(item)]))


def _crossings(found: list[list[Item]]) -> int:
    """How many pairs of lines between neighbouring columns cross."""
    total = 0
    for column in found[:-1]:
        seen: list[int] = []
        for item in column:
            places = sorted(right.place for right in item.rights)
            for place in places:
                total += len(seen) - bisect_right(seen, place)
            for place in places:
                insort(seen, place)
    return total


def place_rows(found: list[list[Item]]) -> int:
    """Give every item its row; the height of it all.

    An item stands beside the first of its neighbours, so that the main line of a graph is straight, other ways hang
    below it, and one more of them moves nothing above.
    """
    for _ in range(2):
        for column in found:
            _push_down(column)
        for column in reversed(found):
            _straighten(column)
    return max((item.row + item.height for column in found for item in column), default=0)


def _push_down(column: list[Item]) -> None:
    free = 0
    for item in column:
        wish = min((left.line for left in item.lefts), default=0) - item.port
        item.row = max(free, wish, item.row)
        free = item.row + item.height + _gap(item)


def _straighten(column: list[Item]) -> None:
    """Move items down to the row of their first right neighbour, as far as there is room."""
    floor: int | None = None
    for item in reversed(column):
        wish = min((right.line for right in item.rights), default=0) - item.port
        lowest = wish if floor is None else floor - item.height - _gap(item)
        item.row = max(item.row, min(wish, lowest))
        floor = item.row


def _gap(item: Item) -> int:
    """The blank rows below an item."""
    return 1 if item.height > 1 else 0
