"""Names that are used before anything gives them a value: the cycles that a source can spell."""

from __future__ import annotations

import ast
from typing import NoReturn

from agentrt.graph.compile.reader import Reader
from agentrt.graph.compile.values import Value


def check_bound(reader: Reader, node: ast.Call, seen: int, function: Value) -> None:
    """Raise when a step's arguments, read since ``seen``, used a name that has no value yet."""
    fresh = reader.unbound[seen:]
    if fresh and function.sort in ("step", "session", "handle", "choice"):
        _refuse(reader, node, fresh[0])


def _refuse(reader: Reader, node: ast.Call, name: ast.Name) -> NoReturn:
    needs = _needs(reader.frame.body)
    cycle = _cycle(needs, name.id)
    if len(cycle) > 1:
        chain = " needs ".join(repr(one) for one in [*cycle, cycle[0]])
        raise reader.error(node, f"a cycle: {chain}; one of them has to be made without the other")
    line = needs[name.id][0] if name.id in needs else None
    later = f"; line {line} gives it one, move that up" if line and line > name.lineno else ""
    raise reader.error(node, f"{name.id!r} is used here before anything gives it a value{later}")


def _needs(body: ast.AST | None) -> dict[str, tuple[int, set[str]]]:
    """For each assigned name: the line of its first assignment, and the names that one reads."""
    found: dict[str, tuple[int, set[str]]] = {}
    for node in ast.walk(body) if body else ():
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            reads = {one.id for one in ast.walk(node.value) if isinstance(one, ast.Name)}
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, (node.lineno, reads))
    return found


def _cycle(needs: dict[str, tuple[int, set[str]]], start: str) -> list[str]:
    """The shortest way from the name back to itself, empty when there is none."""
    ways = [[start]]
    seen = {start}
    for way in ways:
        for name in sorted(needs.get(way[-1], (0, set()))[1]):
            if name == start:
                return way
            if name in needs and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []
