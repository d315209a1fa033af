"""One step of a run, and where it is in its life."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agentrt.types import FINISHED, Place, SessionId, StepId, StepKind, StepStatus, Usage

NO_USAGE: Final = Usage()
"""What every node has used at first; one object for all, as most steps never use tokens."""


class InvalidTransition(RuntimeError):
    """The driver reported something that cannot have happened; the message is the node's whole story."""


class Node:
    """One step of a run. Everybody may read it; only its ``Machine`` writes status, times, edges and the counters.

    ``inputs`` are data edges: the node waits for all of them, or for the first ``need`` that are done; those it did not
    wait for are let go when it starts. ``after`` are control edges: steps the program had already awaited when it
    made this one, so they are done and nothing waits for them. Times are the driver's seconds. ``session`` is the
    context that it is a turn of, or whose turn asked for it; ``word`` the program that it runs. Both are the driver's
    to write.
    """

    __slots__ = (
        "__weakref__",
        "added",
        "after",
        "attempt",
        "because",
        "dependents",
        "ended",
        "error",
        "history",
        "holds",
        "id",
        "inputs",
        "kind",
        "lane",
        "name",
        "need",
        "parent",
        "place",
        "priority",
        "sequence",
        "session",
        "spare",
        "started",
        "status",
        "usage",
        "waiting",
        "word",
    )

    def __init__(
        self,
        id: StepId,  # noqa: A002 - the field's name
        name: str,
        kind: StepKind,
        *,
        inputs: tuple[Node, ...] = (),
        after: tuple[Node, ...] = (),
        parent: Node | None = None,
        lane: str = "",
        priority: int = 0,
        place: tuple[str, int] | None = None,
        need: int | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.kind = kind
        self.inputs = inputs
        self.after = after
        self.parent = parent
        self.lane = lane
        self.priority = priority
        self.place = place
        self.need = need
        self.status: StepStatus = "pending"
        self.history: list[tuple[StepStatus, float]] = []
        self.dependents: list[Node] = []
        self.waiting = 0
        self.spare = 0
        self.holds = False
        self.sequence = 0
        self.attempt = 0
        self.added = 0.0
        self.started: float | None = None
        self.ended: float | None = None
        self.error: BaseException | None = None
        self.because: Node | None = None
        self.usage = NO_USAGE
        self.session: SessionId | None = None
        self.word = ""

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.kind} {self.status}>"

    @property
    def finished(self) -> bool:
        """Whether the status can never change again."""
        return self.status in FINISHED

    @property
    def unstarted(self) -> bool:
        """Whether it never started and still may: what an edit can change."""
        return self.started is None and self.status in ("pending", "ready")

    @property
    def unwanted(self) -> bool:
        """Whether it was skipped with nobody to blame: the edges that leave it are disabled."""
        return self.status == "skipped" and self.because is None

    @property
    def culprit(self) -> Node | None:
        """Who is to blame when this node has no value; ``None`` while it may have one, and when it was not wanted."""
        return self if self.status in ("failed", "cancelled") else self.because

    @property
    def open_inputs(self) -> int:
        """How many of its inputs have not ended."""
        return sum(before.status not in FINISHED for before in self.inputs)

    @property
    def lost_inputs(self) -> int:
        """How many of its inputs have ended without a value."""
        return sum(before.status in FINISHED and before.status != "done" for before in self.inputs)

    @property
    def story(self) -> str:
        """What happened to the node so far, in one line."""
        where = f", {Place(*self.place)}" if self.place else ""
        steps = ", ".join(f"{status} at {at:.3f} s" for status, at in self.history)
        some = f"{self.need} of " if self.need is not None else ""
        waited = f" after {some}{', '.join(node.id for node in self.inputs)}" if self.inputs else ""
        attempts = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"{self.id} ({self.kind}{where}){waited}: {steps or 'never added'}{attempts}"


def behind_joins(nodes: Iterable[Node]) -> list[StepId]:
    """The ids of these steps, with those that a join gathers in its place."""
    found: dict[StepId, None] = {}
    queue = list(nodes)
    for node in queue:  # grows meanwhile
        if node.kind == "join":
            queue.extend((*node.inputs, *node.after))
        else:
            found[node.id] = None
    return list(found)
