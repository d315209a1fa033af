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
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from agentrt.kvcache.hints import Hint, Subject, Tally
from agentrt.kvcache.sglang.counts import Counts
from agentrt.kvcache.sglang.order import DEVICE, HOST, Place, Tier, upwards
from agentrt.kvcache.sglang.owners import Owners
from agentrt.kvcache.sglang.prompts import Prompts
from agentrt.kvcache.sglang.ranking import Ranking
from agentrt.kvcache.sglang.subjects import SHARED, STRANGER, Known, shown

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
        self.sizes, self.then = sizes, then
        self.clock = 0.0
        self.counts = Counts()
        self.dirty = False
        self.wanted: dict[Known, None] = {}  # to be prefetched
        self.owners, self.prompts = Owners(), Prompts(find)
        self.ranking = Ranking(self.owners, sizes)
        self._ending = False  # whether any session ended since the tree was last empty
        self._known: dict[tuple[str, Subject], Known] = {}  # the one heard of longest ago first
        self._valid: dict[Known, None] = {}  # dicts for sets: their order is the same on every rank
        self._expiry: list[tuple[float, int, Known, Hint]] = []
        self._heard = 0
        self._leaves: dict[int, list[Known]] = {}  # by the id of the node where they end

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
        if known.subject.kind == "agent" and 0 < len(hint.prefix) <= max(self.pool, self.host):
            self.prompts.tell(known, hint.prefix)
        known.hint = replace(hint, prefix=())
        known.due = math.inf if hint.remaining is None else self.clock + hint.remaining
        self._invalidate(known)
        known.until = self.clock + hint.keep
        self._heard += 1
        heapq.heappush(self._expiry, (known.until + LINGER * hint.ended, self._heard, known, known.hint))
        known.end(hint.ended and hint.subject.kind == "session")  # an agent's prompt is wanted by the next run
        self._ending |= known.ended
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

    def _invalidate(self, known: Known) -> None:
        self._valid.pop(known, None)
        self.wanted.pop(known, None)
        known.clipped, known.trail = False, None
        known.end(known.ended)
        self.dirty = True

    def _drop_if_done(self, known: Known) -> None:
        """Forget a session of which nothing is left, nor expected. Agents stay: their prompt is told only once."""
        known = self._known.get((known.tenant, known.subject), known)  # what is left may be its past
        owned = known.owned + (known.past.owned if known.past is not None else 0)
        gone = owned == 0 and (known.ended or known.leaf is None)
        lingers = known.ended and self.clock < known.until + LINGER
        if gone and not lingers and known.subject.kind == "session" and known not in self._valid:
            self._forget(known)

    def _forget(self, known: Known) -> None:
        self._move(known, None)
        self._invalidate(known)
        self.prompts.forget(known)
        self._known.pop((known.tenant, known.subject), None)

    # -- the tree --------------------------------------------------------------------------------------------

    def place(self, tenant: str, session: str, node: Place, tokens: array[int]) -> None:
        """Note that a request of ``session`` (empty: of none) left ``tokens`` in the tree, ending at ``node``."""
        if node.parent is None:
            return
        known = self._meet(tenant, Subject("session", session)) if session else None
        before = self._come(known or STRANGER, node)
        if known is not None and not any(node is one for one in upwards(known.leaf)):
            self.owners.leave(known, node)
            self._move(known, node)
            self.dirty |= known in self._valid
            self.wanted.pop(known, None)
        self.prompts.came(tenant, tokens)
        self._drop_done(before)

    def settle(self) -> None:
        """Look up the fixed prompts that came in since. It may split nodes: call it where the tree is at rest."""
        for agent, leaf in self.prompts.settle():
            self._move(agent, leaf)
            self._drop_done(self._come(SHARED, leaf))
            self.dirty |= agent in self._valid

    def touched(self, node: Place) -> None:
        """Note that ``node`` went to another tier."""
        self.ranking.touched(node)

    def split(self, above: Place, node: Place) -> None:
        """Note that ``above`` was cut off the start of ``node``."""
        self.ranking.touched(node)
        self.owners.split(above, node)
        self.ranking.split(above, node)

    def removed(self, node: Place) -> None:
        """Note that ``node`` left the tree; contexts that ended there end at its parent now."""
        self.ranking.touched(node)
        self.ranking.removed(node)
        for known in self._leaves.pop(node.id, ()):
            known.leaf = None
            self._move(known, node.parent)
            self.prompts.lack(known)
            self._drop_if_done(known)
        owner = self.owners.pop(node)
        if owner is not None:
            self._drop_if_done(owner)

    def emptied(self) -> None:
        """Note that the whole tree is gone. Hints stay: their contexts may come back."""
        self.owners = Owners()
        self.ranking = Ranking(self.owners, self.sizes)
        self._leaves, self._ending, self.dirty = {}, False, True
        for known in list(self._known.values()):
            known.leaf, known.owned, known.past, known.trail = None, 0, None, None
            self.prompts.lack(known)
            self._drop_if_done(known)

    def _come(self, user: Known, node: Any) -> list[Known]:
        """Have ``user`` use the path to ``node``; those who owned a part of it alone, and share it now."""
        changed = list(self.owners.come(user, node))
        for one, before in changed:
            self.ranking.shared(one, before)
        return [before for _, before in changed]

    def _drop_done(self, owners: Iterable[Known]) -> None:
        for one in owners:
            self._drop_if_done(one)

    def _move(self, known: Known, node: Any) -> None:
        if known.leaf is not None:
            ending = self._leaves[known.leaf.id]
            ending.remove(known)
            if not ending:
                del self._leaves[known.leaf.id]
        known.trail = None
        known.leaf = node if node is not None and node.parent is not None else None
        if known.leaf is not None:
            self._leaves.setdefault(known.leaf.id, []).append(known)

    # -- ranks -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Rank anew if anything changed since. Never only raised: what no valid hint covers any more loses its rank."""
        if self.dirty:
            self.dirty = False
            self.ranking.renew(self._valid, int(self.pool * self.budget), int(self.host * self.budget), self.clock)
            self.counts.protected = self.ranking.tiers[DEVICE].tokens

    def rank(self, node_id: int, tier: Tier = DEVICE) -> int:
        """Where a node stands: smaller is evicted earlier. -1 ended, 0 unhinted, from 1 hinted."""
        return self.ranking.of(node_id, tier)

    def ranked(self, least: int) -> Iterator[int]:
        """The ids of all nodes of at least rank ``least`` on the device, ``least`` being above 0."""
        return self.ranking.at_least(least, self._valid)

    @property
    def silent(self) -> bool:
        """Whether nothing sets one node apart from another: no valid hint, no end."""
        return not (self._valid or self._ending)

    # -- those who watch -------------------------------------------------------------------------------------

    def state(self, tenant: str | None = None, programs: Collection[str] = ()) -> dict[str, Any]:
        """The ledger as plain JSON. ``subjects`` are those of ``tenant``, or all; the rest is of all tenants.

        With ``programs``, only those of these programs: what is held is added up for each subject that is shown, so
        who asks for few is answered in microseconds, however many there are.
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
                "protected": self.ranking.tiers[DEVICE].tokens,
                "protected_behind": self.ranking.tiers[HOST].tokens,
            },
            "counts": asdict(self.counts),
            "subjects": [self._shown(known) for known in told if _wanted(known, tenant, programs)],
        }

    def _shown(self, known: Known) -> dict[str, Any]:
        held = [self.sizes(node) for node in upwards(known.leaf)]
        return shown(known, self.clock, valid=known in self._valid) | {
            "device": sum(device for device, _ in held),
            "host": sum(host for _, host in held),
            "protected": known.leaf is not None and self.rank(known.leaf.id) > 0,
        }


def _wanted(known: Known, tenant: str | None, programs: Collection[str]) -> bool:
    return tenant in (None, known.tenant) and (not programs or known.subject.owner in programs)
