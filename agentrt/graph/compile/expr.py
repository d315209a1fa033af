"""How expressions read: what they wait for, and what can be done with them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from agentrt.graph.compile.calls import read_call
from agentrt.graph.compile.members import bind, each_member, refuse
from agentrt.graph.compile.reader import Reader, Stop
from agentrt.graph.compile.values import PLAIN, Function, Namespace, Value, both, choose, items, many

_AS_THEY_ARE: Final = (ast.Is, ast.IsNot, ast.In, ast.NotIn)


def look_up(reader: Reader, name: str) -> Value | None:
    """What the name stands for, ``None`` when nothing in reach defines it."""
    frame = reader.frame
    if name in frame.names:
        return frame.names[name]
    if name in frame.module.names:
        return frame.module.names[name]
    return Value("foreign", ref=f"builtins.{name}") if hasattr(builtins, name) else None


def read_name(reader: Reader, node: ast.Name) -> Value:
    """A name. One that the function binds, but has not bound yet, is remembered."""
    if node.id not in reader.frame.names and node.id in reader.frame.bound:
        if not reader.frame.may_be_bound(node.id):
            reader.unbound.append(node)
        return PLAIN
    return look_up(reader, node.id) or PLAIN


def read_attribute(reader: Reader, node: ast.Attribute) -> Value:
    """An attribute: of a library, a namespace, or a value that may have handles inside."""
    base = reader.expr(node.value)
    if base.sort == "foreign":
        return Value("foreign", ref=f"{base.ref}.{node.attr}")
    if base.sort == "module":
        namespace: Namespace = base.ref
        return namespace.get(node.attr)
    if base.sort == "handle":
        return base if node.attr == "ref" else PLAIN
    return Value(waits=base.waits)


def read_await(reader: Reader, node: ast.Await) -> Value:
    """``await``: the program stands behind what it awaited."""
    value = reader.expr(node.value)
    if reader.known:
        raise Stop
    reader.wait(value.waits)
    return value.settled


def read_sequence(reader: Reader, node: ast.List | ast.Tuple | ast.Set) -> Value:
    """A display. Members that are unpacked make its length unknown, unless theirs is known."""
    members: list[Value] = []
    open_ended = False
    for one in node.elts:
        value = reader.expr(one.value if isinstance(one, ast.Starred) else one)
        if not isinstance(one, ast.Starred):
            members.append(value)
        elif value.items is not None:
            members.extend(value.items)
        else:
            open_ended = True
            members.append(value.member)
    found = items(members)
    return many(choose(members), found.waits) if open_ended else found


def read_dict(reader: Reader, node: ast.Dict) -> Value:
    """A dict display: its values are its members, its constant keys are kept beside."""
    keys: list[Any] = []
    members = []
    for key, one in zip(node.keys, node.values, strict=True):
        reader.expr(key)
        keys.append(key.value if isinstance(key, ast.Constant) else None)
        value = reader.expr(one)
        members.append(value if key is not None else value.member)
    found = items(members)
    if None in node.keys:
        return many(choose(members), found.waits)
    return replace(found, ref=tuple(keys))


def read_subscript(reader: Reader, node: ast.Subscript) -> Value:
    """A member of a container: the one the source names, or any."""
    base = reader.expr(node.value)
    reader.expr(node.slice)
    refuse(reader, base, node.value, "a subscript")
    if base.sort in ("foreign", "step"):  # a generic class with its type: Agent[Report]
        return base
    if isinstance(node.slice, ast.Slice):
        return many(base.member, base.waits) if base.sort == "items" else Value(waits=base.waits)
    if base.items is not None and isinstance(node.slice, ast.Constant):
        return _member(base, node.slice.value)
    return base.member if base.sort == "items" else Value(waits=base.waits)


def _member(base: Value, key: Any) -> Value:
    members = base.items or ()
    if isinstance(base.ref, tuple):
        return members[base.ref.index(key)] if key in base.ref else base.member
    if isinstance(key, int) and -len(members) <= key < len(members):
        return members[key]
    return base.member


def read_if(reader: Reader, node: ast.IfExp) -> Value:
    """``a if test else b``."""
    refuse(reader, reader.expr(node.test), node.test, "a condition")
    then, other = node.body, node.orelse
    ways: list[Any] = [("then", "", lambda: reader.expr(then)), ("else", "", lambda: reader.expr(other))]
    return reader.branch(node, reader.text(node.test), ways)


def read_bool(reader: Reader, node: ast.BoolOp) -> Value:
    """``and``, ``or``: what stands further right may never be reached."""
    return _read_rest(reader, node, node.values)


def _read_rest(reader: Reader, node: ast.BoolOp, values: Sequence[ast.expr]) -> Value:
    first = reader.expr(values[0])
    if len(values) == 1:
        return first
    refuse(reader, first, values[0], "a condition")
    ways: list[Any] = [
        ("then", "", lambda: _read_rest(reader, node, values[1:])),
        ("else", "", lambda: first),
    ]
    return reader.branch(node, reader.text(values[0]), ways)


def read_not(reader: Reader, node: ast.UnaryOp) -> Value:
    """``not``, ``-`` and the like."""
    value = reader.expr(node.operand)
    refuse(reader, value, node.operand, "a condition" if isinstance(node.op, ast.Not) else "an operator")
    return Value(waits=value.waits)


def read_operator(reader: Reader, node: ast.BinOp) -> Value:
    """An operator between two values; containers may be joined or repeated."""
    spine: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp):  # a long sum nests to the left, deeper than the stack
        spine.append(left.right)
        left = left.left
    value = reader.expr(left)
    refuse(reader, value, left, "an operator")
    for part in reversed(spine):
        right = reader.expr(part)
        refuse(reader, right, part, "an operator")
        value = _combine(value, right)
    return value


def _combine(left: Value, right: Value) -> Value:
    waits = both(left.waits, right.waits)
    if left.items is not None and right.items is not None and not isinstance(left.ref, tuple):
        return replace(items((*left.items, *right.items)), ref=None)
    if "items" in (left.sort, right.sort):
        return many(choose(one.member for one in (left, right) if one.sort == "items"), waits)
    return Value(waits=waits)


def read_compare(reader: Reader, node: ast.Compare) -> Value:
    """A comparison; only identity and membership take a handle as it is."""
    sides = [node.left, *node.comparators]
    values = [reader.expr(side) for side in sides]
    for index, operator in enumerate(node.ops):
        if not isinstance(operator, _AS_THEY_ARE):
            for one in (index, index + 1):
                refuse(reader, values[one], sides[one], "a comparison")
    return PLAIN


def read_formatted(reader: Reader, node: ast.FormattedValue) -> Value:
    """A value inside an f-string; ``!r`` asks for the handle itself."""
    value = reader.expr(node.value)
    reader.expr(node.format_spec)
    if node.conversion != ord("r"):
        refuse(reader, value, node.value, "an f-string")
    return Value(waits=value.waits)


def read_named(reader: Reader, node: ast.NamedExpr) -> Value:
    """``name := value``."""
    value = reader.expr(node.value)
    bind(reader, node.target, value)
    return value


def read_lambda(reader: Reader, node: ast.Lambda) -> Value:
    """A lambda, read where it is called."""
    return Value("function", ref=Function(node, reader.frame.module, nested=True))


def read_other(reader: Reader, node: ast.expr) -> Value:
    """Any other expression waits for what its parts wait for."""
    waits = [reader.expr(child).waits for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return Value(waits=both(*waits))


# -- comprehensions ------------------------------------------------------------------------------------------


def read_comprehension(reader: Reader, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
    """A comprehension: a loop whose value is the members it makes."""

    def member() -> Value:
        if isinstance(node, ast.DictComp):
            reader.expr(node.key)
            return items((reader.expr(node.value),))
        return items((reader.expr(node.elt),))

    targets = {one.id for part in node.generators for one in ast.walk(part.target) if isinstance(one, ast.Name)}
    hidden = {name: reader.frame.names.pop(name) for name in targets if name in reader.frame.names}
    try:
        return _generate(reader, node, node.generators, member, hidden)
    finally:
        for name in targets:
            reader.frame.names.pop(name, None)
        reader.frame.names.update(hidden)


def _generate(
    reader: Reader,
    node: ast.expr,
    parts: Sequence[ast.comprehension],
    member: Callable[[], Value],
    hidden: dict[str, Value],
) -> Value:
    if not parts:
        return member()
    part = parts[0]
    reader.frame.names.update(hidden)  # the first range still sees the outer names
    value = reader.expr(part.iter)
    for name in hidden:
        reader.frame.names.pop(name, None)

    def inner() -> Value:
        return _filtered(reader, part.ifs, lambda: _generate(reader, node, parts[1:], member, {}))

    return each_member(reader, node, part.iter, value, part.target, inner, waits=bool(part.is_async))


def _filtered(reader: Reader, tests: Sequence[ast.expr], then: Callable[[], Value]) -> Value:
    if not tests:
        return then()
    refuse(reader, reader.expr(tests[0]), tests[0], "a condition")
    ways: list[Any] = [
        ("then", "", lambda: _filtered(reader, tests[1:], then)),
        ("else", "", lambda: items(())),
    ]
    return reader.branch(tests[0], reader.text(tests[0]), ways)


EXPRESSIONS: Final[dict[type, Callable[[Reader, Any], Value]]] = {
    ast.Name: read_name,
    ast.Attribute: read_attribute,
    ast.Await: read_await,
    ast.List: read_sequence,
    ast.Tuple: read_sequence,
    ast.Set: read_sequence,
    ast.Dict: read_dict,
    ast.Subscript: read_subscript,
    ast.IfExp: read_if,
    ast.BoolOp: read_bool,
    ast.UnaryOp: read_not,
    ast.BinOp: read_operator,
    ast.Compare: read_compare,
    ast.FormattedValue: read_formatted,
    ast.NamedExpr: read_named,
    ast.Lambda: read_lambda,
    ast.Call: read_call,
    ast.ListComp: read_comprehension,
    ast.SetComp: read_comprehension,
    ast.GeneratorExp: read_comprehension,
    ast.DictComp: read_comprehension,
    ast.expr: read_other,
}
