"""A pool of KV cache as a radix tree of whole segments, with SGLang's rules: locks, and eviction from the leaves."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias


class Node:
    """One segment at one place of the tree, in the pool or not.

    ``size`` is its tokens, ``have`` how many of its first lie in the pool, ``best`` the most that ever did.
    ``touched`` is when it was last used, ``hits`` how often it was found. ``uses`` are the places in the sequence where
    it is needed again, nearest last, where the future is known.
    """

    __slots__ = ("best", "have", "hits", "kids", "locks", "parent", "resident", "serial", "size", "touched", "uses")

    def __init__(self, parent: Node | None, size: int, serial: int) -> None:
        self.parent = parent
        self.size = size
        self.serial = serial
        self.have = self.best = self.hits = self.locks = 0
        self.resident = 0  # children of which something lies in the pool
        self.touched = 0.0
        self.uses: list[int] = []
        self.kids: dict[tuple[str, int], Node] = {}


Rank: TypeAlias = Callable[[Node], Any]
"""What is evicted first: smallest first."""


class Pool:
    """``size`` tokens of KV cache.

    A node is locked while a running request needs it, and so are those above it. What lies in the pool is always a
    tree from the root: a node without all of its tokens has no children there.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = self.locked = self.evicted = 0
        self.leaves: set[Node] = set()  # of which something lies here, unlocked, nothing beneath: what may go
        self._serial = count()
        self._root = Node(None, 0, next(self._serial))

    @property
    def room(self) -> int:
        """Tokens that can be had: free ones, and those that nobody runs on."""
        return self.size - self.locked

    def walk(self, path: Sequence[tuple[str, int]]) -> list[Node]:
        """The nodes of a path, made where they are new. Segments of no tokens are left out."""
        node, found = self._root, []
        for name, tokens in path:
            if not tokens:
                continue
            kid = node.kids.get((name, tokens))
            if kid is None:
                kid = node.kids[(name, tokens)] = Node(node, tokens, next(self._serial))
            found.append(kid)
            node = kid
        return found

    def hit(self, nodes: Sequence[Node]) -> int:
        """How many tokens from the start of a path lie in the pool."""
        tokens = 0
        for node in nodes:
            tokens += node.have
            if node.have < node.size:
                break
        return tokens

    def lock(self, nodes: Sequence[Node]) -> None:
        """Hold the nodes of a path; as often as they are locked must they be unlocked."""
        for node in nodes:
            node.locks += 1
            if node.locks == 1:
                self.locked += node.have
                self.leaves.discard(node)

    def unlock(self, nodes: Sequence[Node]) -> None:
        """Let the nodes of a path go, in part or whole; they stay until their room is needed."""
        for node in reversed(nodes):
            node.locks -= 1
            if not node.locks:
                self.locked -= node.have
                self._mark(node)

    def fill(self, node: Node, tokens: int) -> None:
        """Put up to so many tokens of a locked node into the pool; there must be free ones (``free``)."""
        new = min(node.size, tokens) - node.have
        if new <= 0:
            return
        if not node.have and node.parent is not None:
            node.parent.resident += 1
            self.leaves.discard(node.parent)
        node.have += new
        node.best = max(node.best, node.have)
        self.used += new
        self.locked += new

    def free(self, need: int, rank: Rank, *, whole: bool = True) -> int:
        """Evict until ``need`` tokens are free; returns how many were evicted.

        The leaf of smallest rank goes first, then what it leaves as a leaf has its turn. ``whole``: nodes go as one,
        as in SGLang; else only their last tokens, as many as are needed.
        """
        short = need - (self.size - self.used)
        if short <= 0:
            return 0
        heap = [(rank(leaf), leaf.serial, leaf) for leaf in self.leaves]
        heapq.heapify(heap)
        gone = 0
        while gone < short and heap:
            node = heapq.heappop(heap)[2]
            gone += self._drop(node, node.have if whole else min(node.have, short - gone))
            if node.parent in self.leaves and not node.have:
                heapq.heappush(heap, (rank(node.parent), node.parent.serial, node.parent))
        self.evicted += gone
        return gone

    def forget(self, node: Node) -> None:
        """Throw away what lies of an unlocked leaf."""
        self._drop(node, node.have)

    def nodes(self) -> Iterator[Node]:
        """All nodes ever seen, parents first."""
        stack = [self._root]
        while stack:
            node = stack.pop()
            stack += node.kids.values()
            if node is not self._root:
                yield node

    def _drop(self, node: Node, tokens: int) -> int:
        node.have -= tokens
        self.used -= tokens
        if not node.have:
            self.leaves.discard(node)
            parent = node.parent
            assert parent is not None  # the root holds nothing
            parent.resident -= 1
            self._mark(parent)
        return tokens

    def _mark(self, node: Node) -> None:
        if node.have and not node.locks and not node.resident:
            self.leaves.add(node)
