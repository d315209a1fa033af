"""What the reader of a program knows of a value: which steps it waits for, and whether it can be called."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agentrt.graph.template import TemplateId
from agentrt.types import Place, StepKind

if TYPE_CHECKING:
    from agentrt.graph.compile.module import Module

Sort: TypeAlias = Literal[
    "plain", "handle", "task", "items", "step", "maker", "session", "function", "foreign", "module", "choice"
]
"""plain: anything else; handle: a step's, not awaited; task: another awaitable; items: a container; step: something
that makes a step when called; maker: a decorator that makes one; session: an agent's context; function: one that can
be read; foreign: a name from a library; module: a namespace; choice: one of several steps."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function or lambda of the program's own source."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    module: Module = field(repr=False, compare=False)
    nested: bool = False

    @property
    def name(self) -> str:
        """Its name in the source."""
        return "lambda" if isinstance(self.node, ast.Lambda) else self.node.name


class Namespace:
    """What stands behind the dots: the names of a module or a class."""

    def __init__(self, names: Mapping[str, Value]) -> None:
        self.names = names

    def get(self, name: str) -> Value:
        """The name's value, a plain one when it is not known."""
        return self.names.get(name, PLAIN)


@dataclass(frozen=True, slots=True)
class StepDef:
    """A step as the source defines it. ``tools`` are those an agent may call, ``function`` the body of a program.

    ``dynamic``: the name is computed when the program runs, so it says nothing about duplicates.
    """

    name: str
    kind: StepKind
    place: Place
    tools: tuple[StepDef, ...] = ()
    function: Function | None = None
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of one value.

    ``waits`` are the nodes whose results are inside and not awaited yet. ``items`` are the members of a container
    where the source spells them out, ``element`` stands for any member, ``result`` is what ``await`` gives.
    """

    sort: Sort = "plain"
    waits: tuple[TemplateId, ...] = ()
    ref: Any = None
    items: tuple[Value, ...] | None = None
    element: Value | None = None
    result: Value | None = None

    @property
    def settled(self) -> Value:
        """The same value when everything inside has been awaited."""
        if self.sort in ("handle", "task"):
            return self.result or PLAIN
        if not self.waits:
            return self
        items = tuple(item.settled for item in self.items) if self.items is not None else None
        return replace(self, waits=(), items=items, element=self.element.settled if self.element else None)

    @property
    def member(self) -> Value:
        """Any one member of the container."""
        if self.items:
            return choose(self.items)
        return self.element or Value(waits=self.waits)


PLAIN = Value()


def both(*waits: Iterable[TemplateId]) -> tuple[TemplateId, ...]:
    """All of them, each once, in order."""
    return tuple(dict.fromkeys(one for some in waits for one in some))


def waiting(value: Value, waits: tuple[TemplateId, ...]) -> Value:
    """The same value, but what it waits for; its members, if any, are no longer told apart."""
    if value.sort == "items":
        return many(waiting(value.member, waits), waits)
    return replace(value, waits=waits)


def items(members: Iterable[Value]) -> Value:
    """A container of the given members."""
    found = tuple(members)
    return Value("items", both(*(one.waits for one in found)), items=found)


def many(element: Value, waits: tuple[TemplateId, ...] | None = None) -> Value:
    """A container of nobody knows how many members like this one."""
    return Value("items", element.waits if waits is None else waits, element=element)


def choose(values: Iterable[Value]) -> Value:
    """A value that is one of the given ones. It waits for what any of them waits for."""
    found = list(dict.fromkeys(values))
    if not found:
        return PLAIN
    if len(found) == 1:
        return found[0]
    waits = both(*(one.waits for one in found))
    callables = [one for value in found for one in ((value.items or ()) if value.sort == "choice" else (value,))]
    callables = [one for one in callables if one.sort in ("step", "session", "function")]
    if callables:
        callables = _one_step_each(callables)
        return callables[0] if len(set(callables)) == 1 else Value("choice", waits, items=tuple(callables))
    return _blend(found, waits)


def _one_step_each(callables: list[Value]) -> list[Value]:
    """Steps of one name, of which only one can be there, as after ``try: import``, count as one step defined once."""
    places: dict[str, Place] = {}
    return [
        replace(one, ref=replace(one.ref, place=places.setdefault(one.ref.name, one.ref.place)))
        if one.sort == "step"
        else one
        for one in callables
    ]


def _blend(found: list[Value], waits: tuple[TemplateId, ...]) -> Value:
    sorts = {one.sort for one in found}
    if len(sorts) > 1:
        return Value(waits=waits)
    sort = sorts.pop()
    if sort == "items":
        return many(choose(one.member for one in found if one.items != ()), waits)
    if sort == "handle":
        return Value("handle", waits)
    if sort == "task":
        return Value("task", waits, result=choose(one.result or PLAIN for one in found))
    return Value(sort if all(one.ref == found[0].ref for one in found) else "plain", waits, found[0].ref)
