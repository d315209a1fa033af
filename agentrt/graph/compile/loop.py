"""Reading loops: a head, one round of the body, the way back, and the ways out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentrt.graph.compile.build import Link
from agentrt.graph.compile.names import assigned_names
from agentrt.graph.compile.reader import MAX_UNROLLED, End, Reader, Stop
from agentrt.graph.compile.values import PLAIN, Value, both, choose, waiting
from agentrt.graph.template import TemplateId

MAX_ROUNDS = 3
MAX_DEPTH = 5

Body: TypeAlias = Callable[[], "tuple[End | None, Value]"]
"""Reads one round.

Gives where the loop is left by itself (``None`` when it never is) and the value of a whole round.
"""


@dataclass(slots=True)
class Round:
    """One reading of the body. ``tail`` is where it goes back to the head, ``out`` where the loop ends by itself."""

    head: TemplateId
    carried: dict[str, TemplateId]
    out: End | None
    tail: End | None
    breaks: list[End]

    @property
    def ends(self) -> list[End]:
        """Every point where the round ended."""
        return [end for end in (self.out, self.tail, *self.breaks) if end is not None]


def read_loop(
    reader: Reader, node: ast.AST, label: str, body: Body, *, surely: bool = False, orelse: Sequence[ast.stmt] = ()
) -> Value:
    """Read a loop and stand behind it. ``surely``: it goes round once at least.

    Names that carry steps from round to round get a join at the head; the body is read again until no more turn up. A
    loop without a step leaves no trace but for what it waited for.
    """
    start, mark = reader.end(), reader.builder.mark()
    if start is None:
        return PLAIN
    before = (reader.jumps, reader.returned, len(reader.frame.returns), *map(len, reader.catchers[-1:]))
    carried: list[str] = []
    for attempt in range(MAX_ROUNDS):
        found = _round(reader, node, label, body, start, carried, mark)
        if reader.builder.idle(mark, start.front) and reader.returned == before[1]:
            return _forget(reader, start, mark, found, before[0])
        moved = _moved(start, found)
        last = attempt + 1 == MAX_ROUNDS or reader.frame.depth >= MAX_DEPTH
        if not moved or last:
            break
        _rewind(reader, mark, before)
        carried += moved
    reader.certain(mark)
    _drop_unread(reader, start, found)
    _close(reader, node, found)
    return _leave(reader, node, found, surely, orelse)


def unroll(reader: Reader, node: ast.AST, rounds: Sequence[Callable[[], Value]]) -> list[Value]:
    """Read the rounds one after the other, as if the source had spelled them out."""
    breaks: list[End | None] = []
    values = []
    for body in rounds:
        reader.rounds += 1
        if reader.known and reader.rounds > MAX_UNROLLED:
            raise Stop
        reader.frame.breaks.append([])
        reader.frame.continues.append([])
        values.append(body())
        ends = [reader.end(), *reader.frame.continues.pop()]
        breaks += reader.frame.breaks.pop()
        reader.merge(ends, node)
        if reader.frame.front is None:
            break
    if breaks:
        reader.merge([reader.end(), *breaks], node)
    return values


def _round(
    reader: Reader,
    node: ast.AST,
    label: str,
    body: Body,
    start: End,
    carried: Sequence[str],
    mark: tuple[int, int],
) -> Round:
    frame = reader.frame
    reader.go(start)
    head = reader.add("loop", "loop", node, label=label)
    joins = {name: _carry(reader, name, node, head) for name in carried}
    frame.front = {head: ("body", "")}
    around, frame.block = frame.block, (head, "body")
    frame.depth += 1
    frame.nesting += 1
    frame.loops.append((assigned_names([node]), frame.nesting))
    frame.breaks.append([])
    frame.continues.append([])
    try:
        out, value = body()
        reader.merge([reader.end(), *frame.continues[-1]], node)
        return Round(head, joins, out, reader.end(value), frame.breaks[-1])
    except Stop:
        reader.builder.rollback(mark)
        raise
    finally:
        frame.depth -= 1
        frame.nesting -= 1
        frame.loops.pop()
        frame.block = around
        frame.breaks.pop()
        frame.continues.pop()


def _carry(reader: Reader, name: str, node: ast.AST, head: TemplateId) -> TemplateId:
    """Give the name a join at the loop's head: what it was before, or what the last round left."""
    frame = reader.frame
    value = frame.names[name]
    waits = [Link(one, "data") for one in value.waits]
    if len(waits) > 1:
        waits = [Link(reader.builder.add("join", "all", reader.place(node), waits, parent=frame.parent), "data")]
    join = reader.builder.add(
        "join", name, reader.place(node), waits or [Link(head, "body")], join="any", label="value", parent=frame.parent
    )
    frame.names[name] = waiting(value, (join,))
    return join


