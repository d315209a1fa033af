"""Edits of a running graph: from handles and arguments to changes of nodes, applied together or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentrt.errors import EditRefused, ProgramError, StepSkipped
from agentrt.events import GraphChange
from agentrt.graph.edits import Change, Drop, Insert, Replace, Rewire, Split, checked
from agentrt.graph.machine import Node
from agentrt.graph.node import behind_joins
from agentrt.runtime.arguments import collect, exchanged
from agentrt.runtime.handle import Handle
from agentrt.runtime.spec import StepSpec
from agentrt.runtime.wiring import Wiring, is_shared, taken
from agentrt.store.rows import PROGRAM
from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.run import Run

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """How a step is to be called. ``after`` are the steps that it only comes after; ``parts`` do its work."""

    spec: StepSpec
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    after: tuple[Node, ...]
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


class Outside(NamedTuple):
    """An edit that the program does not make. ``then`` is called when it is on disk; ``again``: it is there already."""

    document: dict[str, Any]
    then: Callable[[], Any] | None = None
    again: bool = False


class Editing:
    """One edit, from the first change to ``commit``. Steps that are called for it come into the graph with it.

    ``maker`` is the step whose code makes it, ``None`` when it comes from outside. It changes what it called itself:
    when it has ended, its code is not run again by a replay, nor are the steps inside it.
    """

    def __init__(self, run: Run[Any], driver: Driver, root: Node, maker: Handle[Any] | None) -> None:
        self.wiring = Wiring(root, driver.add_join, shares=False)
        self.run = run
        self.version: int | None = None
        self._driver = driver
        self._root = root
        self._maker = maker
        self._inserted: dict[Handle[Any], None] = {}
        self._dropped: dict[Handle[Any], None] = {}
        self._spared: dict[Handle[Any], None] = {}  # dropped unless they have started
        self._calls: dict[Handle[Any], Call] = {}
        self._reasons: list[str] = []
        self._over = False

    # -- changes -----------------------------------------------------------------------------------------------------

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Meanwhile steps that are called go into this edit, not into the graph. Nothing is awaited in it."""
        self.run.draft = self
        try:
            yield
        finally:
            self.run.draft = None

    def take(self, handle: Handle[Any]) -> None:
        """A step was called for this edit."""
        self._check_open()
        self._inserted[handle] = None

    def drop(self, handle: Handle[Any], *, unless_started: bool = False) -> None:
        """The step is not wanted any more; one that has started by the end is left alone, or refuses the edit."""
        self._check_changed(handle)
        (self._spared if unless_started else self._dropped)[handle] = None

    def rewire(self, handle: Handle[Any], exchange: Mapping[Handle[Any], Any]) -> None:
        """In the arguments of the step each of these handles is exchanged for another one, or for a value."""
        self._check_changed(handle)
        self._check(*exchange)
        call, by_node = self._call(handle), {old.node: new for old, new in exchange.items()}
        known = {one.node for one in call.handles} | set(call.after)
        for old in exchange:
            if old.node not in known:
                self._reasons.append(f"step {handle.id!r} does not take {old.id!r}")
        args, kwargs = exchanged((call.args, dict(call.kwargs)), lambda one: by_node.get(one.node, one))
        news = [by_node.get(node, node) for node in call.after]
        after = tuple(new.node if isinstance(new, Handle) else new for new in news if isinstance(new, Handle | Node))
        self._put(handle, replace(call, args=args, kwargs=kwargs, after=after))

    def replace(self, handle: Handle[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NOTHING) -> None:
        """The step is called with these arguments instead."""
        self._check_changed(handle)
        call = self._call(handle)
        if handle.node.kind == "join":
            self._reasons.append(f"step {handle.id!r} is a join; rewire it to other steps")
            return
        self._put(handle, self._given(handle, replace(call, parts=None), args, dict(kwargs)))

    def split(self, handle: Handle[Any], parts: Sequence[Handle[Any]], by: StepSpec | None = None) -> None:
        """Other steps do the work of the step; it takes the list of their values, or the step ``by`` does so for it."""
        self._check_changed(handle)
        self._check(*parts)
        call = self._call(handle)
        if handle.node.kind == "join" or not parts:
            why = "it is a join" if parts else "it has no parts"
            self._reasons.append(f"step {handle.id!r} cannot be split: {why}")
            return
        if by is not None:
            call = replace(call, spec=replace(by, name=handle.spec.name))
        self._put(handle, self._given(handle, replace(call, parts=tuple(parts)), (list(parts),), {}))

    def refuse(self, reason: str) -> None:
        """A reason of the caller's own against the edit: it will not be applied."""
        self._reasons.append(reason)

    # -- the end -----------------------------------------------------------------------------------------------------

    def commit(self, outside: Outside | None = None) -> int:
        """Apply everything, and give the graph's version. Raises ``EditRefused``; nothing has changed then.

        ``outside`` says where it comes from if not from the program, which makes its own edits again when it is
        replayed; what became of them is in the journal, as a replay need not find the same steps under way.
        """
        self._check_open()
        self._over = True
        machine = self.run.machine
        if self._inserted or self._dropped or self._spared or self._calls or self._reasons:
            scribe = self._driver.scribe
            decided = scribe.decided(self._who) if scribe is not None and outside is None else None
            self._apply(decided, outside)
        self.version = machine.version
        return machine.version

    def _apply(self, decided: dict[str, Any] | None, outside: Outside | None) -> None:
        idle = self._driver.held_back()
        self._choose(decided, idle)
        said = [*self._said()]
        record = {"changes": [[change, handle.id, behind_joins(nodes)] for change, handle, nodes in said]}
        try:
            if decided is not None and "refused" in decided:
                raise _refusal(decided["refused"])
            changes = [*self._changes()]
            self._judge(changes, idle)
        except EditRefused as error:
            self._write({**record, "refused": list(error.reasons)}, decided, outside)
            self.discard(error)
            raise
        self._write(record, decided, outside)
        before = [one for handle in (*self._calls, *self._dropped) for one in _taken_by(handle)]
        self._settle()
        story = tuple(GraphChange(change, handle.id, tuple(one.id for one in nodes)) for change, handle, nodes in said)
        self._driver.edit(changes, list(self._inserted), story, idle)
        _let_go(before)

    def _choose(self, decided: dict[str, Any] | None, idle: Collection[Node]) -> None:
        """Of the steps that are dropped unless they have started: those that have not, or had not before."""
        if decided is None:
            gone = [one for one in self._spared if one.node.unstarted or one.node in idle]
        else:
            known = {step for change, step, _ in decided["changes"] if change == "drop"}
            gone = [one for one in self._spared if one.id in known]
        self._dropped |= dict.fromkeys(gone)

    def _write(self, record: dict[str, Any], decided: dict[str, Any] | None, outside: Outside | None) -> None:
        scribe = self._driver.scribe
        if scribe is None or decided is not None or (outside is not None and outside.again):
            return
        if outside is None:
            scribe.edited(self._who, record)
        else:
            scribe.edited(self._who, {**record, "document": outside.document}, outside.then)

    @property
    def _who(self) -> StepId:
        """The maker in the journal, where the program has no name."""
        return PROGRAM if self._maker is None or self._maker.parent is None else self._maker.id

    def discard(self, why: BaseException | None = None) -> None:
        """Give the edit up: the steps that were called for it will never be in the graph."""
        self._over = True
        for handle in self._inserted:
            if handle.parent is not None and handle.parent.scope is not None:
                handle.parent.scope.handles.pop(handle, None)
            error = StepSkipped(f"step {handle.id!r} is not in the graph: the edit that inserts it was not applied")
            error.__cause__ = why
            handle.settle_error(error)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._over:
            raise ProgramError("this edit has ended; begin another one")

    def _check(self, *handles: Handle[Any]) -> None:
        self._check_open()
        for handle in handles:
            if not isinstance(handle, Handle):
                raise ProgramError(f"an edit got {handle!r} for a step; expected a handle, as calling a step gives it")
            if handle.run is not self.run or handle.node is self._root:
                raise ProgramError(f"an edit cannot change {handle.id!r}: it is no step of run {self.run.id}")

    def _check_changed(self, handle: Handle[Any]) -> None:
        self._check(handle)
        above = handle.parent
        while above is not None and above is not self._maker:
            above = above.parent
        if self._maker is not None and above is None:
            raise ProgramError(
                f"step {self._maker.id!r} cannot change {handle.id!r}: a step edits the steps that it called itself, "
                f"the program all of them"
            )

    def _call(self, handle: Handle[Any]) -> Call:
        """How the step is to be called as far as it is known by now."""
        known = self._calls.get(handle)
        if known is not None:
            return known
        if handle.done():
            return Call(handle.spec, (), {}, ())  # it is refused in the end
        call = Call(handle.spec, handle.args, handle.kwargs, ())
        there = {one.node for one in call.handles}
        return replace(call, after=tuple(node for node in _gathered(handle.node) if node not in there))

    def _put(self, handle: Handle[Any], call: Call) -> None:
        for one in call.handles:
            self._check(one)
        if handle.node.kind == "join" and not all(isinstance(one, Handle) for one in call.args):
            self._reasons.append(f"step {handle.id!r} is a join; it takes steps, no values")
        self._calls[handle] = call

    def _given(self, handle: Handle[Any], call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The call with these arguments; that they do not fit is a reason against the edit."""
        _, args, kwargs = taken(call.spec, args, kwargs)
        try:
            if call.spec.given is not None and not handle.done():
                args, kwargs = call.spec.given(handle.args, *args, **kwargs)
            inspect.signature(call.spec.body).bind(*args, **kwargs)
        except TypeError as error:
            self._reasons.append(f"step {handle.id!r} cannot be called so: {error}")
        return replace(call, args=args, kwargs=kwargs)

    def _changes(self) -> Iterator[Change]:
        parts = {part for call in self._calls.values() for part in call.parts or () if part in self._inserted}
        yield from (Insert(one.node) for one in self._inserted if one not in parts)
        yield from (Drop(one.node) for one in self._dropped)
        for handle, call in self._calls.items():
            yield self._change(handle, call, parts)
        yield from self._joins()

    def _change(self, handle: Handle[Any], call: Call, new: set[Handle[Any]]) -> Change:
        inputs = call.inputs
        if call.parts is not None:
            parts = tuple(one.node for one in call.parts if one in new)
            lane = None if call.spec is handle.spec else call.spec.lane
            return Split(handle.node, parts, tuple(node for node in inputs if node not in parts), lane)
        if set(inputs) == set(handle.node.inputs):
            return Replace(handle.node)
        return Rewire(handle.node, inputs)

    def _joins(self) -> Iterator[Change]:
        """Joins that stand for wide inputs let go of what is dropped; who still needs that is asked by name."""
        left: dict[Node, set[Node]] = {}
        changed = {one.node for one in (*self._calls, *self._dropped)}
        for node in (one.node for one in self._dropped):
            for join in filter(is_shared, dict.fromkeys(node.dependents)):
                left.setdefault(join, set(join.inputs)).discard(node)
                for after in join.dependents:
                    if after.unstarted and after not in changed:
                        self._reasons.append(
                            f"step {after.id!r} needs {node.id!r}, which is dropped; rewire it, or drop it too"
                        )
        for join, kept in left.items():
            yield Rewire(join, tuple(one for one in join.inputs if one in kept)) if kept else Drop(join)

    def _judge(self, changes: list[Change], idle: Collection[Node]) -> None:
        """Raise ``EditRefused`` with the reasons found here, and those against the changes of the nodes."""
        reasons: Sequence[str] = ()
        try:
            checked(self.run.machine.nodes, changes, idle)
        except EditRefused as error:
            reasons = error.reasons
        if self._reasons or reasons:
            raise _refusal([*self._reasons, *reasons])

    def _settle(self) -> None:
        """What the edit is to the handles: nothing can go wrong any more."""
        for handle, call in self._calls.items():
            handle.spec, handle.args, handle.kwargs = call.spec, call.args, dict(call.kwargs)
            handle.node.kind, handle.node.priority = call.spec.kind, call.spec.priority
            found = call.handles
            handle.nested = bool(found) and handle.node.kind != "join"
            for one in found:
                one.observed = True
        for handle in self._dropped:
            handle.node.error = StepSkipped(f"step {handle.id!r} was taken out of the graph")

    def _said(self) -> Iterator[tuple[Any, Handle[Any], tuple[Node, ...]]]:
        """Every change of a step, and the inputs that it has then."""
        for handle in self._inserted:
            yield "insert", handle, self._calls[handle].inputs if handle in self._calls else handle.node.inputs
        for handle in self._dropped:
            yield "drop", handle, ()
        for handle, call in self._calls.items():
            if handle not in self._inserted:
                same = set(call.inputs) == set(handle.node.inputs)
                yield "split" if call.parts else "replace" if same else "rewire", handle, call.inputs


def _refusal(reasons: Iterable[str]) -> EditRefused:
    told = list(dict.fromkeys(reasons))
    return EditRefused(f"edit refused, nothing was changed: {'; '.join(told)}", reasons=told)


def _gathered(node: Node) -> list[Node]:
    """The inputs of a node, those behind a join of wide inputs in its place."""
    found: list[Node] = []
    for before in node.inputs:
        found.extend(before.inputs if is_shared(before) else (before,))
    return found


def _taken_by(handle: Handle[Any]) -> list[Handle[Any]]:
    return Call(handle.spec, handle.args, handle.kwargs, ()).handles


def _let_go(handles: Iterable[Handle[Any]]) -> None:
    """Some steps were taken by others: where nobody takes one any more, its failure is the program's again."""
    for one in handles:
        if not one.done() and all(after.finished for after in one.node.dependents):
            one.observed = False
