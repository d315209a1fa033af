"""How steps are to be called once an edit is applied."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentrt.graph.edits import Change, Replace, Rewire, Split
from agentrt.graph.machine import Node
from agentrt.runtime.arguments import collect, exchanged
from agentrt.runtime.handle import Handle
from agentrt.runtime.spec import StepSpec
from agentrt.runtime.wiring import is_shared, taken


@dataclass(frozen=True, slots=True)
class Call:
    """How a step is to be called. ``after`` are the steps that it only comes after; ``parts`` do its work."""

    spec: StepSpec
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    after: tuple[Node, ...] = ()
    parts: tuple[Handle[Any], ...] | None = None

    @property
    def handles(self) -> list[Handle[Any]]:
        """The handles in the arguments."""
        found: list[Handle[Any]] = []
        collect((self.args, dict(self.kwargs)), found)
        return found

    @property
    def inputs(self) -> tuple[Node, ...]:
        """What the step waits for; what is not wanted is waited for no more."""
        return tuple(dict.fromkeys([*(one.node for one in self.handles if not one.node.unwanted), *self.after]))


class Recalls:
    """The steps that an edit has called in another way, each as far as it is known by now.

    What is wrong with a change is a reason against the whole edit: it goes into ``reasons``.
    """

    def __init__(self, reasons: list[str]) -> None:
        self.changed: dict[Handle[Any], Call] = {}
        self._reasons = reasons

    def rewire(self, handle: Handle[Any], exchange: Mapping[Handle[Any], Any]) -> None:
        """In the arguments of the step each of these handles is exchanged for another one, or for a value."""
        call, by_node = self.of(handle), {old.node: new for old, new in exchange.items()}
        known = {one.node for one in call.handles} | set(call.after)
        self._reasons += [f"step {handle.id!r} does not take {old.id!r}" for old in exchange if old.node not in known]
        args, kwargs = exchanged((call.args, dict(call.kwargs)), lambda one: by_node.get(one.node, one))
        news = [by_node.get(node, node) for node in call.after]
        after = tuple(new.node if isinstance(new, Handle) else new for new in news if isinstance(new, Handle | Node))
        if handle.node.kind == "join" and not all(isinstance(one, Handle) for one in args):
            self._reasons.append(f"step {handle.id!r} is a join; it takes steps, no values")
        self.changed[handle] = replace(call, args=args, kwargs=kwargs, after=after)

    def replace(self, handle: Handle[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """The step is called with these arguments instead."""
        if handle.node.kind == "join":
            self._reasons.append(f"step {handle.id!r} is a join; rewire it to other steps")
        else:
            self._give(handle, replace(self.of(handle), parts=None), args, dict(kwargs))

    def split(self, handle: Handle[Any], parts: Sequence[Handle[Any]], by: StepSpec | None) -> None:
        """Other steps do the work of the step; it takes the list of their values, or ``by`` does so for it."""
        if handle.node.kind == "join" or not parts:
            why = "it is a join" if parts else "it has no parts"
            self._reasons.append(f"step {handle.id!r} cannot be split: {why}")
            return
        spec = handle.spec if by is None else replace(by, name=handle.spec.name)
        self._give(handle, replace(self.of(handle), spec=spec, parts=tuple(parts)), (list(parts),), {})

    def of(self, handle: Handle[Any]) -> Call:
        """How the step is to be called."""
        known = self.changed.get(handle)
        if known is not None:
            return known
        if handle.done():
            return Call(handle.spec, (), {})  # it is refused in the end
        call = Call(handle.spec, handle.args, handle.kwargs)
        there = {one.node for one in call.handles}
        return replace(call, after=tuple(node for node in _gathered(handle.node) if node not in there))

    def changes(self, new: Collection[Handle[Any]]) -> Iterator[Change]:
        """What all this is to the graph, into which ``new`` parts come."""
        for handle, call in self.changed.items():
            yield _change(handle, call, new)

    def settle(self) -> None:
        """What all this is to the handles."""
        for handle, call in self.changed.items():
            handle.spec, handle.args, handle.kwargs = call.spec, call.args, dict(call.kwargs)
            handle.node.kind, handle.node.priority = call.spec.kind, call.spec.priority
            found = call.handles
            handle.nested = bool(found) and handle.node.kind != "join"
            for one in found:
                one.observed = True

    def _give(self, handle: Handle[Any], call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call it with these arguments; that they do not fit is a reason against the edit."""
        _, args, kwargs = taken(call.spec, args, kwargs)
        try:
            if call.spec.given is not None and not handle.done():
                args, kwargs = call.spec.given(handle.args, *args, **kwargs)
            inspect.signature(call.spec.body).bind(*args, **kwargs)
        except TypeError as error:
            self._reasons.append(f"step {handle.id!r} cannot be called so: {error}")
        self.changed[handle] = replace(call, args=args, kwargs=kwargs)


def taken_by(handle: Handle[Any]) -> list[Handle[Any]]:
    """The handles that a step takes now."""
    return Call(handle.spec, handle.args, handle.kwargs).handles


def let_go(handles: Iterable[Handle[Any]]) -> None:
    """Some steps were taken by others: where nobody takes one any more, its failure is the program's again."""
    for one in handles:
        if not one.done() and all(after.finished for after in one.node.dependents):
            one.observed = False


def _change(handle: Handle[Any], call: Call, new: Collection[Handle[Any]]) -> Change:
    inputs = call.inputs
    if call.parts is not None:
        parts = tuple(one.node for one in call.parts if one in new)
        lane = None if call.spec is handle.spec else call.spec.lane
        return Split(handle.node, parts, tuple(node for node in inputs if node not in parts), lane)
    if set(inputs) == set(handle.node.inputs):
        return Replace(handle.node)
    return Rewire(handle.node, inputs)


def _gathered(node: Node) -> list[Node]:
    """The inputs of a node, those behind a join of wide inputs in its place."""
    found: list[Node] = []
    for before in node.inputs:
        found.extend(before.inputs if is_shared(before) else (before,))
    return found
