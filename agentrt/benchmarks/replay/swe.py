"""AgentCgroup's agent runs on SWE-rebench tasks: calls with token counts, and each tool call's name and times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from agentrt.benchmarks.replay.sessions import Head, Session, Turn, grown
from agentrt.kvcache.simulator.traces import Line, prompt_tokens, said_tokens, tools_ran


def session_of(line: str) -> Session | None:
    """One line, its head not yet known; ``None`` for one without a turn. Raises what JSON of another shape raises."""
    told = json.loads(line)
    name = "/".join(str(told[part]) for part in ("set", "task", "attempt"))
    calls = [call for call in told["llm_calls"] if prompt_tokens(call)]
    turns: list[Turn] = []
    helpers: list[Session] = []
    taken = 0.0
    before: Line | None = None
    for side, group in groupby(calls, key=lambda call: bool(call["sidechain"])):
        if side:
            some = list(group)
            helpers.append(Session(f"{name}/agent{len(turns)}.{len(helpers)}", tuple(_turns(some, None, 0.0, ())), 0))
            taken += max(0.0, float(some[-1]["t_last"]) - float(some[0]["t_first"]))
            continue
        own = list(group)
        turns += _turns(own, before, taken, tuple(helpers), turns[-1] if turns else None)
        before, helpers, taken = own[-1], [], 0.0
    if not turns:
        return None
    return Session(name, tuple(turns), 0, name, Head(str(told["set"]), turns[0].prompt), last=tuple(helpers))


def with_heads(sessions: Iterable[Session]) -> list[Session]:
    """The sessions with what those of one set begin with: as much as the shortest first prompt of them has."""
    found = list(sessions)
    shortest: dict[str, int] = {}
    for one in found:
        if one.head:
            least = min([one.head.tokens, *(turn.prompt - 1 for turn in one.turns)])
            shortest[one.head.name] = min(least, shortest.get(one.head.name, least))
    return [_headed(one, shortest[one.head.name]) if one.head else one for one in found]


def _headed(session: Session, tokens: int) -> Session:
    """The session with so much of a head, which every turn keeps that begins anew."""
    assert session.head is not None
    turns = tuple(replace(turn, kept=max(turn.kept, tokens)) for turn in session.turns)
    return replace(session, turns=turns, head=Head(session.head.name, tokens))


def _turns(
    calls: Sequence[Line], before: Line | None, taken: float, helpers: tuple[Session, ...], last: Turn | None = None
) -> list[Turn]:
    """The turns of one agent; the first comes after ``helpers``, which took ``taken`` seconds of its gap."""
    found: list[Turn] = []
    for call, after in zip(calls, [*calls[1:], None], strict=True):
        tool, word, gap = tools_ran(before["tool_calls"]) if before else ("", "", 0.0)
        prompt = prompt_tokens(call)
        kept = grown(last, prompt)
        last = Turn(prompt, _output(call, after), kept, 0, (), max(0.0, gap - taken), tool, word, helpers)
        found.append(last)
        before, taken, helpers = call, 0.0, ()
    return found


def _output(call: Line, after: Line | None) -> int:
    """Tokens of a reply: by its text, as the counts are stubs, but no more than the next prompt has room for."""
    said = said_tokens(call)
    room: Any = prompt_tokens(after) - prompt_tokens(call) - 1 if after is not None else said
    return min(said, room) if room > 0 else said
