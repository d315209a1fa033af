"""Names that are used before anything gives them a value: the cycles that a source can spell."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NoReturn

from agentrt.graph.compile_reader import Reader
from agentrt.graph.compile_values import Value

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


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


def bound_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    """The names a function owns: what it assigns, imports, defines or catches, without what it declares elsewhere."""
    body = [] if isinstance(function, ast.Lambda) else function.body
    elsewhere = {
        name
        for part in body
        for one in ast.walk(part)
        if isinstance(one, (ast.Global, ast.Nonlocal))
        for name in one.names
    }
    return assigned_names(body) - elsewhere


def assigned_names(body: Iterable[ast.AST]) -> frozenset[str]:
    """The names that these statements or patterns bind in the function they stand in."""
    found: set[str] = set()
    queue = list(body)
    while queue:
        node = queue.pop()
        found.update(_binds(node))
        if isinstance(node, _COMPREHENSIONS):
            queue.extend(one for one in ast.walk(node) if isinstance(one, ast.NamedExpr))
        elif not isinstance(node, _SCOPES):
            queue.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def _binds(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(one.asname or one.name).split(".")[0] for one in node.names]
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []
