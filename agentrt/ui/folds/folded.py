"""The nodes and edges that stand for a run under one folding, kept up to date step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from agentrt.types import StepId, StepKind, StepStatus
from agentrt.ui.model import RunView, StepView

WINDOW: Final = 60
"""How many members of a family that is not folded are shown at a time."""

_ORDER: Final[tuple[StepStatus, ...]] = ("running", "failed", "cancelled", "skipped")


Part: TypeAlias = Literal["", "before", "after", "rest"]
"""Which part of its family a node is: all or one of it; those before or after the window; or one of all other names."""


class Rung(NamedTuple):
    """How much is folded: families of more than ``family`` members, and what is held ``depth`` levels deep.

    With ``names`` not more than so many nodes: all further names are one.
    """

    family: int
    depth: int
    told: str
    names: int = 1 << 30


@dataclass(slots=True, eq=False)
class FoldNode:
    """One node: a step, or several of a name (``step`` is ``None``).

    ``chain`` are the ids of the nodes that hold it, outermost first, and its own; ``holder`` the last of the former,
    empty for none. ``counts`` are its own steps by
    status, ``within`` those that they hold and that no node shows. ``rounds``: its steps come after one another.
    ``started`` is the first start, ``ended`` the last end. ``family`` is the id of its family, and of the group that
    it makes.
    """

    id: str
    name: str
    kind: StepKind
    first: StepView
    step: StepView | None
    chain: tuple[str, ...]
    holder: str
    closed: bool
    family: str
    part: Part = ""
    counts: dict[StepStatus, int] = field(default_factory=dict)
    within: dict[StepStatus, int] = field(default_factory=dict)
    rounds: bool = False
    started: float | None = None
    ended: float | None = None

    @property
    def total(self) -> int:
        """How many steps it stands for, without what they hold."""
        return sum(self.counts.values())

    @property
    def status(self) -> StepStatus:
        """One status for all: running or failed when any is, done when nothing else is left."""
        if self.step is not None:
            return self.step.status
        for status in _ORDER:
            if self.counts.get(status):
                return status
        return "done" if self.counts.get("done") == self.total else "pending"

    def seconds(self, now: float) -> float | None:
        """How long it has run: from the first start to the last end, or to now; ``None`` before."""
        if self.step is not None:
            return self.step.seconds(now)
        if self.started is None:
            return None
        over = not any(self.counts.get(status) for status in ("running", "ready", "pending"))
        return (self.ended if over and self.ended is not None else now) - self.started


@dataclass(slots=True)
class Family:
    """The steps of one name below one node, in the order in which they came; ``first`` is where its window begins.

    ``rest``: it came when there were as many names as there may be.
    """

    id: str
    folded: bool
    rest: bool
    first: int
    members: int = 0


@dataclass(slots=True)
class FoldEdge:
    """So many edges between the steps of two nodes: values handed on, and mere orders."""

    data: int = 0
    control: int = 0


@dataclass(frozen=True, slots=True)
class Choices:
    """What is folded: by a rung, and by a person, who opened groups and closed steps.

    ``windows`` say with which member the window on a family begins; ``crossed`` are families that are folded because
    they are larger than the rung allows: that is seen when the last of their members has come.
    """

    rung: Rung
    opened: frozenset[str] = frozenset()
    shut: frozenset[str] = frozenset()
    crossed: frozenset[str] = frozenset()
    windows: Mapping[str, int] = field(default_factory=dict)


class Folded:
    """A run under one folding. ``changes`` counts the nodes and edges that came or went.

    ``crossed`` are the families that have grown too large for it: the folding has to be made anew with them. So it is
    when it is ``stale``. Unless it is ``full``, it only says what nodes there would be.
    """

    def __init__(self, view: RunView, choices: Choices, *, full: bool = True) -> None:
        self.nodes: dict[str, FoldNode] = {}
        self.edges: dict[tuple[str, str], FoldEdge] = {}
        self.families: dict[str, Family] = {}
        self.changes = 0
        self.crossed: set[str] = set()
        self.stale = False
        self._view = view
        self._choices = choices
        self._full = full
        self._of: dict[StepId, tuple[FoldNode, bool]] = {}
        self._joined: dict[StepId, list[tuple[StepView, int]]] = {}

    def node_of(self, step: StepId) -> FoldNode | None:
        """The node that shows a step, or holds it hidden; ``None`` for a join and for what is not there."""
        found = self._of.get(step)
        return found[0] if found else None

    def add(self, step: StepView) -> None:
        """A step has come, after all that it comes after and what holds it."""
        if step.kind == "join":
            self._joined[step.id] = self._sources((*step.inputs, *step.after))
            return
        node, direct = self._of[step.id] = self._node(step)
        if not self._full:
            return
        counts = node.counts if direct else node.within
        counts[step.status] = counts.get(step.status, 0) + 1
        if direct:
            _time(node, step)
        if step.inputs:
            self._link(step, step.inputs, 1, control=False)
        if step.after:
            self._link(step, step.after, 1, control=True)

    def rewire(self, step: StepView, before: Iterable[StepId]) -> None:
        """A step has other inputs than before."""
        if step.kind == "join":
            self.stale = True
            return
        self._link(step, before, -1, control=False)
        self._link(step, step.inputs, 1, control=False)

    def move(self, step: StepView, before: StepStatus) -> None:
        """A step has another status than before."""
        if step.kind == "join":
            return
        node, direct = self._of[step.id]
        counts = node.counts if direct else node.within
        counts[before] -= 1
        counts[step.status] = counts.get(step.status, 0) + 1
        if direct:
            _time(node, step)

    def _node(self, step: StepView) -> tuple[FoldNode, bool]:
        """The node that shows a step, made if need be; whether it shows the step itself, not one that holds it."""
        above = self._of[step.parent][0] if step.parent else None
        if above is not None and above.closed:
            return above, False
        holder = above.id if above else ""
        family = self._family(f"{holder}\t{step.name}")
        number, family.members = family.members, family.members + 1
        rung = self._choices.rung
        if family.rest:
            return self._new("\n", step, (), family, part="rest"), True
        if not family.folded and family.members > rung.family and family.id not in self._choices.opened:
            self.crossed.add(family.id)
            family.folded = True  # those that came before are still shown, until it is made anew
        return self._shown(step, family, number, above.chain if above else ()), True

    def _family(self, name: str) -> Family:
        family = self.families.get(name)
        if family is None:
            folded = name in self._choices.crossed and name not in self._choices.opened
            rest = len(self.nodes) >= self._choices.rung.names - 1
            first = self._choices.windows.get(name, 0)
            family = self.families[name] = Family(name, folded, rest, first)
        return family

    def _shown(self, step: StepView, family: Family, number: int, chain: tuple[str, ...]) -> FoldNode:
        if family.folded:
            return self._new(family.id, step, chain, family)
        if family.first <= number < family.first + WINDOW:
            return self._new(step.id, step, chain, family)
        part: Part = "before" if number < family.first else "after"
        return self._new(f"{family.id}\t{part}", step, chain, family, part)

    def _new(self, name: str, step: StepView, chain: tuple[str, ...], family: Family, part: Part = "") -> FoldNode:
        node = self.nodes.get(name)
        if node is None:
            choices = self._choices
            deep = len(chain) + 1 >= choices.rung.depth or family.id in choices.opened
            closed = bool(part) or (deep and name not in choices.opened) or name in choices.shut
            alone = step if name == step.id else None
            holder = chain[-1] if chain else ""
            node = FoldNode(name, step.name, step.kind, step, alone, (*chain, name), holder, closed, family.id, part)
            self.nodes[name] = node
            self.changes += 1
        return node

    def _sources(self, steps: Iterable[StepId]) -> list[tuple[StepView, int]]:
        """Those steps, looking through joins; of the many that one node shows only one, with how many there are."""
        found: dict[tuple[str, int], tuple[StepView, int]] = {}
        for name in steps:
            step = self._view.steps.get(name)
            if step is None:
                continue
            for one, count in self._joined.get(name, ((step, 1),)):
                if one.id in self._of:
                    key = self._of[one.id][0].id, len(one.path)
                    found[key] = one, count + (found[key][1] if key in found else 0)
        return list(found.values())

    def _link(self, step: StepView, sources: Iterable[StepId], sign: int, *, control: bool) -> None:
        target, direct = self._of[step.id]
        for name in sources:
            found = self._of.get(name)
            if found is not None:
                self._join(found, target, direct, sign, control)
                continue
            for source, count in self._joined.get(name, ()):
                self._join(self._of[source.id], target, direct, sign * count, control)

    def _join(self, source: tuple[FoldNode, bool], target: FoldNode, direct: bool, count: int, control: bool) -> None:
        """Count edges between two nodes, or between what holds them where that stands side by side."""
        node, also = source
        if node is target:
            node.rounds = node.rounds or (direct and also)
        elif node.holder == target.holder:
            self._count((node.id, target.id), count, control)
        else:
            ends = next(((a, b) for a, b in zip(node.chain, target.chain, strict=False) if a != b), None)
            if ends is not None:
                self._count(ends, count, control)

    def _count(self, ends: tuple[str, str], count: int, control: bool) -> None:
        edge = self.edges.get(ends)
        if edge is None:
            edge = self.edges[ends] = FoldEdge()
            self.changes += 1
        was = edge.data > 0
        if control:
            edge.control += count
        else:
            edge.data += count
        if edge.data + edge.control <= 0:
            del self.edges[ends]
            self.changes += 1
        elif was != (edge.data > 0):
            self.changes += 1


def _time(node: FoldNode, step: StepView) -> None:
    if step.started is not None:
        node.started = step.started if node.started is None else min(node.started, step.started)
    if step.ended is not None:
        node.ended = step.ended if node.ended is None else max(node.ended, step.ended)
