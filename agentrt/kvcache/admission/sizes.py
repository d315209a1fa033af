"""How many tokens a turn will have, guessed before it runs from its characters and what earlier turns had."""

from __future__ import annotations

from typing import Final

from agentrt.types import ModelReply

_FIRST_RATIO: Final = 0.3  # tokens a character, of English and code in common vocabularies
_FIRST_REPLY: Final = 200  # tokens
_NEW: Final = 0.2  # the weight of the newest turn in a mean


class Sizes:
    """Learns tokens per character from the usage that servers report, each agent's usual reply, and sessions' sizes."""

    def __init__(self) -> None:
        self._ratio: float | None = None
        self._replies: dict[str, float] = {}
        self._sessions: dict[str, tuple[int, int]] = {}

    def tokens(self, characters: int) -> int:
        """The likely length of a text."""
        return int(characters * (self._ratio or _FIRST_RATIO))

    def prompt(self, session: str, characters: int) -> int:
        """The likely length of a session's next prompt: what it was, and what is new of it."""
        tokens, read = self._sessions.get(session, (0, 0))
        return max(0, tokens + self.tokens(characters - read))

    def reply(self, agent: str, most: int | None = None) -> int:
        """The likely length of an agent's next reply, ``most`` being the limit it was asked with."""
        usual = int(self._replies.get(agent, _FIRST_REPLY))
        return usual if most is None else min(usual, most)

    def learn(self, session: str, agent: str, characters: int, reply: ModelReply) -> int | None:
        """A turn is over. Gives the size of its context now; ``None`` from a server that reports no usage."""
        usage = reply.usage
        if usage.prompt <= 0:
            return None
        if characters:
            ratio = usage.prompt / characters
            self._ratio = ratio if self._ratio is None else self._ratio + _NEW * (ratio - self._ratio)
        usual = self._replies.get(agent)
        self._replies[agent] = usage.completion if usual is None else usual + _NEW * (usage.completion - usual)
        size = usage.prompt + usage.completion
        said = len(reply.text) + sum(len(one.name) + len(one.arguments) for one in reply.tool_calls)
        self._sessions[session] = (size, characters + said)
        return size

    def forget(self, session: str) -> None:
        """A session is over."""
        self._sessions.pop(session, None)
