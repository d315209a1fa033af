"""Which context is worth more than which, and how much of a tier each may hold. Pure functions over a tree.

A node is held by every subject whose context passes through it and takes the rank of the most urgent one. Ranks are
whole numbers from 1, larger is more urgent; a node without one is ordered as the engine orders what nobody hinted.

    root -- fixed prompt of two agents -- context of A      A returns next, B later: the shared part ranks with A
                                      \\-- context of B      tier full: B's end loses its rank first, then B's start
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

DEEP = 16384
"""Tokens of context at which attending costs as much as the rest of a token's prefill: about six times the width of
the model, 4,096 to 24,576 in the sizes people serve. Only the host tier's order depends on it, and weakly."""

STEP = 5.0
"""Seconds that a step is taken to last where a hint counts steps and says no time. Host tier only."""


class Place(Protocol):
    """A node of the engine's radix tree, as far as ranking looks at it. The root has no parent and no tokens."""

    id: int
    parent: Any


class Wanted(Protocol):
    """A subject with a valid hint. ``leaf`` is the deepest node of its context, None when none is known; ``due`` is
    when it is expected back on the ledger's clock, infinite when unknown."""

    tenant: str
    leaf: Any
    due: float

    @property
    def priority(self) -> float:
        """Among subjects the smallest is evicted first."""

    @property
    def steps(self) -> int | None:
        """Steps to execution, None when unknown."""


@dataclass(slots=True)
class Ranks:
    """The outcome of one ranking of one tier: rank by node id, the tokens that hold a rank, who was cut short."""

    by_node: dict[int, int] = field(default_factory=dict)
    tokens: int = 0
    clipped: set[int] = field(default_factory=set)
    """``id()`` of each subject of which some tokens in this tier found no room in the budget."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The nodes that ``subject`` is the most urgent to hold, from its leaf towards the root, with their tokens."""

    subject: Wanted
    rank: int
    nodes: list[Place]
    sizes: list[int]


def urgency(wanted: Wanted) -> tuple[float, float, float]:
    """The device's order, least urgent first: priority, steps to execution, expected time; unknown is furthest."""
    return wanted.priority, -(math.inf if wanted.steps is None else wanted.steps), -wanted.due


def worth(wanted: Wanted, depth: int, now: float) -> tuple[float, float]:
    """The host tier's order, least worth first, for a context of ``depth`` tokens.

    What a miss costs differs between the tiers. On the device it costs a copy where a host tier backs it: the same
    for every token, so the soonest use alone decides. On the host it costs the prefill: a token at depth d takes time
    in proportion to 1 + d/DEEP. A place in the tier is a rent paid until the next use, so what counts is the prefill
    saved for each second of waiting. (MORI gives up busy contexts before idle ones on the host, because there a busy
    one lies on the device too. Here a node that does is no candidate, so its reason does not hold.)
    """
    wait = wanted.due - now if math.isfinite(wanted.due) else math.inf
    if math.isinf(wait) and wanted.steps is not None:
        wait = (1 + wanted.steps) * STEP
    return wanted.priority, (1.0 + depth / DEEP) / max(wait, 1.0)


def upwards(node: Any) -> Iterator[Any]:
    """``node`` and its ancestors, without the root."""
    while node is not None and node.parent is not None:
        yield node
        node = node.parent


def rank(
    subjects: Iterable[Wanted],
    key: Callable[[Wanted], Any],
    size: Callable[[Any], int],
    budget: int,
) -> Ranks:
    """Rank all nodes that ``subjects`` hold, by ``key`` (least urgent first), within ``budget`` tokens.

    ``size`` says how many tokens of a node lie in this tier. The budget is shared equally among the tenants; what
    one leaves unused goes to the others. Within a tenant the most urgent take first, each from the root down, since
    a context is of use only from its start.
    """
    claims = list(_claims(subjects, key, size))
    demand: dict[str, int] = {}
    for claim in claims:
        demand[claim.subject.tenant] = demand.get(claim.subject.tenant, 0) + sum(claim.sizes)
    room = shares(demand, budget)
    ranks = Ranks()
    for claim in claims:
        room[claim.subject.tenant] -= _grant(claim, room[claim.subject.tenant], ranks)
    return ranks


def shares(demand: Mapping[str, int], budget: int) -> dict[str, int]:
    """Split ``budget`` tokens equally among those who ask; nobody gets more than asked while another lacks."""
    given: dict[str, int] = {}
    left = budget
    for at, (tenant, asked) in enumerate(sorted(demand.items(), key=lambda item: (item[1], item[0]))):
        given[tenant] = min(asked, left // (len(demand) - at))
        left -= given[tenant]
    return given


def _claims(subjects: Iterable[Wanted], key: Callable[[Wanted], Any], size: Callable[[Any], int]) -> Iterator[Claim]:
    """Most urgent first, so that a walk ends at the first node that is taken: all above it are taken as well."""
    taken: set[int] = set()
    for subject, place in reversed(_placed(subjects, key)):
        nodes: list[Place] = []
        for node in upwards(subject.leaf):
            if node.id in taken:
                break
            taken.add(node.id)
            nodes.append(node)
        if nodes:
            yield Claim(subject, place, nodes, [size(node) for node in nodes])


def _placed(subjects: Iterable[Wanted], key: Callable[[Wanted], Any]) -> Sequence[tuple[Wanted, int]]:
    """Each subject with its place from 1, least urgent first; equals share a place."""
    keyed = sorted(((key(one), at, one) for at, one in enumerate(subjects)), key=lambda item: item[:2])
    found: list[tuple[Wanted, int]] = []
    for at, (mine, _, one) in enumerate(keyed):
        same = at > 0 and keyed[at - 1][0] == mine
        found.append((one, found[-1][1] if same else at + 1))
    return found


def _grant(claim: Claim, room: int, ranks: Ranks) -> int:
    """Give ranks to the claim's nodes while ``room`` tokens last, from the root down; return the tokens granted."""
    used = 0
    for node, tokens in zip(reversed(claim.nodes), reversed(claim.sizes), strict=True):
        above = node.parent.parent is None or node.parent.id in ranks.by_node
        if not above or used + tokens > room:  # what hangs below a clipped node must not keep it
            ranks.clipped.add(id(claim.subject))
            break
        ranks.by_node[node.id] = claim.rank
        used += tokens
    ranks.tokens += used
    return used