def _moved(start: End, found: Round) -> list[str]:
    """Names that wait for something else after the round than before it, and are not carried yet."""
    if found.tail is None:
        return []
    after = found.tail.names
    return [
        name
        for name, value in start.names.items()
        if name in after and name not in found.carried and not set(after[name].waits) <= set(value.waits)
    ]


def _rewind(reader: Reader, mark: tuple[int, int], before: tuple[int, ...]) -> None:
    reader.builder.rollback(mark)
    reader.jumps, reader.returned = before[:2]
    del reader.frame.returns[before[2] :]
    for catcher in reader.catchers[-1:]:
        del catcher[before[3] :]


def _forget(reader: Reader, start: End, mark: tuple[int, int], found: Round, jumps: int) -> Value:
    """The loop makes no steps: go on from before it, with its names, behind what it waited for."""
    reader.builder.rollback(mark)
    reader.jumps = jumps
    nodes = reader.builder.nodes
    names = {name: None for end in found.ends for name in end.names}
    merged = {}
    for name in names:
        value = choose(end.names[name] for end in found.ends if name in end.names)
        merged[name] = waiting(value, tuple(one for one in value.waits if one in nodes))
    waited = [one for end in found.ends for one in end.front if one in nodes and one not in start.front]
    reader.frame.names = merged
    reader.frame.front = start.front if found.ends else None
    reader.wait(waited) if waited else None
    value = found.tail.value if found.tail else PLAIN
    return waiting(value, tuple(one for one in value.waits if one in nodes))


def _drop_unread(reader: Reader, start: End, found: Round) -> None:
    """A name that only grows in the loop, like a list of handles, needs no join at the head: no round reads it.

    Where the loop is left in the middle of a round, the join still tells what earlier rounds left.
    """
    read = {source for source, _ in reader.builder.edges}
    midway = [*found.breaks, *([found.out] if found.out and list(found.out.front) != [found.head] else [])]
    read.update(one for end in midway for value in end.names.values() for one in value.waits)
    for name, join in list(found.carried.items()):
        if join in read:
            continue
        del found.carried[name]
        for end in found.ends:
            end.names = {key: _without(value, join, start.names[name]) for key, value in end.names.items()}


def _without(value: Value, join: TemplateId, before: Value) -> Value:
    if join not in value.waits:
        return value
    kept = both((one for one in value.waits if one != join), before.waits)
    return waiting(value, kept)


def _close(reader: Reader, node: ast.AST, found: Round) -> None:
    """Draw the way back from the end of the round to the head, and to the joins of what is carried."""
    if found.tail is None:
        return
    depth = reader.frame.depth + 1
    place, parent, builder = reader.place(node), reader.frame.parent, reader.builder
    source = builder.single(found.tail.front, place, parent).source
    builder.back(source, found.head, depth)
    for name, join in found.carried.items():
        waits = [one for one in found.tail.names[name].waits if one != join]
        if len(waits) > 1:
            waits = [builder.add("join", "all", place, [Link(one, "data") for one in waits], parent=parent)]
        if waits:
            builder.back(waits[0], join, depth)


def _leave(reader: Reader, node: ast.AST, found: Round, surely: bool, orelse: Sequence[ast.stmt]) -> Value:
    """Stand behind the loop: left before a round, after one, or by a break."""
    ends: list[End | None] = []
    out, tail = found.out, found.tail
    if tail is not None:
        for end in found.ends:
            end.names = {**tail.names, **end.names}  # what an earlier round may have bound
    if out is not None:
        if not surely:
            ends.append(End({one: ("exit", way[1]) for one, way in out.front.items()}, out.names, out.value))
        if tail is not None and (surely or list(out.front) == [found.head]):
            ends.append(End(dict.fromkeys(tail.front, ("exit", "")), tail.names, tail.value))
    value = reader.merge(ends, node)
    if orelse:
        reader.block(orelse)
    reader.merge([reader.end(), *found.breaks], node)
    return value
