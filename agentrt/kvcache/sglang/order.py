"""Which context is worth more than which, and how much of a tier each may hold. Pure functions over a tree.

A node is held by every subject whose context passes through it and takes the rank of the most urgent one. Ranks are
whole numbers from 1, larger is more urgent; a node without one is ordered as the engine orders what nobody hinted.

    root -- fixed prompt of two agents -- context of A      A returns next, B later: the shared part ranks with A
                                      \\-- context of B      tier full: B's end loses its rank first, then B's start
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

DEEP: Final = 16384
"""Tokens of context at which attending costs as much as the rest of a token's prefill: about six times the width of
the model, 4,096 to 24,576 in the sizes people serve. Only the host tier's order depends on it, and weakly."""

STEP: Final = 5.0
"""Seconds that a step is taken to last where a hint counts steps and says no time. Host tier only."""


Tier: TypeAlias = Literal[0, 1]
"""The device, or the host: there a token counts that lies nowhere else."""

DEVICE: Final = 0
HOST: Final = 1


class Place(Protocol):
    """A node of the engine's radix tree, as far as ranking looks at it. The root has no parent and no tokens."""

    id: int
    parent: Any


@dataclass(slots=True)
class Trail:
    """The nodes of a context from its end to the root: ``own``, which no other subject holds, then the ``rest``.

    ``tokens`` are those of ``own`` in each tier, ``depth`` counts all of the context. ``shape`` says of which tree
    it was told; see ``Ledger.touched``.
    """

    own: list[Place]
    rest: list[Place]
    tokens: tuple[int, int]
    depth: int
    shape: int


class Wanted(Protocol):
    """A subject with a valid hint. ``due`` is when it is expected back on the ledger's clock, infinite when unknown;
    ``ranks`` are those of its own nodes in each tier, which ranking sets."""

    tenant: str
    due: float
    ranks: list[int]

    @property
    def priority(self) -> float:
        """Among subjects the smallest is evicted first."""

    @property
    def steps(self) -> int | None:
        """Steps to execution, None when unknown."""


W = TypeVar("W", bound=Wanted)


@dataclass(slots=True)
class Ranks:
    """The outcome of one ranking of one tier, beside the ``ranks`` of each subject.

    ``by_node`` holds the rank of each node that is ranked apart from its owner: shared ones, and the start of a
    context that fits in part. ``tokens`` hold a rank, in all. ``clipped`` holds the ``id()`` of each subject that
    found no room for all it has in this tier; ``shared``, the ids of the nodes that are not any subject's own.
    """

    by_node: dict[int, int] = field(default_factory=dict)
    tokens: int = 0
    clipped: set[int] = field(default_factory=set)
    shared: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Claim:
    """What ``subject`` is the most urgent to hold: its own nodes, and of the rest of its trail these."""

    subject: Wanted
    trail: Trail
    rank: int
    rest: list[Place]
    sizes: list[int]
    tokens: int


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
    trails: Mapping[W, Trail], tier: Tier, key: Callable[[W], Any], sizes: Callable[[Any], tuple[int, int]], budget: int
) -> Ranks:
    """Rank in ``tier`` what the subjects of ``trails`` hold, by ``key`` (least urgent first), within ``budget`` tokens.

    ``sizes`` says how many tokens of a node lie in each tier. The budget is shared equally among the tenants; what
    one leaves unused goes to the others. Within a tenant the most urgent take first, each from the root down, since
    a context is of use only from its start.
    """
    ranks = Ranks()
    claims = list(_claims(trails, tier, key, sizes, ranks.shared))
    demand: dict[str, int] = {}
    for claim in claims:
        demand[claim.subject.tenant] = demand.get(claim.subject.tenant, 0) + claim.tokens
    room = shares(demand, budget)
    for claim in claims:
        granted = _grant(claim, tier, room[claim.subject.tenant], sizes, ranks)
        room[claim.subject.tenant] -= granted
        ranks.tokens += granted
    return ranks


def shares(demand: Mapping[str, int], budget: int) -> dict[str, int]:
    """Split ``budget`` tokens equally among those who ask; nobody gets more than asked while another lacks."""
    given: dict[str, int] = {}
    left = budget
    for at, (tenant, asked) in enumerate(sorted(demand.items(), key=lambda item: (item[1], item[0]))):
        given[tenant] = min(asked, left // (len(demand) - at))
        left -= given[tenant]
    return given


def _claims(
    trails: Mapping[W, Trail],
    tier: Tier,
    key: Callable[[W], Any],
    sizes: Callable[[Any], tuple[int, int]],
    taken: set[int],
) -> Iterator[Claim]:
    """Most urgent first, so that a walk ends at the first node that is taken: all above it are taken as well."""
    for subject, place in reversed(_placed(trails, key)):
        trail = trails[subject]
        rest: list[Place] = []
        for node in trail.rest:
            if node.id in taken:
                break
            taken.add(node.id)
            rest.append(node)
        tokens = [sizes(node)[tier] for node in rest]
        yield Claim(subject, trail, place, rest, tokens, trail.tokens[tier] + sum(tokens))


def _placed(subjects: Iterable[W], key: Callable[[W], Any]) -> list[tuple[W, int]]:
    """Each subject with its place from 1, least urgent first; equals share a place."""
    keyed = sorted(((key(one), at, one) for at, one in enumerate(subjects)), key=itemgetter(0, 1))
    found: list[tuple[W, int]] = []
    for at, (mine, _, one) in enumerate(keyed):
        same = at > 0 and keyed[at - 1][0] == mine
        found.append((one, found[-1][1] if same else at + 1))
    return found


def _grant(claim: Claim, tier: Tier, room: int, sizes: Callable[[Any], tuple[int, int]], ranks: Ranks) -> int:
    """Rank the claim's nodes while ``room`` tokens last, from the root down; return the tokens granted."""
    used, whole = _descend(claim.rest, claim.sizes, claim.rank, room, ranks)
    own, held = claim.trail.own, claim.trail.tokens[tier]
    claim.subject.ranks[tier] = 0
    if whole and own:
        if used + held <= room and _reached(own[-1], ranks):
            claim.subject.ranks[tier] = claim.rank
            return used + held
        more, whole = _descend(own, [sizes(node)[tier] for node in own], claim.rank, room - used, ranks)
        used += more
    if not whole:
        ranks.clipped.add(id(claim.subject))
    return used


def _descend(nodes: list[Place], sizes: list[int], rank: int, room: int, ranks: Ranks) -> tuple[int, bool]:
    """Rank ``nodes`` (deepest first) one by one from the top; return the tokens granted, and whether all fitted."""
    used = 0
    for node, tokens in zip(reversed(nodes), reversed(sizes), strict=True):
        if used + tokens > room or not _reached(node, ranks):
            return used, False
        ranks.by_node[node.id] = rank
        used += tokens
    return used, True


def _reached(node: Place, ranks: Ranks) -> bool:
    """Whether all above ``node`` is ranked. What hangs below a clipped node must not keep it from being evicted."""
    return node.parent.parent is None or node.parent.id in ranks.by_node
