"""kv-cache-tester's Claude Code sessions: requests with lengths, times and block numbers, sub-agents nested."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agentrt.benchmarks.replay.blocks import NOTHING, Known, common, read
from agentrt.benchmarks.replay.blocks import set_apart as without_blocks
from agentrt.benchmarks.replay.sessions import KEPT, Head, Session, Turn, grown, size

_RECENT: Final = 8
"""How many contexts of a session a request is looked for in: the ones used last."""

TOOL: Final = "tool"
PERSON: Final = "person"
"""What ran in a gap: the recording knows whether the turn before asked for tools, not for which."""


def session_of(line: str) -> Session | None:
    """One line; ``None`` for one without a turn. Raises what JSON of another shape raises."""
    plain, texts = without_blocks(line)
    told = json.loads(plain)
    name = str(told["id"])
    fixed = int(told.get("tool_tokens") or 0) + int(told.get("system_tokens") or 0)
    kinds = "/".join(str(told.get(one) or 0) for one in ("tool_tokens", "system_tokens"))
    head = Head(f"claude {kinds}", fixed) if fixed else None
    found = _Reading(name, int(told["block_size"]), texts, head).read(told["requests"])
    return found if found.turns else None


@dataclass
class _Context:
    """One growing prompt of a session: its number, its last turn, and the blocks of that turn's prompt."""

    number: int
    turn: Turn
    known: Known


@dataclass
class _Reading:
    """Reads the requests of one agent, in order."""

    name: str
    block: int
    texts: Sequence[str]
    head: Head | None
    turns: list[Turn] = field(default_factory=list)
    contexts: list[_Context] = field(default_factory=list)
    helpers: list[Session] = field(default_factory=list)
    opened: int = 0
    ended: float = 0.0
    """When the last reply, or the last of the sub-agents after it, was complete."""
    waits: str = TOOL
    """What is waited for since."""

    def read(self, requests: Sequence[Mapping[str, Any]], late: float = 0.0) -> Session:
        """The session; its first turn comes ``late`` seconds after it began."""
        for request in requests:
            if request["type"] == "subagent":
                self._helper(request)
            elif request["in"]:
                self._turn(request, late)
                late = 0.0
        head = self.head if self.turns and self.turns[0].kept else None
        return Session(self.name, tuple(self.turns), self.block, self.name, head, last=tuple(self.helpers))

    def _helper(self, request: Mapping[str, Any]) -> None:
        """Sub-agents begin when the reply before them has ended; their own times count from their beginning."""
        began = float(request["t"])
        one = _Reading(f"{self.name}/{request['agent_id']}", self.block, self.texts, None)
        late = max(0.0, began - self.ended) if self.turns else 0.0
        found = one.read(request["requests"], late)
        if found.turns:
            self.helpers.append(replace(found, scope=self.name))
            self.ended = max(self.ended, began + float(request.get("duration_ms") or 0) / 1000)

    def _turn(self, request: Mapping[str, Any], late: float) -> None:
        text, prompt, began = self.texts[request["hash_ids"]], int(request["in"]), float(request["t"])
        context, kept, known = self._place(text, prompt)
        gap = max(0.0, began - self.ended) if self.turns else late
        turn = Turn(
            prompt=prompt,
            output=max(1, int(request["out"] or 0)),
            kept=min(kept, prompt - 1),
            context=context,
            blocks=known.runs,
            gap=gap,
            tool=self.waits if gap else "",
            helpers=tuple(self.helpers),
        )
        self.helpers = []
        self.turns.append(turn)
        self.contexts = [one for one in self.contexts if one.number != context][-_RECENT:]
        self.contexts.append(_Context(context, turn, known))
        self.ended = began + float(request.get("api_time") or 0.0)
        self.waits = TOOL if request["stop"] == "tool_use" else PERSON

    def _place(self, text: str, prompt: int) -> tuple[int, int, Known]:
        """The context that a prompt belongs to, how many tokens it keeps of it, and its blocks."""
        shared = [(common(one.known, text)[0], one) for one in self.contexts]
        same, best = max(shared, key=lambda found: found[0], default=(0, None))
        known = read(best.known if best else NOTHING, text)
        if best is None or same * self.block < KEPT * best.turn.prompt:
            self.opened += 1
            return self.opened - 1, self._shared_head(known, prompt), known
        if same == size(best.known.runs) and (kept := grown(best.turn, prompt)):
            return best.number, kept, known
        return best.number, same * self.block, known

    def _shared_head(self, known: Known, prompt: int) -> int:
        """How much of a new context is the head: all of it, if it begins like the session's first prompt."""
        if self.head is None or prompt <= self.head.tokens:
            return 0
        blocks = -(-self.head.tokens // self.block)
        if not self.turns:
            return self.head.tokens
        same = bool(known.runs) and known.runs[0].first == self.turns[0].blocks[0].first
        return self.head.tokens if same and self.turns[0].kept and known.runs[0].many >= blocks else 0
