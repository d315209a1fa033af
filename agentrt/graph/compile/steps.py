"""Calling a step: its node, its name that must be its alone, and the turns of a session."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from agentrt.graph.compile.build import Link
from agentrt.graph.compile.inline import expand
from agentrt.graph.compile.reader import Reader
from agentrt.graph.compile.values import PLAIN, StepDef, Value, both


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, read."""

    node: ast.Call
    args: tuple[Value, ...]
    named: dict[str, Value]

    @property
    def all(self) -> tuple[Value, ...]:
        """Every argument."""
        return (*self.args, *self.named.values())

    @property
    def waits(self) -> tuple[Any, ...]:
        """What any of them waits for."""
        return both(*(one.waits for one in self.all))

    def first(self, name: str = "") -> Value:
        """The first argument, given by position or by that name."""
        return self.args[0] if self.args else self.named.get(name, PLAIN)


def call_step(reader: Reader, step: StepDef, call: Arguments, extra: tuple[Link, ...] = ()) -> Value:
    """A step is called: its node, and what is inside an agent or a program."""
    register(reader, step, call.node)
    if reader.silent:
        return PLAIN
    bare = {name: value.settled for name, value in call.named.items()}
    node = reader.add(step.kind, step.name, call.node, call.waits, extra=extra)
    if reader.known:
        return Value("handle", (node,))
    return expand(reader, step, node, call.node, tuple(one.settled for one in call.args), bare)


def controls(step: Value) -> tuple[Link, ...]:
    """What ``with_(after=...)`` makes a step come after."""
    return tuple(Link(one, "control") for one in step.waits)


def register(reader: Reader, step: StepDef, node: ast.AST) -> None:
    """Remember the step by its name, which must be its alone."""
    for one in (step, *step.tools):
        other = reader.steps.setdefault(one.name, one)
        if other.place != one.place and not one.dynamic and not other.dynamic:
            raise reader.error(
                node,
                f"two steps are named {one.name!r}, at {other.place} and at {one.place}; "
                "give one of them another name, for example with name=...",
            )


def turn(reader: Reader, session: Value, call: Arguments) -> Value:
    """One turn of a session comes after the one before."""
    key, step = session.ref
    last = reader.frame.names.get(key, PLAIN).waits
    made = call_step(reader, step, call, tuple(Link(one, "control", "session") for one in last))
    reader.frame.names[key] = Value(waits=made.waits)
    return made
