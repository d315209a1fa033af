"""Which names a piece of source binds."""

from __future__ import annotations

import ast
from collections.abc import Iterable

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


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
