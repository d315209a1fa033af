"""Runs begin in a journal, go on from it, and branch off from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from inspect import unwrap
from pathlib import Path
from typing import Any, NamedTuple

from agentrt.errors import JournalError, UsageError
from agentrt.runtime.durable.log import RunLog
from agentrt.runtime.spec import StepSpec
from agentrt.store import archive
from agentrt.store.codec import Unstorable, decode, encode
from agentrt.store.edits import ancestors
from agentrt.store.journal import Journal
from agentrt.store.recording import Recording
from agentrt.store.replay import Replay
from agentrt.store.rows import Entry, RunRow
from agentrt.types import RunId, StepId

_log = logging.getLogger("agentrt")

FILE_MODULE = "agentrt_program_"
"""What the module of a program's file is called, before the file's name; it is loaded under no other."""


class Reopened(NamedTuple):
    """A run that goes on: its inputs, and its place in the journal."""

    id: RunId
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    log: RunLog


def begin(
    journal: Journal, run: RunId, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], wall: float
) -> RunLog:
    """Enter a new run. Raises ``JournalError`` when the journal cannot be opened."""
    try:
        inputs = encode([list(args), kwargs])
    except Unstorable as error:
        inputs = ""
        _log.warning("run %s: its inputs hold %s, which a journal cannot; it could not be resumed", run, error)
    row = RunRow(run, spec.name, target_of(spec), inputs, "running", wall, 0.0, None, journal.me.id, None)
    journal.writer().started(row)
    return RunLog(journal, run)


async def read(journal: Journal, name: str) -> Recording:
    """Everything that is kept of the run of that id, or of the only one whose id begins so; ``last`` is the newest."""
    async with journal.connect() as connection:
        return await archive.recording_of(connection, await archive.find_run(connection, name))


async def reopen(
    journal: Journal, name: str, spec: StepSpec, *, compare: bool = True, rerun: Collection[str] = ()
) -> Reopened:
    """Make the run this process's own, to go on with it.

    Raises ``NoSuchRun``, ``RunTaken`` when another process has it, ``UsageError`` when it is done, or of another
    program, or has no step of ``rerun``.
    """
    async with journal.connect() as connection:
        row = await archive.find_run(connection, name)
    check(row, spec)
    await journal.claim(row)
    try:
        recording = await read(journal, row.id)  # not before: another process may have had it until now
        return _reopened(journal, recording, spec, compare=compare, rerun=rerun)
    except BaseException:
        journal.writer().leave(row.id)
        await journal.release(row.id)
        raise


def _reopened(
    journal: Journal, recording: Recording, spec: StepSpec, *, compare: bool, rerun: Collection[str]
) -> Reopened:
    row = recording.run
    check(row, spec)
    modules = _renamed(row, spec)
    args, kwargs = _inputs(row, modules)
    reopened = recording.failed_for_good | _to_make_again(recording)
    ended = row.status in ("failed", "cancelled")
    replay = Replay(recording, frozenset(reopened), strict=not ended, compare=compare, rerun=_known(recording, rerun))
    return Reopened(row.id, args, kwargs, RunLog(journal, row.id, replay=replay, modules=modules))


async def fork(journal: Journal, name: str, step: str | None, new: RunId, wall: float) -> RunRow:
    """Enter a copy of a run, without ``step`` and all that depended on it; whole if there is none. It has no owner yet.

    Raises ``NoSuchRun``, and ``UsageError`` naming the steps there are.
    """
    recording = await read(journal, name)
    entries = recording.entries if step is None else _without(recording, StepId(step))
    origin = recording.run.id if step is None else f"{recording.run.id} at {step}"
    row = recording.run._replace(id=new, status="failed", wall=wall, error=None, owner=None, origin=origin)
    async with journal.connect(write=True) as connection:
        await archive.copy_run(connection, recording.run, row, entries)
    return row


def target_of(spec: StepSpec) -> str:
    """Where the program is found again: ``module:name``, or ``FILE:name`` of one that was run as a file."""
    function: Callable[..., Any] = unwrap(spec.body)
    module = getattr(function, "__module__", "")
    code = getattr(function, "__code__", None)
    if code is not None and (module == "__main__" or module.startswith(FILE_MODULE)):
        return f"{Path(code.co_filename).absolute()}:{spec.name}"
    return f"{module}:{spec.name}"


def check(row: RunRow, spec: StepSpec) -> None:
    """Raise ``UsageError`` for a run that is done, or of another program."""
    if row.status == "done":
        raise UsageError(f"run {row.id} is done, there is nothing to go on with; branch off with `agentrt runs fork`")
    if row.program != spec.name:
        raise UsageError(f"run {row.id} is of program {row.program!r}, not of {spec.name!r}; name that one")


def _inputs(row: RunRow, modules: dict[str, str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not row.inputs:
        raise JournalError(
            f"run {row.id} cannot go on: its inputs were no data and are not in the journal; run it anew"
        )
    args, kwargs = decode(row.inputs, modules)
    return tuple(args), kwargs


def _renamed(row: RunRow, spec: StepSpec) -> dict[str, str]:
    """Classes of a program's own file are found in it, whether it is run as a script or by its name."""
    module = str(getattr(unwrap(spec.body), "__module__", ""))
    where = row.target.rpartition(":")[0]
    return {"__main__": module, f"{FILE_MODULE}{Path(where).stem}": module}


