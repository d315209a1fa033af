"""Who uses which node of the tree: the one session that ever did, or several. Standard library only.

A session's end frees what no one else ever used, so what matters is not who needs a node now but who ever came by.
Whoever uses a node uses all above it: from a context's end towards the root, first come nodes that are its own, then
shared ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentrt.kvcache.sglang.order import Place, upwards
from agentrt.kvcache.sglang.subjects import SHARED, Known


class Owners:
    """The owner of each node by the node's id. It keeps ``owned`` of each owner, and ends trails that changed."""

    def __init__(self) -> None:
        self.by_node: dict[int, Known] = {}

    def of(self, node_id: int) -> Known:
        """Who owns the node; nobody in particular where nothing is known of it."""
        return self.by_node.get(node_id, SHARED)

    def come(self, user: Known, node: Any) -> Iterator[tuple[Place, Known]]:
        """``user`` used the path to ``node``. Yields each node that had another owner until now, with that owner."""
        for one in upwards(node):
            before = self.by_node.get(one.id)
            if before is user or before is SHARED:
                return
            if before is None or before is user.past:
                self._assign(one, user)
            else:
                yield one, before
                self._assign(one, SHARED)

    def leave(self, known: Known, node: Any) -> None:
        """The context of ``known`` leads to ``node`` from now on: what else it owned of its way is past."""
        if known.leaf is None or any(one is known.leaf for one in upwards(node)):
            return
        way = {one.id for one in upwards(node)}
        for one in upwards(known.leaf):
            if one.id in way or self.by_node.get(one.id) is not known:
                return
            if known.past is None:
                known.past = Known(known.tenant, known.subject)
                known.past.end(known.ended)
            self._assign(one, known.past)

    def split(self, above: Place, node: Place) -> None:
        """Who owns ``node`` owns ``above``, which was cut off its start."""
        if (owner := self.by_node.get(node.id)) is not None:
            self._assign(above, owner)

    def pop(self, node: Place) -> Known | None:
        """Forget a node that left the tree; return who owned it."""
        owner = self.by_node.pop(node.id, None)
        if owner is not None:
            owner.owned -= 1
            owner.trail = None
        return owner

    def _assign(self, node: Place, owner: Known) -> None:
        self.pop(node)
        self.by_node[node.id] = owner
        owner.owned += 1
        owner.trail = None
