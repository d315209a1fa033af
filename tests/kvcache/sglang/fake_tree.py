"""A radix tree of plain objects: what the ledger sees of SGLang's, small enough to recompute everything by hand."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import count

from agentrt.kvcache.sglang.ledger import Ledger


class FakeNode:
    """A node with its tokens, the tiers it lies in, and everyone who ever used it."""

    def __init__(self, number: int, parent: FakeNode | None, tokens: tuple[int, ...]) -> None:
        self.id, self.parent, self.tokens = number, parent, tokens
        self.children: dict[int, FakeNode] = {}
        self.on_device, self.on_host = True, False
        self.users: set[tuple[str, str]] = set()

    def above(self) -> Iterator[FakeNode]:
        node = self
        while node.parent is not None:
            yield node
            node = node.parent


class FakeTree:
    """One root for each tenant, as a salt makes of SGLang's one tree; it tells its ledger what SGLang's would."""

    def __init__(self, **sizes: float) -> None:
        self.numbers = count()
        self.roots: dict[str, FakeNode] = {}
        self.strangers = count()
        self.ledger = Ledger(**{"pool": 10**6, **sizes}, sizes=self.sizes, find=self.find)

    @staticmethod
    def sizes(node: FakeNode) -> tuple[int, int]:
        length = len(node.tokens)
        return length * node.on_device, length * node.on_host

    def root(self, tenant: str) -> FakeNode:
        return self.roots.setdefault(tenant, FakeNode(next(self.numbers), None, ()))

    def nodes(self) -> list[FakeNode]:
        found, todo = [], list(self.roots.values())
        while todo:
            node = todo.pop()
            found += [node] if node.parent is not None else []
            todo += node.children.values()
        return found

    def request(self, tokens: Sequence[int], session: str = "", tenant: str = "") -> FakeNode:
        """A request ran: its tokens go into the tree."""
        self.ledger.settle()
        node = self._insert(tuple(tokens), tenant)
        user = session or f"stranger {next(self.strangers)}"
        for one in node.above():
            one.users.add((tenant, user))
        self.ledger.place(tenant, session, node, array("q", tokens))
        return node

    def _insert(self, tokens: tuple[int, ...], tenant: str) -> FakeNode:
        node = self.root(tenant)
        while tokens:
            child = node.children.get(tokens[0])
            if child is None:
                child = node.children[tokens[0]] = FakeNode(next(self.numbers), node, tokens)
                return child
            same = common(child.tokens, tokens)
            node = child if same == len(child.tokens) else self.split(child, same)
            self.move(node, on_device=True)
            tokens = tokens[same:]
        return node

    def split(self, child: FakeNode, length: int) -> FakeNode:
        parent = child.parent
        assert parent is not None
        above = FakeNode(next(self.numbers), parent, child.tokens[:length])
        above.on_device, above.on_host, above.users = child.on_device, child.on_host, set(child.users)
        child.tokens, child.parent = child.tokens[length:], above
        above.children[child.tokens[0]] = child
        parent.children[above.tokens[0]] = above
        self.ledger.split(above, child)
        return above

    def move(self, node: FakeNode, on_device: bool) -> None:
        """Put ``node`` on the device, or on the host alone."""
        if node.on_device is not on_device:
            node.on_device = on_device
            node.on_host |= not on_device
            self.ledger.touched(node)

    def remove(self, leaf: FakeNode) -> None:
        assert not leaf.children
        assert leaf.parent is not None
        del leaf.parent.children[leaf.tokens[0]]
        self.ledger.removed(leaf)

    def find(self, tenant: str, prefix: Sequence[int]) -> tuple[FakeNode, bool]:
        node, rest = self.root(tenant), tuple(prefix)
        while rest and (child := node.children.get(rest[0])) is not None:
            same = common(child.tokens, rest)
            if same < len(child.tokens):
                if same < len(rest):
                    break
                child = self.split(child, same)
            node, rest = child, rest[same:]
        return node, not rest


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences share at their start."""
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return same
