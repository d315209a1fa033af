"""What is seen of a run from the client's side: every turn, and the sequence of prefixes for the oracle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from agentrt.benchmarks.kv.faults import Faulty
from agentrt.executors import Emit, ModelExecutor, ignore
from agentrt.executors.hinting import HintChannel, hint_channel
from agentrt.kvcache.simulator.access import Access, Segment
from agentrt.types import Message, ModelReply, ModelRequest, Usage


@dataclass(frozen=True, slots=True)
class Turn:
    """One answered request. Times are seconds of the probe's clock.

    ``asked``: its step was ready for the model; ``sent``: it left, after whatever held it back; then its first token
    and its end.
    """

    request: ModelRequest
    usage: Usage
    asked: float
    sent: float
    first: float
    ended: float


Change = Callable[[ModelRequest], ModelRequest]
Wrap = Callable[[HintChannel], Faulty]


class Probe:
    """An executor around another one that notes what passes.

    ``change`` may alter a request on its way, ``wrap`` the channel for hints.
    """

    name = "the benchmark"
    limit = None

    def __init__(
        self,
        inner: ModelExecutor,
        *,
        change: Change | None = None,
        wrap: Wrap | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.turns: list[Turn] = []
        self._inner = inner
        self._change = change
        self._wrap = wrap
        self._clock = clock
        self._channel: HintChannel | None = None
        self._faulty: Faulty | None = None
        self._asked: dict[asyncio.Task[object] | None, float] = {}

    async def prepare(self) -> None:
        """See ``ModelExecutor``. A runtime calls it when a step is ready for the model, before it may be held back."""
        self._asked[asyncio.current_task()] = self._clock()
        await self._inner.prepare()

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer as the inner executor does, and note the turn."""
        changed = request if self._change is None else self._change(request)
        firsts: list[float] = []

        def heard(text: str) -> None:
            if not firsts:
                firsts.append(self._clock())
            emit(text)

        sent = self._clock()
        asked = self._asked.pop(asyncio.current_task(), sent)
        reply = await self._inner.execute(changed, heard)
        ended = self._clock()
        self.turns.append(Turn(request, reply.usage, asked, sent, firsts[0] if firsts else ended, ended))
        return reply

    async def hints(self) -> HintChannel | None:
        """The inner executor's way in for hints, with what was wrapped around it."""
        if self._channel is None:
            self._channel = await hint_channel(self._inner)
            if self._channel is not None and self._wrap is not None:
                self._channel = self._faulty = self._wrap(self._channel)
        return self._channel

    async def close(self) -> None:
        """Close the inner executor."""
        if self._faulty is not None:
            await self._faulty.close()
        await self._inner.close()


def accesses(turns: Iterable[Turn], fixed: Mapping[Message, int]) -> list[Access]:
    """The turns as the oracle reads them, in the order in which they were served.

    A segment ends where a prompt ended: what one prompt shares with an earlier one is told from the messages. Replies
    count as never used again, since their tokens are others when they come back as text. ``fixed`` are the tokens that
    prompts have in common which begin with that system message.
    """
    known: dict[tuple[Message, ...], tuple[Segment, ...]] = {
        (system,): (Segment(_digest((system,)), tokens),) for system, tokens in fixed.items()
    }
    return [_access(turn, number, known) for number, turn in enumerate(sorted(turns, key=lambda one: one.first))]


def _access(turn: Turn, number: int, known: dict[tuple[Message, ...], tuple[Segment, ...]]) -> Access:
    request, usage = turn.request, turn.usage
    return Access(
        session=request.session or f"{request.run}/{request.step}",
        program=request.run,
        start=turn.sent,
        first=turn.first,
        end=turn.ended,
        path=_path(request.messages, usage.prompt, known),
        reply=Segment(f"reply {number}", usage.completion),
        cached=usage.cached,
    )


def _path(
    messages: tuple[Message, ...], tokens: int, known: dict[tuple[Message, ...], tuple[Segment, ...]]
) -> tuple[Segment, ...]:
    """The segments of a prompt: those of the longest known beginning, and one for the rest."""
    if messages not in known:
        begun = next((known[messages[:end]] for end in range(len(messages) - 1, 0, -1) if messages[:end] in known), ())
        rest = tokens - sum(one.tokens for one in begun)
        known[messages] = (*begun, Segment(_digest(messages), rest)) if rest > 0 else begun
    return known[messages]


def _digest(messages: tuple[Message, ...]) -> str:
    return blake2b(repr(messages).encode(), digest_size=8).hexdigest()
