"""The scheduler core: a pure state machine. Events go in as method calls, instructions come out.

It knows nothing of asyncio, clocks or executors: whoever drives it says what happened and at what time, and carries
out what it answers. The life of a node::

    pending --> ready --> running --> done | failed | cancelled | skipped
       |          |          |
       |          |          +--> pending        (suspended: waits out a delay, holds no place)
       |          +--> cancelled | pending     (rewired by an edit)
       +--> skipped | cancelled

A node is *ready* when every input is done, or as many as it needs, and runs as soon as its lane has a free place; lanes
without a limit always have one. When a node fails or is cancelled, what cannot run without it is skipped, and nothing
else is touched.

An edge is *pending* until its source has ended, then *enabled*, or *disabled* when the source was skipped with nobody
to blame: its condition did not hold (``decline``), or all its own edges are disabled. Disabled edges count as absent,
as far as the node can do without them; a node of which all edges are disabled is skipped in turn. An edit changes
nodes that have not started, several at once or none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from agentrt.errors import GraphError
from agentrt.graph.edits import Change, cannot_meet, checked, cut
from agentrt.graph.invariants import check
from agentrt.graph.node import NO_USAGE, InvalidTransition, Node
from agentrt.graph.transitions import Instruction, Transitions, to_blame, turn
from agentrt.types import FINISHED, StepStatus

__all__ = ["NO_USAGE", "Instruction", "InvalidTransition", "Machine", "Node"]

_SUSPENDED: Final = 1 << 62
"""What a suspended node waits for: more than inputs that are late for a join could ever count down."""


def _always(_: Node) -> bool:
    return True


class Machine(Transitions):
    """The step graph of one run and the state of every node in it.

    ``limits`` says how many nodes of a lane run at once; a lane that is not named has no limit. ``spares`` says whether
    a node that needs all its inputs can do without those that are not wanted. ``version`` counts the edits. Each method
    takes the present time in seconds and returns the instructions that follow, in the order in which to carry them out.
    """

    def __init__(
        self, limits: Mapping[str, int | None] | None = None, spares: Callable[[Node], bool] = _always
    ) -> None:
        super().__init__(limits or {})
        self.version = 0
        self._spares = spares

    def add(self, node: Node, now: float) -> list[Instruction]:
        """Put a new node into the graph.

        Raises ``GraphError`` for a known id, an input that is not in the graph, and a ``need`` that cannot be met.
        """
        if node.need is not None and (problem := cannot_meet(node, node.inputs)):
            raise GraphError(problem)
        self._admit(node, now)
        out: list[Instruction] = []
        if not node.inputs or (self._link(node, now, out, []) and node.waiting == 0):
            self._ready(node, now, out)
        return out

    def finish(self, node: Node, now: float) -> list[Instruction]:
        """The node ran and gave its result."""
        out: list[Instruction] = []
        self._end(node, "done", now)
        behind = node.dependents
        if len(behind) > 1 and self._lanes:  # else no two of them want one place
            behind = sorted(behind, key=turn)
        for after in behind:
            after.waiting -= 1
            if after.waiting == 0 and after.status == "pending":
                self._ready(after, now, out)
        if node.holds:
            self._vacate(node, now, out)  # only now: those it made ready compete for its place
        return out

    def fail(self, node: Node, error: BaseException, now: float) -> list[Instruction]:
        """The node ran and failed for good; what cannot run without it is skipped."""
        out = self._fall(node, "failed", now)
        node.error = error
        return out

    def cancelled(self, node: Node, now: float) -> list[Instruction]:
        """The node's run was ended, after a ``stop`` or by itself."""
        return self._fall(node, "cancelled", now)

    def decline(self, node: Node, now: float) -> list[Instruction]:
        """The node ran and found that nothing behind it is wanted: it is skipped, the edges that leave it disabled."""
        if node.status != "running":
            raise InvalidTransition(f"cannot decline at {now:.3f} s: {node.story}")
        return self._fall(node, "skipped", now)

    def cancel(self, node: Node, now: float) -> list[Instruction]:
        """Somebody wants the node gone. Nothing happens when it is finished already."""
        if node.status in FINISHED:
            return []
        if node.status == "running":
            return [Instruction("stop", node)]
        return [Instruction("drop", node), *self._fall(node, "cancelled", now)]

    def release(self, node: Node, now: float) -> list[Instruction]:
        """The running node now waits for nodes of its own, so it gives its place in the lane to others."""
        out: list[Instruction] = []
        self._vacate(node, now, out)
        return out

    def suspend(self, node: Node, now: float) -> list[Instruction]:
        """The running node has to wait out a delay before its next attempt; it holds no place meanwhile."""
        out: list[Instruction] = []
        self._move(node, "pending", now)
        node.waiting = _SUSPENDED
        self._vacate(node, now, out)
        return out

    def resume(self, node: Node, now: float) -> list[Instruction]:
        """The delay of a suspended node is over."""
        out: list[Instruction] = []
        node.waiting = 0
        self._ready(node, now, out)
        return out

    def edit(self, changes: Sequence[Change], now: float, idle: Collection[Node] = ()) -> list[Instruction]:
        """Change nodes that have not started, all at once; makes the next ``version``.

        ``idle`` nodes, of those that need all their inputs, were told to start, but the driver holds them back: they
        count as not started. Raises ``EditRefused`` with every reason against it; nothing has changed then.
        """
        draft = checked(self.nodes, changes, idle)
        out: list[Instruction] = []
        free: list[Node] = []
        self.version += 1
        lanes = [self._back(node, now) for node in (*draft.dropped, *draft.inputs) if node in idle]
        for node in draft.dropped:
            self._leave_queue(node, now)
            self._end(node, "skipped", now)
            out.append(Instruction("drop", node))
        for node in draft.inserted:
            node.inputs = ()  # they may need each other: first all nodes, then all edges
            self._admit(node, now)
        for node, inputs in draft.inputs.items():
            self._unlink(node, now)
            node.inputs = inputs
            node.lane = draft.lanes.get(node, node.lane)
        for node in draft.inputs:
            if self._link(node, now, out, free) and node.waiting == 0:
                free.append(node)
        self._ready_together(sorted(free, key=turn), lanes, now, out)
        cut(draft.inputs)
        return out

    def validate(self) -> None:
        """Check every invariant; for tests. Raises ``InvalidTransition`` with the story of the first bad node."""
        check(self.nodes, self._lanes, self.unfinished)

    # -- edges -----------------------------------------------------------------------------------------------

    def forget(self, node: Node) -> None:
        """Let go of a finished node; what it came after, and what came after it, is not known of it any more."""
        del self.nodes[node.id]
        node.inputs = node.after = ()
        node.dependents.clear()

    def _link(self, node: Node, now: float, out: list[Instruction], free: list[Node]) -> bool:
        """Have its inputs know of it and count those it waits for; ``False`` when it cannot run, and was skipped."""
        lost = 0
        for before in node.inputs:
            if before.status not in FINISHED:
                before.dependents.append(node)
                node.waiting += 1
            elif before.status != "done":
                lost += 1
        return self._can_run(node, lost, now, out, free) if lost or node.need is not None else True

    def _can_run(self, node: Node, lost: int, now: float, out: list[Instruction], free: list[Node]) -> bool:
        """Whether the node may run, of whose inputs so many have no value; it is skipped else."""
        count, because = len(node.inputs), to_blame(node) if lost else None
        if node.need is None:
            fits = because is None and lost < count and self._spares(node)
        else:
            done = count - lost - node.waiting
            node.waiting, node.spare = max(0, node.need - done), count - lost - node.need
            fits = node.spare >= 0
        if not fits:
            self._skip(node, because, now, out)
            self._spread(((after, because) for after in node.dependents), now, out, free)
        return fits

    def _unlink(self, node: Node, now: float) -> None:
        """Undo ``_link`` for a node that has not started."""
        for before in node.inputs:
            if before.status not in FINISHED:
                before.dependents.remove(node)
        node.waiting = node.spare = 0
        self._leave_queue(node, now)

    def _fall(self, node: Node, status: StepStatus, now: float) -> list[Instruction]:
        """The node ended without a value; it is to blame, unless it was skipped."""
        out: list[Instruction] = []
        self._end(node, status, now)
        because = None if status == "skipped" else node
        free: list[Node] = []
        self._spread(((after, because) for after in node.dependents), now, out, free)
        for after in sorted(free, key=turn):
            self._ready(after, now, out)
        self._vacate(node, now, out)
        return out

    def _spread(
        self, edges: Iterable[tuple[Node, Node | None]], now: float, out: list[Instruction], free: list[Node]
    ) -> None:
        """One edge of each of these nodes is lost: who is to blame, nobody where it is disabled.

        Collects in ``free`` those that can start without it. A loop, so that a long chain needs no deep stack.
        """
        queue = list(edges)
        for node, because in queue:
            if node.status != "pending":
                continue
            if node.need is not None:
                node.spare -= 1
                if node.spare >= 0:
                    continue
                because = to_blame(node)
            elif because is None and self._spares(node):
                node.waiting -= 1
                if node.waiting:
                    continue
                if any(before.status == "done" for before in node.inputs):
                    free.append(node)
                    continue
            self._skip(node, because, now, out)
            queue.extend((after, because) for after in node.dependents)

    def _skip(self, node: Node, because: Node | None, now: float, out: list[Instruction]) -> None:
        node.because = because
        self._end(node, "skipped", now)
        out.append(Instruction("drop", node))
