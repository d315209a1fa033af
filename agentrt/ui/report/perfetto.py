"""A run as a trace in Chrome's JSON format, which ui.perfetto.dev opens. Pure.

One process is the run. Each session of an agent has a track for its turns, and each name one for its other steps; what
goes on at once in one of these has as many tracks as it needs, so that slices on one track never overlap unless one is
inside the other. Source of the format: "Trace Event Format", the Chromium project. Times are in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple, TypeAlias

from agentrt.types import StepId
from agentrt.ui.folds.kv_engine import EngineView
from agentrt.ui.model import StepView
from agentrt.ui.report.escaping import shown
from agentrt.ui.report.reading import Report
from agentrt.ui.words import cut

Record: TypeAlias = dict[str, Any]

_RUN: Final = 1
"""The number of the only process."""

_LONGEST: Final = 1_000


class _Slice(NamedTuple):
    """A step on its track, from ``start`` to ``end``."""

    step: StepView
    start: int
    end: int
    track: int


def trace_of(report: Report) -> Iterator[str]:
    """The trace, piece by piece."""
    head = {"run": report.row.id, "program": report.view.program, "status": report.status, "began": report.row.wall}
    yield f'{{"displayTimeUnit":"ms","otherData":{json.dumps(_cleaned(head))},"traceEvents":[\n'
    between = ""
    for record in records(report):
        yield f"{between}{json.dumps(record)}"
        between = ",\n"
    yield "\n]}\n"


def records(report: Report) -> Iterator[Record]:
    """The events of the trace."""
    tracks, slices = _laid_out(report)
    name = _name(f"{report.view.program} {report.row.id}")
    yield _named("process_name", name)
    for number, track in enumerate(tracks, 1):
        yield _named("thread_name", track) | {"tid": number}
        yield {"ph": "M", "name": "thread_sort_index", "pid": _RUN, "tid": number, "args": {"sort_index": number}}
    for one in slices.values():
        yield from _slice(report, one)
    yield from _flows(report, slices)
    yield from _instants(report, slices)
    yield from _running(report, slices.values())
    yield from _cache(report)


def _named(what: str, name: str) -> Record:
    return {"ph": "M", "name": what, "pid": _RUN, "args": {"name": name}}


# -- tracks ----------------------------------------------------------------------------------------------------------


def _laid_out(report: Report) -> tuple[list[str], dict[StepId, _Slice]]:
    """The names of the tracks, and the steps that ever ran on theirs, in the order of their starts."""
    groups: dict[str, list[tuple[int, int, StepView]]] = {}
    for step in report.view.steps.values():
        if step.started is not None and step.kind != "join":
            start = micros(step.started)
            end = micros(report.now if step.ended is None else step.ended)
            groups.setdefault(_track(step, report.row.id), []).append((start, max(start, end), step))
    names: list[str] = []
    found: list[_Slice] = []
    for name, group in sorted(groups.items(), key=lambda one: min(start for start, _, _ in one[1])):
        group.sort(key=lambda one: one[:2])
        lanes = list(_lanes(group))
        found += [
            _Slice(step, start, end, len(names) + lane) for lane, (start, end, step) in zip(lanes, group, strict=True)
        ]
        count = max(lanes)
        names += [name if number == 1 else f"{name} ({number})" for number in range(1, count + 1)]
    return names, {one.step.id: one for one in sorted(found, key=lambda one: one.start)}


def _track(step: StepView, run: str) -> str:
    turn = step.turn
    if turn is None:
        name = f"{step.kind} {step.name}"
    else:
        name = (
            f"{turn.agent or step.name} · {turn.session.removeprefix(f'{run}/')}"
            if turn.session
            else f"{turn.agent or step.name}"
        )
    return _name(name)


def _lanes(spans: Iterable[tuple[int, int, StepView]]) -> Iterator[int]:
    """For each span, which come by their starts, the lowest lane, 1 first, that is free by then."""
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    count = 0
    for start, end, _ in spans:
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            count += 1
            lane = count
        heappush(busy, (end, lane))
        yield lane


# -- slices ----------------------------------------------------------------------------------------------------------


def _slice(report: Report, one: _Slice) -> Iterator[Record]:
    """A step, and inside it its phases."""
    step = one.step
    place = {"pid": _RUN, "tid": one.track}
    yield {
        "ph": "X",
        "name": _name(step.label),
        "cat": step.kind,
        "ts": one.start,
        "dur": one.end - one.start,
        **place,
        "args": _cleaned(_about(step)),
    }
    for stage, start, end in report.line.stretches(step):
        begin = max(one.start, micros(start))
        over = min(one.end, one.end if end is None else micros(end))
        if over > begin and stage != "holding":
            yield {"ph": "X", "name": stage, "cat": "phase", "ts": begin, "dur": over - begin, **place}


def _about(step: StepView) -> Record:
    told: Record = {"step": step.id, "status": step.status, "attempts": step.attempt}
    if step.turn is not None:
        told |= {"model": step.turn.model, "agent": step.turn.agent, "session": step.turn.session or ""}
    used = step.usage
    if used.prompt or used.completion:
        told |= {"prompt_tokens": used.prompt, "cached_tokens": used.cached, "completion_tokens": used.completion}
    if step.error:
        told["error"] = step.error
    return told


def _cleaned(told: Mapping[str, Any]) -> Record:
    """Without halves of characters, which JSON can hold and its readers refuse."""
    return {name: cut(shown(value), _LONGEST, "…") if isinstance(value, str) else value for name, value in told.items()}


# -- arrows and instants ---------------------------------------------------------------------------------------------


def _flows(report: Report, slices: Mapping[StepId, _Slice]) -> Iterator[Record]:
    """An arrow for each value that was handed on: from the end of one slice to the beginning of another."""
    number = 0
    for target in slices.values():
        for source in _sources(report, target, slices):
            number += 1
            arrow = {"name": "value", "cat": "data", "id": number, "pid": _RUN}
            leaves = max(source.start, source.end - 1)  # at its very end a slice is over
            yield {"ph": "s", "ts": leaves, "tid": source.track, **arrow}
            yield {"ph": "f", "bp": "e", "ts": target.start, "tid": target.track, **arrow}


def _sources(report: Report, target: _Slice, slices: Mapping[StepId, _Slice]) -> Iterator[_Slice]:
    """What a step takes values of; of many that are gathered only the one that came last."""
    for name in target.step.inputs:
        before = report.view.steps.get(name)
        names: Sequence[StepId] = (name,) if before is None or before.kind != "join" else before.inputs
        found = [slices[one] for one in names if one in slices and slices[one].end <= target.start]
        if found:
            yield max(found, key=lambda one: one.end)


def _instants(report: Report, slices: Mapping[StepId, _Slice]) -> Iterator[Record]:
    for at, step, words in report.moments:
        one = slices.get(step) if step is not None else None
        where: Record = {"s": "p"} if one is None else {"s": "t", "tid": one.track}
        name = "edit" if one is None else "retry"
        yield {"ph": "i", "name": name, "ts": micros(at), "pid": _RUN, **where, "args": _cleaned({"what": words})}
    for one in slices.values():
        if one.step.kind == "question":
            yield {"ph": "i", "name": "question", "ts": one.start, "pid": _RUN, "tid": one.track, "s": "t"}


# -- counters --------------------------------------------------------------------------------------------------------


def _running(report: Report, slices: Iterable[_Slice]) -> Iterator[Record]:
    """How many steps run, without those that only hold others."""
    changes: dict[int, int] = {}
    for one in slices:
        if one.step.kind not in ("agent", "program"):
            changes[one.start] = changes.get(one.start, 0) + 1
            changes[one.end] = changes.get(one.end, 0) - 1
    count = 0
    for at in sorted(changes):
        count += changes[at]
        yield _counter("running steps", at, {"steps": count})


def _cache(report: Report) -> Iterator[Record]:
    for point in report.kv.turns.points:
        tokens = {"cached": point.cached, "computed": point.prompt - point.cached}
        yield _counter("prompt tokens", micros(point.at), tokens)
    for engine in report.kv.engines.values():
        yield from _tiers(engine)


def _tiers(engine: EngineView) -> Iterator[Record]:
    name = _name(engine.model)
    for point in engine.series.points:
        held = {"in use": point.locked, "kept": point.kept, "evictable": point.evictable}
        yield _counter(f"KV device tier, {name}", micros(point.at), held)
        if engine.host:
            yield _counter(f"KV host tier, {name}", micros(point.at), {"tokens": point.host})


def _counter(name: str, ts: int, values: Mapping[str, float]) -> Record:
    return {"ph": "C", "name": name, "ts": ts, "pid": _RUN, "args": dict(values)}


def _name(text: str) -> str:
    return shown(cut(" ".join(text.split()), _LONGEST, "…"))


def micros(at: float) -> int:
    """Seconds in whole microseconds."""
    return round(at * 1e6)