def _known(recording: Recording, steps: Collection[str]) -> frozenset[StepId]:
    for step in steps:
        if step not in recording.steps:
            some = ", ".join(list(recording.steps)[-8:]) or "none"
            raise UsageError(f"run {recording.run.id} has no step {step!r}; its last ones are: {some}")
    return frozenset(map(StepId, steps))


def _to_make_again(recording: Recording) -> set[StepId]:
    """Steps whose result could not be stored. Raises ``JournalError`` for a tool: it may have had effects."""
    found = {step.step: step for step in recording.steps.values() if step.end is not None and "unstorable" in step.end}
    for step in found.values():
        if step.kind == "tool":
            assert step.end is not None, "chosen by it"
            raise JournalError(
                f"run {recording.run.id} cannot go on: tool {step.step!r} has run, but its result was "
                f"{step.end['unstorable']}, which a journal cannot hold; let it return data, then "
                f"agentrt runs fork {recording.run.id} --from {step.step}"
            )
    return set(found) | {above for step in found for above in ancestors(step) if above in recording.steps}


def _without(recording: Recording, step: StepId) -> list[Entry]:
    """The entries that do not depend on a step: of neither it, nor what came of it."""
    _known(recording, [step])
    called = recording.steps[step].called.seq
    gone = _came_of(recording, step, recording.edits.touched_since(called))
    reopened = {*ancestors(step), *recording.failed_for_good}
    delivered = {(entry.kind, entry.seq) for _, entry in recording.handed}
    kept, handed = [], [0]  # after so many deliveries of the old run, so many of the new one
    for entry in recording.entries:
        stays = (
            entry.kind != "over"
            and entry.step not in gone
            and not (entry.step in reopened and entry.kind in ("ended", "retried") and entry.seq > called)
            and not (entry.kind == "edited" and entry.seq > called)
        )
        if stays:
            kept.append(entry._replace(seen=handed[min(entry.seen, len(handed) - 1)]))
        if (entry.kind, entry.seq) in delivered:
            handed.append(handed[-1] + stays)
    return kept


def _came_of(recording: Recording, step: StepId, touched: Collection[StepId]) -> set[StepId]:
    """The step and everything after it: by data, by what the program had awaited, or inside one of these.

    The same of the steps ``touched`` by edits that the fork does not have.
    """
    gone = {step, *touched}
    above = set(ancestors(step))
    called = recording.steps[step].called.seq
    again: dict[str, int] = {}  # where those around it were begun anew after it
    for entry in recording.entries:
        if entry.kind == "retried" and entry.step in above and entry.seq > called:
            again.setdefault(entry.step, entry.seq)
    known = 0
    while known < len(gone):  # once is enough, unless an edit has a step depend on one that was called after it
        known = len(gone)
        joins: set[StepId] = set()
        for name, one in recording.steps.items():
            inputs, after = recording.edges(one)
            before = {*inputs, *after}
            for join, gathered in recording.new_joins(before, joins):
                if not gone.isdisjoint(gathered) or not above.isdisjoint(gathered):
                    gone.add(join)
            inside = any(two in gone or one.called.seq > again.get(two, one.called.seq) for two in ancestors(name))
            if inside or not gone.isdisjoint(before) or not above.isdisjoint(before):
                gone.add(name)
    return gone
