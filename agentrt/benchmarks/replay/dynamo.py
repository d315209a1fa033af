"""Sessions out of agent traces in NVIDIA Dynamo's vocabulary: its own files, ours, and the runs of a journal.

Read are ``dynamo.agent.trace.v1``, with the names that its identifiers have had (``trajectory_id``, ``program_id``),
and the later ``dynamo.request.trace.v1``. Trajectories with a parent are sub-agents of it. Others of one session take
turns where their requests did; one whose requests overlap those of an earlier one is a sub-agent beside it.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from agentrt.benchmarks.replay.sessions import KEPT, Session, Turn, grown, runs_of
from agentrt.benchmarks.replay.tracing import records_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentrt.events import Event
    from agentrt.store.rows import RunRow

Record: TypeAlias = Mapping[str, Any]

_SCHEMAS: Final = ("dynamo.agent.trace.", "dynamo.request.trace.")
_OWN: Final = ("trajectory_id", "program_id", "session_id", "workflow_id")
_PARENT: Final = ("parent_trajectory_id", "parent_program_id", "parent_session_id")
_WHOLE: Final = ("session_id", "workflow_id")


@dataclass(frozen=True, slots=True)
class _Request:
    """Times in seconds since the epoch; ``numbers`` are its prompt's blocks."""

    began: float
    ended: float
    prompt: int
    output: int
    numbers: tuple[int, ...] = ()


class _Tool(NamedTuple):
    began: float
    ended: float
    name: str


@dataclass
class _Trajectory:
    """One context of a session."""

    name: str
    parent: str = ""
    whole: str = ""
    requests: list[_Request] = field(default_factory=list)
    tools: list[_Tool] = field(default_factory=list)

    @property
    def ended(self) -> float:
        return max(one.ended for one in self.requests)


def parsed(lines: Iterable[str]) -> Iterator[Record]:
    """The records of a file, out of their envelopes. Raises ``ValueError`` for a line that is none."""
    for line in lines:
        if not line.strip():
            continue
        told = json.loads(line)
        record = told.get("event", told) if isinstance(told, dict) else None
        if not isinstance(record, dict) or not str(record.get("schema", "")).startswith(_SCHEMAS):
            raise ValueError(f"expected a record of schema {_SCHEMAS[0]}v1")
        yield record


def sessions_of(records: Iterable[Record]) -> list[Session]:
    """The sessions of a trace. Raises ``KeyError`` or ``ValueError`` for records of another shape."""
    found, block = _gathered(records)
    there = {name: one for name, one in found.items() if one.requests}
    children: dict[str, list[_Trajectory]] = defaultdict(list)
    roots: dict[str, list[_Trajectory]] = defaultdict(list)
    for one in there.values():
        if one.parent in there and one.parent != one.name:
            children[one.parent].append(one)
        else:
            roots[one.whole].append(one)
    return [_Building(children, block).session(name, some) for name, some in roots.items()]


# -- records to trajectories -----------------------------------------------------------------------------------------


def _gathered(records: Iterable[Record]) -> tuple[dict[str, _Trajectory], int]:
    """All trajectories by name, and the tokens of a block, 0 where no prompt has any."""
    found: dict[str, _Trajectory] = {}
    numbers: dict[int, int] = {}
    block = 0
    for number, record in enumerate(records):
        context = record.get("agent_context") or {}
        name = _first(context, _OWN) or f"request {number}"
        one = found.setdefault(name, _Trajectory(name))
        one.parent = one.parent or _first(context, _PARENT)
        one.whole = _first(context, _WHOLE) or name
        if record["event_type"] == "request_end":
            told = record["request"]
            block = max(block, int((told.get("replay") or {}).get("trace_block_size") or 0))
            one.requests.append(_request(record, told, numbers))
        elif record["event_type"] in ("tool_end", "tool_error"):
            one.tools.append(_tool(record, record["tool"]))
    for one in found.values():
        one.requests.sort(key=lambda request: request.began)
    return found, block


