"""Where the agents' fixed prompts end in the tree. Standard library only.

A prompt is told once, by its tokens, before or after a request brings it into the tree. Looking it up may split a
node, so it waits until the tree is at rest.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agentrt.kvcache.sglang.subjects import Known


class Prompts:
    """Agents whose prompt does not lie whole in the tree, and which of those to look up.

    ``find`` looks a prompt up in a tenant's part of the tree: the deepest node within it, and whether that is all.
    """

    def __init__(self, find: Callable[[str, array[int]], tuple[Any, bool]]) -> None:
        self.find = find
        self._partial: dict[str, dict[Known, None]] = {}  # by tenant
        self._seen: dict[Known, None] = {}

    def tell(self, agent: Known, prefix: Sequence[int]) -> None:
        """``agent`` starts with ``prefix``; another program may have brought it in already."""
        agent.prefix = array("q", prefix)
        self.lack(agent)
        self._seen[agent] = None

    def lack(self, agent: Known) -> None:
        """Look out for requests that bring the agent's prompt, if it has one."""
        if agent.prefix is not None:
            self._partial.setdefault(agent.tenant, {})[agent] = None

    def came(self, tenant: str, tokens: array[int]) -> None:
        """A request left ``tokens`` in the tree."""
        for agent in self._partial.get(tenant, ()):
            prefix = agent.prefix
            if prefix is not None and _begins(tokens, prefix):
                self._seen[agent] = None

    def settle(self) -> Iterator[tuple[Known, Any]]:
        """Look up what came since, where the tree is at rest. Yields agents, each with the node where it ends."""
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        for agent in seen:
            if agent.prefix is not None:
                leaf, whole = self.find(agent.tenant, agent.prefix)
                if whole:
                    self._found(agent)
                yield agent, leaf

    def forget(self, agent: Known) -> None:
        """Look out for ``agent`` no more."""
        self._found(agent)
        self._seen.pop(agent, None)

    def _found(self, agent: Known) -> None:
        if (partial := self._partial.get(agent.tenant)) is not None:
            partial.pop(agent, None)
            if not partial:
                del self._partial[agent.tenant]


def _begins(tokens: array[int], prefix: array[int]) -> bool:
    """Whether ``tokens`` begin with ``prefix``. A look at its last token spares most prompts the copy of a long one."""
    last = len(prefix) - 1
    return len(tokens) > last and tokens[last] == prefix[last] and tokens[: last + 1] == prefix
