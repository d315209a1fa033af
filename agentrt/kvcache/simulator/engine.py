"""A model of an SGLang engine in time: one queue, prefill in chunks before decode, retraction when memory runs out.

What is modelled is what decides between policies: which tokens are in the pool, and how long it takes to compute those
that are not. Sampling, the network and the tokenizer take no time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.orders import Order
from agentrt.kvcache.simulator.pool import Node, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineModel:
    """An engine's size and speed; the defaults are a 135M model on two CPU cores.

    ``pool`` is its KV cache in tokens. A prefill takes ``batch`` seconds, ``token`` for each new token, and ``pair``
    for each pair of a new token and one before it. A decode step takes ``step`` seconds and ``lane`` for each request
    in it. At most ``chunk`` tokens are prefilled at once and at most ``lanes`` requests run. ``reserve`` is the share
    of a running request's remaining reply that is kept free for it: 1 when its length is fixed, less when it may end
    early.
    """

    pool: int
    batch: float = 0.01
    token: float = 1 / 1700
    pair: float = 3.6e-7
    step: float = 0.024
    lane: float = 0.0038
    chunk: int = 2048
    lanes: int = 64
    reserve: float = 1.0

    def prefill(self, parts: Iterable[tuple[int, int]]) -> float:
        """Seconds to compute new tokens after so many known ones, ``(new, known)`` for each request."""
        return self.batch + sum(self.token * new + self.pair * new * (known + new / 2) for new, known in parts)

    def decode(self, requests: int) -> float:
        """Seconds for one more token of each of so many requests."""
        return self.step + self.lane * requests


class Request:
    """One request. ``path`` is its prompt, ``reply`` the node that its reply fills: all of it but the last token.

    ``computed`` counts the prompt tokens in the pool, ``produced`` those of its reply; ``output`` is how many it will
    have. ``found`` prompt tokens were in the pool when it got its place. ``sent``, ``began`` and ``first`` are when it
    was sent, when its prefill began, and when its first token came.
    """

    __slots__ = (
        "began",
        "computed",
        "first",
        "found",
        "nodes",
        "output",
        "path",
        "produced",
        "prompt",
        "sent",
        "session",
        "tag",
    )

    def __init__(
        self, session: str, path: Sequence[Node], reply: Sequence[Node], output: int, sent: float, tag: object = None
    ) -> None:
        self.session = session
        self.path = list(path)
        self.nodes = [*path, *reply]
        self.prompt = sum(node.size for node in path)
        self.output = output
        self.sent = self.began = sent
        self.tag = tag
        self.first: float | None = None
        self.computed = self.produced = self.found = 0

    @property
    def goal(self) -> int:
        """Tokens to be in the pool before it can decode: its prompt, and after a retraction what it had said."""
        return self.prompt + max(0, self.produced - 1)

    @property
    def missing(self) -> int:
        """Tokens of its goal that still have to be computed."""
        return self.goal - self.computed


@dataclass(slots=True)
class Counts:
    """Tokens, and how often requests were retracted."""

    prompt: int = 0
    hit: int = 0
    regenerated: int = 0
    retracted: int = 0


class Engine:
    """Runs requests step by step; the caller keeps the time.

    ``step(now)`` begins what the engine does next and says how long it takes; ``finish(end)`` then gives the requests
    whose reply is complete. An engine without work says 0 seconds.
    """

    def __init__(self, model: EngineModel, order: Order) -> None:
        self.model, self.order = model, order
        self.pool = Pool(model.pool)
        self.counts = Counts()
        self._waiting: deque[Request] = deque()
        self._partial: Request | None = None  # of whose prompt only some chunks are computed
        self._running: list[Request] = []
        self._fresh: list[Request] = []  # whose prefill ends with this step
        self._decoding = False

    def submit(self, request: Request) -> None:
        """Queue a request. Raises ``ConfigError`` for one that the whole pool cannot hold."""
        if (need := sum(node.size for node in request.nodes)) > self.model.pool:
            raise ConfigError(f"{request.session} needs {need} tokens and the engine's pool has {self.model.pool}")
        self._waiting.append(request)

    def step(self, now: float) -> float:
        """Begin a prefill if there is one to do, else a decode step; returns its seconds."""
        chunk = self._chunk(now)
        if chunk:
            return self._prefill(chunk, now)
        self._decoding = bool(self._running)
        return self._decode(now) if self._running else 0.0

    def finish(self, now: float) -> list[Request]:
        """The step has ended: the requests that are done with it."""
        if self._decoding:
            for one in self._running:
                one.produced += 1
            self._decoding = False
        for one in self._fresh:
            one.produced = max(1, one.produced)
            one.first = now if one.first is None else one.first
        self._running += self._fresh
        self._fresh = []
        done = [one for one in self._running if one.produced >= one.output]
        self._running = [one for one in self._running if one.produced < one.output]
        for one in done:
            self._touch(one, now)
            self.pool.unlock(one.nodes)
        return done

    # -- prefill ---------------------------------------------------------------------------------------------

    def _chunk(self, now: float) -> list[tuple[Request, int]]:
        """The requests that the next prefill serves, and how many tokens of each."""
        left, chunk = self.model.chunk, []
        if self._partial is not None:
            chunk.append((self._partial, min(left, self._partial.missing)))
            left -= chunk[0][1]
        while self._waiting and left > 0 and len(self._running) + len(chunk) < self.model.lanes:
            request = self._waiting[0]
            if not self._enter(request, [one for one, _ in chunk], now):
                break
            self._waiting.popleft()
            chunk.append((request, min(left, request.missing)))
            left -= chunk[-1][1]
        return chunk

    def _enter(self, request: Request, others: list[Request], now: float) -> bool:
        """Give the request its place if all of it will fit beside what runs."""
        self.pool.lock(request.nodes)
        need = sum(self._promised(one) for one in (*self._running, *others, request))
        if need > self.pool.room and (self._running or others):
            self.pool.unlock(request.nodes)
            return False
        found = self.pool.hit(request.nodes)
        request.computed = min(found, request.goal - 1)  # the last token is computed for its logits
        if request.first is None:
            self.counts.prompt += request.prompt
            request.began = now
            request.found = min(found, request.prompt)
            self.counts.hit += request.found
        for node in request.path:
            self.counts.regenerated += node.best - node.have
            node.hits += node.have > 0
        self._touch(request, now)
        return True

    def _promised(self, request: Request) -> float:
        """Tokens that it will still take."""
        empty = max(0, request.goal - self.pool.hit(request.nodes))
        return empty + self.model.reserve * (request.output - request.produced)

    def _prefill(self, chunk: list[tuple[Request, int]], now: float) -> float:
        seconds = self.model.prefill((tokens, one.computed) for one, tokens in chunk)
        self._partial = None
        for request, tokens in chunk:
            request.computed += tokens
            self._fill(request, request.computed, now)
            if request.missing:
                self._partial = request
            else:
                self._fresh.append(request)
        return seconds

    def _fill(self, request: Request, tokens: int, now: float) -> None:
        """Put so many tokens from the start of the request's nodes into the pool."""
        for node in request.nodes:
            if tokens <= 0:
                return
            part = min(tokens, node.size)
            self._free(part - node.have, now)
            self.pool.fill(node, part)
            tokens -= part

    def _free(self, tokens: int, now: float) -> None:
        if tokens > self.pool.size - self.pool.used:
            self.order.begin(now)
            self.pool.free(tokens, self.order.rank, whole=self.order.whole)

    # -- decode ----------------------------------------------------------------------------------------------

    def _decode(self, now: float) -> float:
        while len(self._running) > self.pool.room and len(self._running) > 1:
            self._retract()
        for one in self._running:
            self._fill(one, one.prompt + one.produced, now)
        return self.model.decode(len(self._running))

    def _retract(self) -> None:
        """Take back the place of the request that has said least; of these the one with the longest prompt."""
        victim = min(self._running, key=lambda one: (one.produced, -one.prompt))
        self._running.remove(victim)
        self.pool.unlock(victim.nodes)
        self.counts.retracted += 1
        self._waiting.append(victim)

    def _touch(self, request: Request, now: float) -> None:
        for node in request.nodes:
            node.touched = now
