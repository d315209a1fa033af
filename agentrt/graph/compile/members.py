"""Names, containers and their members: binding, absorbing, going through."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from agentrt.graph.compile.loop import read_loop, unroll
from agentrt.graph.compile.reader import End, Reader
from agentrt.graph.compile.values import Value, both, choose, items, many
from agentrt.graph.compile.values import waiting as with_waits

MAX_UNROLL = 32
MAX_KNOWN = 1_000


def refuse(reader: Reader, value: Value, node: ast.AST, use: str) -> None:
    """Raise when something that needs the value itself gets a handle."""
    if value.sort == "handle":
        what = reader.text(node) or "this"
        raise reader.error(
            node, f"{what} is a step's handle, {use} needs its value: write (await {what}) instead of {what}"
        )


def bind(reader: Reader, target: ast.expr, value: Value) -> None:
    """Assign the value to a target."""
    if isinstance(target, ast.Name):
        reader.frame.names[target.id] = value
    elif isinstance(target, (ast.Tuple, ast.List)):
        if value.sort == "handle":
            parts = reader.text(target)
            raise reader.error(target, f"a step's handle cannot be unpacked, its value can: write {parts} = await ...")
        _unpack(reader, target.elts, value)
    elif isinstance(target, ast.Starred):
        bind(reader, target.value, many(value.member, value.waits) if value.sort == "items" else value)
    elif isinstance(target, (ast.Attribute, ast.Subscript)):
        reader.expr(target.value)
        absorb(reader, target.value, value)


def _unpack(reader: Reader, targets: Sequence[ast.expr], value: Value) -> None:
    starred = any(isinstance(one, ast.Starred) for one in targets)
    if value.items is not None and len(value.items) == len(targets) and not starred:
        for target, member in zip(targets, value.items, strict=True):
            bind(reader, target, member)
        return
    for target in targets:
        bind(reader, target, value if isinstance(target, ast.Starred) else value.member)


def absorb(reader: Reader, target: ast.expr, value: Value) -> None:
    """The container that the target names now holds the value too."""
    while isinstance(target, (ast.Attribute, ast.Subscript, ast.Call)):
        target = target.func if isinstance(target, ast.Call) else target.value
    if not isinstance(target, ast.Name) or target.id not in reader.frame.names:
        return
    old = reader.frame.names[target.id]
    if old.sort == "items":
        members = [*(old.items or ([old.element] if old.element else [])), value]
        new = many(choose(members), both(old.waits, value.waits))
    elif old.sort == "plain":
        new = with_waits(old, both(old.waits, value.waits))
    else:
        new = old
    reader.frame.names[target.id] = new


def each_member(
    reader: Reader,
    node: ast.AST,
    source: ast.expr,
    value: Value,
    target: ast.expr | None,
    inner: Callable[[], Value],
    *,
    waits: bool = False,
    orelse: Sequence[ast.stmt] = (),
) -> Value:
    """Go through the members of a value; ``inner`` reads one round and gives a container of what it makes."""
    if not waits:
        refuse(reader, value, source, "a loop")
    if spelled_out(reader, value) and not waits and not orelse:
        members = value.items or ()

        def one(member: Value) -> Callable[[], Value]:
            return lambda: _round(reader, target, member, inner)

        made = unroll(reader, node, [one(member) for member in members])
        return items(part for each in made for part in (each.items if each.items is not None else (each.member,)))

    def body() -> tuple[End | None, Value]:
        out = reader.end(items(()))
        if waits:
            reader.wait(value.waits)
        made = _round(reader, target, value.member.settled if waits else value.member, inner)
        return out, many(made.member, made.waits) if made.sort == "items" else made

    surely = bool(value.items) and isinstance(source, (ast.List, ast.Tuple, ast.Set, ast.Call))
    label = f"for {'each' if target is None else reader.text(target)} in {reader.text(source)}"
    return read_loop(reader, node, label, body, surely=surely, orelse=orelse)


def _round(reader: Reader, target: ast.expr | None, member: Value, inner: Callable[[], Value]) -> Value:
    if target is not None:
        bind(reader, target, member)
    return inner()


def spelled_out(reader: Reader, value: Value) -> bool:
    """Whether a loop over the value is read round by round: always for what is known beforehand, else for steps
    only."""
    if value.items is None:
        return False
    if reader.known:
        return len(value.items) <= MAX_KNOWN
    telling = {"step", "session", "handle", "task", "function", "items"}
    return 0 < len(value.items) <= MAX_UNROLL and any(_tells(one, telling) for one in value.items)


def _tells(value: Value, telling: set[str]) -> bool:
    if value.sort == "items":
        return any(_tells(one, telling) for one in value.items or ())
    return value.sort in telling
