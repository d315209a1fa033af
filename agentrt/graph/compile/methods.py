"""What the methods of steps, sessions, handles, containers and task groups do."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agentrt.graph.compile.define import with_options
from agentrt.graph.compile.members import absorb
from agentrt.graph.compile.reader import Reader
from agentrt.graph.compile.steps import Arguments, call_step, controls, turn
from agentrt.graph.compile.values import PLAIN, StepDef, Value, both, items, many


def _step_method(reader: Reader, base: Value, name: str, call: Arguments) -> Value | None:
    step: StepDef = base.ref
    if name == "with_":
        after = call.named.get("after", PLAIN).waits
        return Value("step", both(base.waits, after), with_options(reader, step, call.node))
    if name == "session":
        key = f"session {step.name} {call.node.lineno}:{call.node.col_offset}"
        reader.frame.names[key] = PLAIN
        return Value("session", ref=(key, step))
    if name in ("stream", "__call__"):
        return call_step(reader, step, call, controls(base))
    return PLAIN


def _session_method(reader: Reader, base: Value, name: str, call: Arguments) -> Value | None:
    key, step = base.ref
    if name == "with_":
        return Value("session", ref=(key, with_options(reader, step, call.node)))
    if name == "fork":
        fork = f"{key} fork {call.node.lineno}:{call.node.col_offset}"
        reader.frame.names[fork] = reader.frame.names.get(key, PLAIN)
        last = reader.frame.names[fork].waits
        return Value("task", last, result=Value("session", ref=(fork, step)))
    return turn(reader, base, call) if name in ("stream", "__call__") else PLAIN


def _handle_method(reader: Reader, base: Value, name: str, call: Arguments) -> Value | None:
    return Value("task", base.waits) if name == "stream" else PLAIN


_GROWING: Final = frozenset(
    {"append", "add", "extend", "insert", "appendleft", "extendleft", "update", "setdefault", "put"}
)
_MEMBER: Final = frozenset({"pop", "get", "popleft", "popitem", "setdefault"})
_WHOLE: Final = frozenset({"values", "copy", "union"})


def _items_method(reader: Reader, base: Value, name: str, call: Arguments) -> Value | None:
    if name in _GROWING and isinstance(call.node.func, ast.Attribute):
        _grow(reader, call.node.func.value, name, call)
    if name in _MEMBER:
        return base.member
    if name in _WHOLE:
        return replace(base, ref=None)
    if name == "items":
        return many(items((PLAIN, base.member)), base.waits)
    return PLAIN


def _grow(reader: Reader, target: ast.expr, name: str, call: Arguments) -> None:
    for value in call.all:
        if name in ("extend", "extendleft", "update") and value.sort == "items":
            for member in value.items if value.items is not None else (value.member,):
                absorb(reader, target, member)
        else:
            absorb(reader, target, value)


def _plain_method(reader: Reader, base: Value, name: str, call: Arguments) -> Value | None:
    if name == "join" and isinstance(call.node.func, ast.Attribute) and _is_text(call.node.func.value):
        first = call.first()
        if first.sort == "items" and first.member.sort == "handle":
            what = reader.text(call.node.args[0])
            raise reader.error(
                call.node, f"{what} holds handles of steps, str.join needs their values: join(await gather(*{what}))"
            )
    if name in _GROWING and call.waits and isinstance(call.node.func, ast.Attribute):
        absorb(reader, call.node.func.value, Value(waits=call.waits))
    return None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _foreign_method(reader: Reader, base: Value, name: str, call: Arguments) -> Value | None:
    """Tasks of a group: their waits gather under the group's own key, for the end of its block."""
    if not base.ref.startswith("group "):
        return None
    if name == "create_task":
        old = reader.frame.names.get(base.ref, PLAIN)
        reader.frame.names[base.ref] = Value(waits=both(old.waits, call.waits))
        return call.first("coro")
    return PLAIN


METHODS: Final[dict[str, Callable[[Reader, Value, str, Arguments], Value | None]]] = {
    "step": _step_method,
    "session": _session_method,
    "handle": _handle_method,
    "items": _items_method,
    "plain": _plain_method,
    "foreign": _foreign_method,
}
