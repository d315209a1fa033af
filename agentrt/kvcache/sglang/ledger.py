"""What one scheduler process knows of the hints it was given. Standard library only, no clock of its own.

With tensor parallelism every rank must evict the same nodes, so time comes with the messages: all ranks receive the
same messages in the same order, and nothing here reads a clock or depends on addresses.

    hints --apply--> subjects --refresh, only when something changed--> a rank for each node --> eviction, prefetch
                        ^
    requests --place----+--> owners: the only session that ever used a node, so that its end frees the node
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from agentrt.kvcache.hints import Hint, Subject, Tally
from agentrt.kvcache.sglang.counts import Counts
from agentrt.kvcache.sglang.order import Place, Ranks, rank, upwards, urgency, worth
from agentrt.kvcache.sglang.subjects import ENDED, SHARED, UNHINTED, Known, shown

__all__ = ["MAX_SUBJECTS", "Counts", "Ledger"]

MAX_SUBJECTS: Final = 65536
"""Subjects remembered at once; the one heard of longest ago is forgotten first."""

LINGER: Final = 60.0
"""Seconds that an end is remembered at least: what the session's last request leaves must go first too."""


class Ledger:
    """Hints by tenant and subject, and where in the tree their contexts lie.

    ``pool`` and ``host`` are the tiers in tokens, ``budget`` the share of each that hints may protect. ``sizes`` says
    how many tokens of a node lie on the device and how many on the host. ``find`` looks a fixed prompt up in a
    tenant's part of the tree: the deepest node within it, and whether that is all of it. ``then`` runs after every
    message, for those who act on hints.
    """

    def __init__(
        self,
        *,
        pool: int,
        host: int = 0,
        budget: float = 0.9,
        sizes: Callable[[Any], tuple[int, int]],
        find: Callable[[str, array[int]], tuple[Any, bool]],
        then: Callable[[], None] = lambda: None,
        room: int = MAX_SUBJECTS,
    ) -> None:
        self.pool, self.host, self.budget, self.room = pool, host, budget, room
        self.sizes, self.find, self.then = sizes, find, then
        self.clock = 0.0
        self.counts = Counts()
        self.dirty = False
        self.device, self.behind = Ranks(), Ranks()
        self.wanted: dict[Known, None] = {}  # to be prefetched
        self.ending = False  # whether any session ended since the tree was last empty
        self._known: dict[tuple[str, Subject], Known] = {}  # the one heard of longest ago first
        self._valid: dict[Known, None] = {}  # dicts for sets: their order is the same on every rank
        self._expiry: list[tuple[float, int, Known, Hint]] = []
        self._heard = 0
        self._owners: dict[int, Known] = {}
        self._leaves: dict[int, list[Known]] = {}  # by the id of the node where they end
        self._partial: dict[str, dict[Known, None]] = {}  # agents by tenant whose prompt is not whole in the tree
        self._seen: dict[Known, None] = {}  # those of them that a request has brought in

    # -- messages --------------------------------------------------------------------------------------------

    def apply(self, hints: Iterable[Hint], now: float) -> Tally:
        """Take a batch in order; ``now`` is in seconds of the sender's clock. A clock that goes back stands still."""
        self._advance(now)
        taken, ignored = [], 0
        for hint in hints:
            known = self._take(hint)
            if known is None:
                ignored += 1
            else:
                taken.append(known)
        self.settle()
        self.refresh()
        tally = Tally(len(taken), ignored, sum(known.clipped for known in taken))
        self.counts.accepted += tally.accepted
        self.counts.ignored += tally.ignored
        self.counts.clipped += tally.clipped
        self.then()
        return tally

    def tick(self, now: float) -> None:
        """Move the clock, so that hints expire while none arrive, and retry what found no room."""
        self._advance(now)
        self.settle()
        self.then()

    @property
    def live(self) -> bool:
        """Whether any hint is still valid: whether ticks are wanted."""
        return bool(self._valid)

    def _advance(self, now: float) -> None:
        self.clock = max(self.clock, now)
        while self._expiry and self._expiry[0][0] <= self.clock:
            _, _, known, hint = heapq.heappop(self._expiry)
            if known.hint is not hint:
                continue
            if known in self._valid:
                self._invalidate(known)
                self.counts.expired += 1
            self._drop_if_done(known)

    def _take(self, hint: Hint) -> Known | None:
        """Note ``hint``; None when it is not newer than the last one on its subject."""
        known = self._meet(hint.tenant, hint.subject)
        if known.hint is not None and hint.generation <= known.hint.generation:
            return None
        self._learn_prefix(known, hint.prefix)
        known.hint = replace(hint, prefix=())
        known.due = math.inf if hint.remaining is None else self.clock + hint.remaining
        self._invalidate(known)
        known.until = self.clock + hint.keep
        self._heard += 1
        heapq.heappush(self._expiry, (known.until + LINGER * hint.ended, self._heard, known, known.hint))
        known.ended = hint.ended and hint.subject.kind == "session"  # an agent's prompt is wanted by the next run
        self.ending |= known.ended
        if known.until > self.clock and not hint.ended:
            self._valid[known] = None
            if hint.prefetch:
                self.wanted[known] = None
        return known

    def _meet(self, tenant: str, subject: Subject) -> Known:
        """The subject, created if new; it becomes the one heard of last."""
        key = (tenant, subject)
        known = self._known.pop(key, None) or Known(tenant, subject)
        self._known[key] = known
        if len(self._known) > self.room:
            self._forget(next(iter(self._known.values())))
            self.counts.forgotten += 1
        return known

    def _learn_prefix(self, known: Known, prefix: Sequence[int]) -> None:
        if known.subject.kind != "agent" or not 0 < len(prefix) <= max(self.pool, self.host):
            return
        known.prefix = array("q", prefix)
        self._lack(known)
        self._seen[known] = None  # another program may have brought it in

    def _invalidate(self, known: Known) -> None:
        self._valid.pop(known, None)
        self.wanted.pop(known, None)
        known.clipped = False
        self.dirty = True

    def _drop_if_done(self, known: Known) -> None:
        """Forget a session of which nothing is left, nor expected. Agents stay: their prompt is told only once."""
        gone = known.owned == 0 and (known.ended or known.leaf is None)
        lingers = known.ended and self.clock < known.until + LINGER
        if gone and not lingers and known.subject.kind == "session" and known not in self._valid:
            self._forget(known)

    def _forget(self, known: Known) -> None:
        self._move(known, None)
        self._invalidate(known)
        self._drop_partial(known)
        self._seen.pop(known, None)
        self._known.pop((known.tenant, known.subject), None)

    # -- the tree --------------------------------------------------------------------------------------------

    def place(self, tenant: str, session: str, node: Place, tokens: array[int]) -> None:
        """Note that a request of ``session`` (empty: of none) left ``tokens`` in the tree, ending at ``node``."""
        if node.parent is None:
            return
        known = self._meet(tenant, Subject("session", session)) if session else None
        self._own(known or SHARED, node)
        if known is not None and not any(node is one for one in upwards(known.leaf)):
            self._move(known, node)
            self.dirty |= known in self._valid
            self.wanted.pop(known, None)
        for agent in self._partial.get(tenant, ()):
            prefix = agent.prefix
            if prefix is not None and tokens[: len(prefix)] == prefix:
                self._seen[agent] = None

    def settle(self) -> None:
        """Look up the fixed prompts that came in since. It may split nodes: call it where the tree is at rest."""
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        for agent in seen:
            if agent.prefix is None:
                continue
            leaf, whole = self.find(agent.tenant, agent.prefix)
            if whole:
                self._drop_partial(agent)
            self._move(agent, leaf)
            self._own(SHARED, leaf)
            self.dirty |= agent in self._valid

    def split(self, above: Place, node: Place) -> None:
        """Note that ``above`` was cut off the start of ``node``."""
        owner = self._owners.get(node.id)
        if owner is not None:
            self._owners[above.id] = owner
            owner.owned += 1
        for ranks in (self.device, self.behind):
            if node.id in ranks.by_node:
                ranks.by_node[above.id] = ranks.by_node[node.id]

    def removed(self, node: Place) -> None:
        """Note that ``node`` left the tree; contexts that ended there end at its parent now."""
        self.device.by_node.pop(node.id, None)
        self.behind.by_node.pop(node.id, None)
        for known in self._leaves.pop(node.id, ()):
            known.leaf = None
            self._move(known, node.parent)
            self._lack(known)
            self._drop_if_done(known)
        owner = self._owners.pop(node.id, None)
        if owner is not None:
            owner.owned -= 1
            self._drop_if_done(owner)

    def emptied(self) -> None:
        """Note that the whole tree is gone. Hints stay: their contexts may come back."""
        for known in list(self._known.values()):
            known.leaf, known.owned = None, 0
            self._lack(known)
            self._drop_if_done(known)
        self._leaves, self._owners, self._seen = {}, {}, {}
        self.device, self.behind = Ranks(), Ranks()
        self.ending, self.dirty = False, True

    def _own(self, owner: Known, node: Any) -> None:
        """Mark the path to ``node`` as used by ``owner``; it is shared where another used it before."""
        for one in upwards(node):
            before = self._owners.get(one.id)
            if before is owner or before is SHARED:
                return  # and so is all above: whoever uses a node uses its ancestors
            if before is not None:
                before.owned -= 1
            after = owner if before is None else SHARED
            self._owners[one.id] = after
            after.owned += 1

    def _move(self, known: Known, node: Any) -> None:
        if known.leaf is not None:
            ending = self._leaves[known.leaf.id]
            ending.remove(known)
            if not ending:
                del self._leaves[known.leaf.id]
        known.leaf = node if node is not None and node.parent is not None else None
        if known.leaf is not None:
            self._leaves.setdefault(known.leaf.id, []).append(known)

    def _lack(self, agent: Known) -> None:
        if agent.prefix is not None:
            self._partial.setdefault(agent.tenant, {})[agent] = None

    def _drop_partial(self, agent: Known) -> None:
        if (partial := self._partial.get(agent.tenant)) is not None:
            partial.pop(agent, None)
            if not partial:
                del self._partial[agent.tenant]

    # -- ranks -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Rank anew if anything changed since. Never only raised: what no valid hint covers any more loses its rank."""
        if not self.dirty:
            return
        self.dirty = False
        self.device = rank(self._valid, urgency, lambda node: self.sizes(node)[0], int(self.pool * self.budget))
        self.counts.protected = self.device.tokens
        for known in self._valid:
            known.clipped = id(known) in self.device.clipped
        if self.host:
            self.behind = rank(self._valid, self._worth, self._only_behind, int(self.host * self.budget))

    def _worth(self, known: Any) -> tuple[float, float]:
        depth = sum(max(self.sizes(node)) for node in upwards(known.leaf))
        return worth(known, depth, self.clock)

    def _only_behind(self, node: Any) -> int:
        device, host = self.sizes(node)
        return 0 if device else host

    def rank(self, node_id: int) -> int:
        """Where a node stands on the device: smaller is evicted earlier. -1 ended, 0 unhinted, from 1 hinted."""
        return self.device.by_node.get(node_id) or self._unranked(node_id)

    def rank_behind(self, node_id: int) -> int:
        """The same on the host."""
        return self.behind.by_node.get(node_id) or self._unranked(node_id)

    def _unranked(self, node_id: int) -> int:
        owner = self._owners.get(node_id)
        return ENDED if owner is not None and owner.ended else UNHINTED

    @property
    def silent(self) -> bool:
        """Whether nothing sets one node apart from another: no rank, no end."""
        return not (self.device.by_node or self.behind.by_node or self.ending)

    # -- those who watch -------------------------------------------------------------------------------------

    def state(self, tenant: str | None = None) -> dict[str, Any]:
        """The ledger as plain JSON. ``subjects`` are those of ``tenant``, or all; the rest is of all tenants.

        A tenant is named by the first digits of a hash, never by its salt, which is what opens its part of the tree.
        """
        self.refresh()
        told = [known for known in self._known.values() if known.hint is not None]
        return {
            "clock": self.clock,
            "pool": self.pool,
            "host": self.host,
            "budget": self.budget,
            "totals": {
                "subjects": len(told),
                "valid": len(self._valid),
                "wanted": len(self.wanted),
                "protected": self.device.tokens,
                "protected_behind": self.behind.tokens,
            },
            "counts": asdict(self.counts),
            "subjects": [self._shown(known) for known in told if tenant in (None, known.tenant)],
        }

    def _shown(self, known: Known) -> dict[str, Any]:
        held = [self.sizes(node) for node in upwards(known.leaf)]
        return shown(known, self.clock, valid=known in self._valid) | {
            "device": sum(device for device, _ in held),
            "host": sum(host for _, host in held),
            "protected": known.leaf is not None and known.leaf.id in self.device.by_node,
        }
