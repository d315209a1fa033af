"""Workloads out of public recordings of coding agents; the files are the user's, nothing of them is kept here.

Two formats are read, by what their lines hold, as JSON lines, gzipped or not:

``llm_calls``  AgentCgroup's runs on SWE-rebench tasks: calls with token counts, and each tool call's name and times
``requests``   kv-cache-tester's Claude Code sessions: requests with lengths, times, and ids of 64-token blocks
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from agentrt.errors import ConfigError
from agentrt.kvcache.estimators import first_word
from agentrt.kvcache.simulator.access import Segment
from agentrt.kvcache.simulator.jobs import Job, Turn

Line: TypeAlias = Mapping[str, Any]

CHARACTERS: Final = 4
"""Characters of text in a token, where a recording has no count of tokens."""

KEPT: Final = 0.5
"""A context of which less than this share begins like the one before counts as begun anew."""

_MANY: Final = 1 << 60


def read_jobs(path: Path) -> list[Job]:
    """All sessions of a recording that have a turn. Raises ``ConfigError`` naming file, line and fault."""
    try:
        sessions = [_session(path, number, text) for number, text in enumerate(lines_of(path), 1)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the trace {path}: {error}") from error
    heads: dict[str, int] = {}
    for one in sessions:
        if one.calls:
            heads[one.group] = min(one.fixed or one.calls[0].prompt, heads.get(one.group, _MANY))
    return [_job(one, heads[one.group]) for one in sessions if one.calls]


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a file, gzipped or not. Raises what reading, unpacking and decoding raise."""
    with ExitStack() as files:
        raw = files.enter_context(path.open("rb"))
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        unpacked = files.enter_context(gzip.open(raw)) if zipped else raw
        for line in unpacked:
            yield line.decode()


def _session(path: Path, number: int, text: str) -> _Session:
    try:
        line = json.loads(text)
        kind = next((kind for kind in _READERS if isinstance(line, dict) and isinstance(line.get(kind), list)), None)
        if kind is None:
            raise ValueError(f"expected an object with a list of {' or '.join(_READERS)}")
        return _READERS[kind](line)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"{path}, line {number}: not a session that can be read: {said}") from error


class _Call(NamedTuple):
    """One model turn as recorded: lengths in tokens, the share of the last prompt it kept, what ran before it."""

    prompt: int
    output: int
    kept: float
    gap: float
    tool: str
    word: str


class _Session(NamedTuple):
    """``group``: sessions that begin with the same system prompt and tools, of ``fixed`` tokens if that is known."""

    name: str
    group: str
    fixed: int
    calls: list[_Call]


def _job(session: _Session, head: int) -> Job:
    """``head``: the tokens that the group's sessions have in common."""
    head = min([head, *(call.prompt - 1 for call in session.calls)])
    turns: list[Turn] = []
    before = 0
    for call in session.calls:
        grown = call.prompt - before
        fresh = not turns or grown < 1 or call.kept < KEPT
        new = max(1, call.prompt - head if fresh else grown)
        turns.append(Turn(new=new, output=call.output, gap=call.gap, tool=call.tool, word=call.word, fresh=fresh))
        before = call.prompt + call.output
    return Job(session.name, tuple(turns), head=Segment(f"{session.group} prompt", head) if head > 0 else None)


# -- AgentCgroup on SWE-rebench ------------------------------------------------------------------------------


def _swe_session(line: Line) -> _Session:
    """Calls of the session itself: a sub-agent's turns are left out, the tool that ran it takes their time."""
    calls = [call for call in line["llm_calls"] if not call["sidechain"] and prompt_tokens(call)]
    found, before = [], None
    for call, after in [*pairwise(calls), *((last, None) for last in calls[-1:])]:
        grown = prompt_tokens(after) - prompt_tokens(call) if after is not None else 0
        output = min(said_tokens(call), max(1, grown - 1)) if grown > 0 else said_tokens(call)
        tool, word, gap = tools_ran(before["tool_calls"]) if before else ("", "", 0.0)
        found.append(_Call(prompt_tokens(call), output, 1.0, gap, tool, word))
        before = call
    return _Session(f"{line['task']} {line['attempt']}", str(line["set"]), 0, found)


def prompt_tokens(call: Line) -> int:
    """Tokens of an ``llm_calls`` prompt, cached or not."""
    return sum(int(call[name] or 0) for name in ("input_tokens", "cache_read", "cache_creation"))


def said_tokens(call: Line) -> int:
    """Tokens of a reply by the length of its text and arguments: the recorded counts are stubs."""
    letters = int(call["text_chars"] or 0) + sum(int(tool["input_chars"] or 0) for tool in call["tool_calls"])
    return max(1, letters // CHARACTERS)


def tools_ran(tools: Sequence[Line]) -> tuple[str, str, float]:
    """The tool that took longest of those called together, and the seconds from the first start to the last end."""
    timed = [one for one in tools if one["t_start"] is not None and one["t_end"] is not None]
    if not timed:
        return "", "", 0.0
    slowest = max(timed, key=lambda one: one["t_end"] - one["t_start"])
    word = first_word(slowest["cmd"]) if slowest["name"] == "Bash" and slowest["cmd"] else ""
    gap = max(one["t_end"] for one in timed) - min(one["t_start"] for one in timed)
    return slowest["name"], word, max(0.0, float(gap))


# -- kv-cache-tester's Claude Code sessions ------------------------------------------------------------------


def _claude_session(line: Line) -> _Session:
    """Requests of the session itself; nested sub-agents are left out, as is what ran: only kinds of waiting are known.

    The gap is from the end of the last reply (``api_time`` after its start) to the next request, ``tool`` while a tool
    ran and ``user`` after an ended turn.
    """
    calls = [one for one in line["requests"] if one["type"] != "subagent" and one["in"]]
    found = []
    for before, call in pairwise([None, *calls]):
        assert call is not None  # only the first of the pairs is
        kept, gap, tool = 1.0, 0.0, ""
        if before is not None:
            kept = _common(before["hash_ids"], call["hash_ids"]) / max(1, len(before["hash_ids"]))
            gap = max(0.0, float(call["t"]) - float(before["t"]) - float(before.get("api_time") or 0.0))
            tool = "tool" if before["stop"] == "tool_use" else "user"
        found.append(_Call(int(call["in"]), max(1, int(call["out"] or 0)), kept, gap, tool, ""))
    fixed = int(line.get("tool_tokens") or 0) + int(line.get("system_tokens") or 0)
    return _Session(str(line["id"]), "claude", fixed, found)


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many blocks two prompts begin with in common: found by halves, for most are long and alike."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if left[:middle] == right[:middle] else (low, middle - 1)
    return low


# -- both ----------------------------------------------------------------------------------------------------

_READERS: Final[Mapping[str, Callable[[Line], _Session]]] = {"llm_calls": _swe_session, "requests": _claude_session}
