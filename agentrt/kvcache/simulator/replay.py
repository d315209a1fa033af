"""A recorded sequence against a pool of any size and any order of eviction.

The sequence is taken as it was: the same requests in the same order, whatever the order of eviction would have done
to their times. So results compare orders of eviction, and say nothing of how long the run would have taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.access import Access, Segment
from agentrt.kvcache.simulator.orders import Belady, Order
from agentrt.kvcache.simulator.pool import Node, Pool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sequence. All but ``requests`` are tokens.

    ``prompt`` splits into ``hit``, found in the pool; ``cold``, never there before; and ``regenerated``, there before
    and computed again. ``evicted`` counts all that was thrown away, needed again or not.
    """

    order: str
    requests: int
    prompt: int
    hit: int
    regenerated: int
    evicted: int = 0

    @property
    def cold(self) -> int:
        """Prompt tokens that nobody could have had."""
        return self.prompt - self.hit - self.regenerated


def replay(accesses: Sequence[Access], pool: int, order: Order) -> Outcome:
    """Run a sequence through a pool of so many tokens.

    Requests come in the order in which they were served. Each takes room for its prompt and its completion at once,
    and holds it until its end; where more run at once than fit, because the client saw them waiting as well, the one
    that ends first is taken to have ended. Raises ``ConfigError`` for a request that is larger than the pool.
    """
    return _Replay(accesses, pool, order).run()


def belady(accesses: Sequence[Access], pool: int) -> Outcome:
    """The least regenerated tokens that any order could have had on this sequence."""
    return replay(accesses, pool, Belady())


def observed(accesses: Sequence[Access], *, slack: int = 0) -> Outcome:
    """What the engine itself did, by the ``cached`` tokens it reported. Raises ``ConfigError`` where it did not.

    Regenerated are the tokens that somebody had computed before the request was sent and that were not found for it;
    two requests that compute the same at the same time regenerate nothing. Of a prompt found whole an engine computes
    the last token again all the same, for it needs its logits: that one counts as found. Up to ``slack`` tokens
    missing are let pass: a reply's last token is never kept, and a reply can be tokenised otherwise when it comes back
    as part of a prompt.
    """
    seen = Pool(sum(one.prompt + one.completion for one in accesses) or 1)
    plain = _whole(accesses)
    hit = regenerated = 0
    for _, kind, index in sorted(_moments(accesses)):
        path, reply = plain[index]
        if kind == _SENT:
            known = seen.hit(seen.walk(path))
            found = _found(accesses, index, known)
            hit += found
            regenerated += known - found if known - found > slack else 0
        else:
            nodes = seen.walk(path if kind == _PREFILLED else [*path, *reply])
            seen.lock(nodes)
            for node in nodes:
                seen.fill(node, node.size)
    return Outcome("observed", len(accesses), sum(one.prompt for one in accesses), hit, regenerated)


_PREFILLED, _ENDED, _SENT = range(3)


def _moments(accesses: Sequence[Access]) -> Iterator[tuple[float, int, int]]:
    """When each request was sent, its prompt computed and its reply: (time, what, index)."""
    for index, one in enumerate(accesses):
        yield one.start, _SENT, index
        yield (one.end if one.first is None else one.first), _PREFILLED, index
        yield one.end, _ENDED, index


def _found(accesses: Sequence[Access], index: int, known: int) -> int:
    cached, prompt = accesses[index].cached, accesses[index].prompt
    if not 0 <= cached <= prompt:
        raise ConfigError(
            f"request {index} reports {cached} of {prompt} prompt tokens as cached: it must report its cache hits"
        )
    return known if cached == prompt - 1 and known == prompt else cached


class _Replay:
    def __init__(self, accesses: Sequence[Access], pool: int, order: Order) -> None:
        self.accesses, self.order = accesses, order
        self.pool = Pool(pool)
        self.running: list[tuple[float, int, list[Node]]] = []  # a heap by end
        self.sequence = _served(accesses)
        plain = _whole(accesses)
        self.paths = [self.pool.walk(path) for path, _ in plain]
        self.all = [self.pool.walk([*path, *reply]) for path, reply in plain]
        for place in range(len(self.sequence) - 1, -1, -1):
            for node in self.paths[self.sequence[place]]:
                node.uses.append(place)
        self.prompt = self.hits = self.regenerated = 0

    def run(self) -> Outcome:
        for index in self.sequence:
            self.serve(index)
        return Outcome(self.order.name, len(self.accesses), self.prompt, self.hits, self.regenerated, self.pool.evicted)

    def serve(self, index: int) -> None:
        now, path, everything = self.accesses[index].served, self.paths[index], self.all[index]
        while self.running and self.running[0][0] <= now:
            self.end()
        self.count(index, path)
        self.pool.lock(everything)
        need = sum(node.size - node.have for node in everything)
        while need > self.pool.room:
            if not self.running:
                raise ConfigError(
                    f"request {index} of {self.accesses[index].session!r} needs {sum(one.size for one in everything)} "
                    f"tokens and the pool has {self.pool.size}: replay it with a larger one"
                )
            self.end()
        self.order.begin(now)
        self.pool.free(need, self.order.rank, whole=self.order.whole)
        for node in everything:
            self.pool.fill(node, node.size)
            node.touched = now
        heapq.heappush(self.running, (self.accesses[index].end, index, everything))

    def count(self, index: int, path: list[Node]) -> None:
        self.prompt += self.accesses[index].prompt
        self.hits += self.pool.hit(path)
        for node in path:
            self.regenerated += node.best - node.have
            node.hits += node.have > 0
            node.uses.pop()

    def end(self) -> None:
        when, _, nodes = heapq.heappop(self.running)
        for node in nodes:
            node.touched = max(node.touched, when)
        self.pool.unlock(nodes)


def _served(accesses: Sequence[Access]) -> list[int]:
    return sorted(range(len(accesses)), key=lambda index: accesses[index].served)


def _whole(accesses: Sequence[Access]) -> list[tuple[list[tuple[str, int]], list[tuple[str, int]]]]:
    """Each access's path and reply with segments cut so that every piece is used whole or not at all."""
    cuts: dict[str, set[int]] = {}
    for one in accesses:
        for name, tokens in (*one.path, one.reply):
            cuts.setdefault(name, {0}).add(tokens)
    ends = {name: sorted(found) for name, found in cuts.items()}
    return [
        ([piece for one in access.path for piece in _pieces(one, ends)], list(_pieces(access.reply, ends)))
        for access in accesses
    ]


def _pieces(segment: Segment, ends: dict[str, list[int]]) -> list[tuple[str, int]]:
    """The segment in pieces named by where they begin."""
    return [
        (f"{segment.id}@{begin}", end - begin) for begin, end in pairwise(ends[segment.id]) if end <= segment.tokens
    ]
