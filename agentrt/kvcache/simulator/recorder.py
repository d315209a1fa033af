"""Records of a run from what a client knows: sessions, fixed prompts, and token counts of the replies."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentrt.kvcache.simulator.access import Access, Segment


@dataclass(slots=True)
class _Chain:
    """A session's context so far: the segments of its last prompt and the reply to it."""

    segments: tuple[Segment, ...] = ()
    count: int = 0

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.segments)


@dataclass(slots=True)
class Recorder:
    """Gathers accesses as turns end. ``accesses`` holds them in the order they were reported."""

    accesses: list[Access] = field(default_factory=list)
    _chains: dict[str, _Chain] = field(default_factory=dict)

    def turn(
        self,
        session: str,
        program: str,
        *,
        start: float,
        end: float,
        prompt: int,
        completion: int,
        shared: tuple[str, int] | None = None,
        cached: int = -1,
        first: float | None = None,
        tool: str = "",
        word: str = "",
    ) -> Access:
        """Note one finished turn; ``prompt`` and ``completion`` are its tokens, and ``first`` its first token's time.

        ``shared`` is the fixed prompt that the session begins with, and its tokens: sessions that name the same one
        share it. A prompt that is no longer than the context before it was rewritten: only the fixed prompt, and of
        the rest nothing, is taken to be the same.
        """
        chain = self._chains.setdefault(session, _Chain())
        head = (Segment(*shared),) if shared else ()
        path = _grown(chain, head, prompt, session)
        reply = Segment(f"{session}/{chain.count}r", completion)
        chain.segments, chain.count = (*path, reply), chain.count + 1
        made = Access(
            session=session,
            program=program,
            start=start,
            end=end,
            path=path,
            reply=reply,
            first=first,
            cached=cached,
            tool=tool,
            word=word,
        )
        self.accesses.append(made)
        return made

    def fork(self, session: str, branch: str) -> None:
        """Say that ``branch`` begins with all of ``session``'s context as it is now."""
        chain = self._chains.get(session, _Chain())
        self._chains[branch] = _Chain(chain.segments, chain.count)


def _grown(chain: _Chain, head: tuple[Segment, ...], prompt: int, session: str) -> tuple[Segment, ...]:
    """The segments of a prompt of so many tokens that goes on from the chain, or begins anew if it cannot."""
    known = chain.segments
    if not known or prompt < chain.tokens:
        known = _fitting(head, prompt)
    new = prompt - sum(one.tokens for one in known)
    return (*known, Segment(f"{session}/{chain.count}p", new)) if new else known


def _fitting(head: tuple[Segment, ...], prompt: int) -> tuple[Segment, ...]:
    """The fixed prompt, cut to the tokens that the prompt had."""
    return tuple(Segment(one.id, min(one.tokens, prompt)) for one in head)