def _first(context: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((str(context[name]) for name in names if context.get(name)), "")


def _request(record: Record, told: Mapping[str, Any], numbers: dict[int, int]) -> _Request:
    ended = float(record["event_time_unix_ms"]) / 1000
    began = told.get("request_received_ms")
    took = float(told.get("total_time_ms") or 0) / 1000
    replay = told.get("replay") or {}
    prompt = int(replay.get("input_length") or told.get("input_tokens") or 0)
    blocks = tuple(numbers.setdefault(one, len(numbers)) for one in replay.get("input_sequence_hashes") or ())
    start = ended - took if began is None else float(began) / 1000
    return _Request(start, max(start, ended), max(1, prompt), max(1, int(told.get("output_tokens") or 0)), blocks)


def _tool(record: Record, told: Mapping[str, Any]) -> _Tool:
    ended = float(told.get("ended_at_unix_ms") or record["event_time_unix_ms"]) / 1000
    began = told.get("started_at_unix_ms")
    start = ended - float(told.get("duration_ms") or 0) / 1000 if began is None else float(began) / 1000
    return _Tool(start, ended, str(told.get("tool_class") or "tool"))


# -- trajectories to sessions ----------------------------------------------------------------------------------------


@dataclass
class _Building:
    children: Mapping[str, Sequence[_Trajectory]]
    block: int

    def session(self, name: str, roots: Sequence[_Trajectory]) -> Session:
        """One session of trajectories that have no parent."""
        ordered = sorted(roots, key=lambda one: one.requests[0].began)
        main: list[_Trajectory] = [ordered[0]]
        beside: list[_Trajectory] = []
        for one in ordered[1:]:
            (beside if any(_overlap(one, other) for other in main) else main).append(one)
        return self._built(name, main, [*beside, *(child for one in main for child in self.children.get(one.name, ()))])

    def _built(self, name: str, main: Sequence[_Trajectory], others: Sequence[_Trajectory]) -> Session:
        """The turns of ``main`` in order, each of ``others`` a sub-agent before the first turn after its end."""
        waiting = sorted(others, key=lambda one: one.ended)
        tools = [tool for one in main for tool in one.tools]
        turns: list[Turn] = []
        last: dict[int, tuple[Turn, _Request]] = {}
        requests = sorted(((one, number) for number, t in enumerate(main) for one in t.requests), key=_began)
        ended = requests[0][0].began
        for request, context in requests:
            ready = [one for one in waiting if one.ended <= request.began]
            waiting = waiting[len(ready) :]
            helpers = tuple(self._helper(one, ended) for one in ready)
            since = max([ended, *(one.ended for one in ready)])
            gap = max(0.0, request.began - since)
            turn = Turn(
                request.prompt, request.output, self._kept(last.get(context), request), context,
                runs_of(request.numbers), gap, _ran(tools, since, request.began) if gap else "", "", helpers,
            )  # fmt: skip
            last[context] = turn, request
            turns.append(turn)
            ended = max(ended, request.ended)
        rest = tuple(self._helper(one, ended) for one in waiting)
        return Session(name, tuple(turns), self.block, "dynamo", arrives=requests[0][0].began, last=rest)

    def _helper(self, one: _Trajectory, since: float) -> Session:
        """A sub-agent, which begins so long after its parent's turn as it did."""
        found = self._built(one.name, [one], self.children.get(one.name, ()))
        late = max(0.0, one.requests[0].began - since)
        first = replace(found.turns[0], gap=late, tool=_ran(one.tools, since, since + late) if late else "")
        return replace(found, turns=(first, *found.turns[1:]))

    def _kept(self, before: tuple[Turn, _Request] | None, request: _Request) -> int:
        """How much of its context a prompt keeps: by its blocks where they are known, else by its length."""
        if before is None:
            return 0
        turn, old = before
        if not (self.block and old.numbers and request.numbers):
            return grown(turn, request.prompt)
        full = old.prompt // self.block
        same = _same(old.numbers, request.numbers)
        if same >= full and (kept := grown(turn, request.prompt)):
            return kept
        return min(same * self.block, request.prompt - 1) if same >= KEPT * full else 0


def _began(one: tuple[_Request, int]) -> float:
    return one[0].began


def _overlap(one: _Trajectory, other: _Trajectory) -> bool:
    return any(a.began < b.ended and b.began < a.ended for a in one.requests for b in other.requests)


def _ran(tools: Sequence[_Tool], since: float, until: float) -> str:
    """The tool that ran longest in that time; ``pause`` where none did."""
    spans = {tool.name: min(until, tool.ended) - max(since, tool.began) for tool in tools}
    best = max(spans, key=lambda name: spans[name], default="")
    return best if best and spans[best] > 0 else "pause"


def _same(left: Sequence[int], right: Sequence[int]) -> int:
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


# -- runs of a journal -----------------------------------------------------------------------------------------------


def journal_records(journal: Path) -> list[Record]:
    """The records of all runs of a journal, the oldest first. Raises ``JournalError`` for one that cannot be read."""
    return asyncio.run(_read(journal))


async def run_records(connection: AsyncConnection, row: RunRow) -> Iterator[dict[str, Any]]:
    """The records of one run, as JSON lines are to have them. Raises ``JournalError`` for a damaged one."""
    return records_of(await _events(connection, row))


async def _read(path: Path) -> list[Record]:
    from agentrt.store import Journal, archive

    found: list[Record] = []
    async with Journal(path) as journal, journal.connect() as connection:
        for row in reversed(await archive.list_runs(connection)):
            found += [one["event"] for one in await run_records(connection, row)]
    return found


async def _events(connection: AsyncConnection, row: RunRow) -> list[Event]:
    from agentrt.store import archive
    from agentrt.store.retelling import Retelling

    entries = await archive.entries_of(connection, row.id)
    notes = [note for _, note in await archive.notes_of(connection, row.id)]
    bodies = await archive.joins_of(connection, row.id, entries)
    return list(Retelling(row, bodies.__getitem__).tell(entries, notes))
