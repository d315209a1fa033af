"""Edits of a running graph: from handles and arguments to changes of nodes, applied together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentrt.errors import EditRefused, ProgramError, StepSkipped
from agentrt.events import GraphChange
from agentrt.graph.edits import Change, Drop, Insert, Rewire, checked
from agentrt.graph.machine import Node
from agentrt.graph.node import behind_joins
from agentrt.runtime.handle import Handle
from agentrt.runtime.recalls import Recalls, let_go, taken_by
from agentrt.runtime.spec import StepSpec
from agentrt.runtime.wiring import Wiring, is_shared, taken
from agentrt.store.rows import PROGRAM
from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.run import Run

_NOTHING: Final[Mapping[str, Any]] = {}


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
        self._reasons: list[str] = []
        self._recalls = Recalls(self._reasons)
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
        self._check(*(one for value in exchange.values() for one in _handles_in(handle, value)))
        self._recalls.rewire(handle, exchange)

    def replace(self, handle: Handle[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NOTHING) -> None:
        """The step is called with these arguments instead."""
        self._check_changed(handle)
        self._check(*_handles_in(handle, (args, dict(kwargs))))
        self._recalls.replace(handle, args, kwargs)

    def split(self, handle: Handle[Any], parts: Sequence[Handle[Any]], by: StepSpec | None = None) -> None:
        """Other steps do the work of the step; it takes the list of their values, or the step ``by`` does so for it."""
        self._check_changed(handle)
        self._check(*parts)
        self._recalls.split(handle, parts, by)

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
        if self._inserted or self._dropped or self._spared or self._recalls.changed or self._reasons:
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
        before = [one for handle in (*self._recalls.changed, *self._dropped) for one in taken_by(handle)]
        self._recalls.settle()
        for handle in self._dropped:
            handle.node.error = StepSkipped(f"step {handle.id!r} was taken out of the graph")
        story = tuple(GraphChange(change, handle.id, tuple(one.id for one in nodes)) for change, handle, nodes in said)
        self._driver.edit(changes, list(self._inserted), story, idle)
        let_go(before)

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

    def _changes(self) -> Iterator[Change]:
        calls = self._recalls.changed
        parts = {part for call in calls.values() for part in call.parts or () if part in self._inserted}
        yield from (Insert(one.node) for one in self._inserted if one not in parts)
        yield from (Drop(one.node) for one in self._dropped)
        yield from self._recalls.changes(parts)
        yield from self._joins()

    def _joins(self) -> Iterator[Change]:
        """Joins that stand for wide inputs let go of what is dropped; who still needs that is asked by name."""
        left: dict[Node, set[Node]] = {}
        changed = {one.node for one in (*self._recalls.changed, *self._dropped)}
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

    def _said(self) -> Iterator[tuple[Any, Handle[Any], tuple[Node, ...]]]:
        """Every change of a step, and the inputs that it has then."""
        calls = self._recalls.changed
        for handle in self._inserted:
            yield "insert", handle, calls[handle].inputs if handle in calls else handle.node.inputs
        for handle in self._dropped:
            yield "drop", handle, ()
        for handle, call in calls.items():
            if handle not in self._inserted:
                same = set(call.inputs) == set(handle.node.inputs)
                yield "split" if call.parts else "replace" if same else "rewire", handle, call.inputs


def _refusal(reasons: Iterable[str]) -> EditRefused:
    told = list(dict.fromkeys(reasons))
    return EditRefused(f"edit refused, nothing was changed: {'; '.join(told)}", reasons=told)


def _handles_in(step: Handle[Any], value: Any) -> list[Handle[Any]]:
    return taken(step.spec, (value,), {})[0]
