"""Recordings: a run as lines of JSON, and the very same rows read back."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from agentrt.errors import JournalError
from agentrt.store import Entry, Journal, archive, schema
from agentrt.store.codec import compact, digest, encode
from agentrt.store.exports import lines_of
from agentrt.store.recordings import is_recording, load, opened
from agentrt.store.rows import EntryKind, NoteRow
from agentrt.types import RunId, StepId
from tests.store.stored import A, B, row

LONG: Final = "otters swim \u2028 \udcff\0 " * 30
RUN: Final = row(A, inputs=encode([["otters", (1, 2)], {}]), status="done", seconds=2.5, origin="zzz at s#1")
LINK: Final = compact({"on": None, "more": [{"role": "user", "content": LONG}]})
VALUE: Final = encode({"said": LONG})
TOOLS: Final = compact([{"name": "note", "description": "Notes."}])
ARGS: Final = compact([[LONG], {}])
EDGES: Final = compact(["a#1", "b#1"])
ONLY_KEPT: Final = '"what a fork has of a step that it has not"'
SENT: Final = {"model": "m", "agent": "w", "messages": digest(LINK), "count": 1, "tools": digest(TOOLS)}

ENTRIES: Final[list[tuple[EntryKind, str, str]]] = [
    ("called", "a#1", "{}"),
    ("called", "b#1", f'{{"kind":"tool","in":["a#1"],"argsbody":"{digest(ARGS)}"}}'),
    ("called", "c#1", f'{{"kind":"llm","inbody":"{digest(EDGES)}","args":[[1e400],{{}}]}}'),
    ("begun", "b#1", ""),
    ("begun", "b#1", '{"attempt":2}'),
    ("ended", "a#1", '{"status":"done","value":null,"usage":[3,1,2],"began":0.500000}'),
    ("ended", "b#1", f'{{"status":"done","body":"{digest(VALUE)}","began":0.000012}}'),
    ("sent", "c#1", compact(SENT)),
    ("sent", "c#1", '{"model":"m","agent":"","messages":null,"count":0}'),
    ("text", "c#1", json.dumps(LONG)),
    ("retried", "c#1", json.dumps({"error": "ValueError: \x1b[31m", "delay": 0.25})),
    ("resumed", "", json.dumps({"wall": 3.0, "owner": "me", "again": ["c#1"]})),
    ("over", "", '{"status":"done","value":7}'),
]
"""Every way in which a journal keeps a text apart, or in its place, and JSON that is written in other ways."""

NOTES: Final = [
    NoteRow(A, 0.25, "phase", StepId("c#1"), '"prefill"'),
    NoteRow(A, 0.5, "text", StepId("c#1"), '"Otters \u00fc \\u001b"'),
    NoteRow(A, 0.5, "kv", StepId(""), '{"model":"m", "state": {"a": 1.50}}'),
]

Damage = Callable[[list[str]], object]


@pytest.fixture
async def full(file: Journal) -> Journal:
    """A journal with a run that has everything."""
    told = [Entry(A, seq, 1, seq / 7, kind, StepId(step), 0, data) for seq, (kind, step, data) in enumerate(ENTRIES, 1)]
    bodies = [{"run": A, "hash": digest(text), "text": text} for text in (LINK, VALUE, TOOLS, ARGS, EDGES, ONLY_KEPT)]
    async with file.connect(write=True) as connection:
        await connection.execute(schema.runs.insert(), RUN._asdict())
        await connection.execute(schema.entries.insert(), [one._asdict() for one in told])
        await connection.execute(schema.bodies.insert(), bodies)
        await connection.execute(schema.notes.insert(), [note._asdict() for note in NOTES])
    return file


async def export(journal: Journal, run: RunId = A) -> str:
    """The recording of a run, as it is written into a file."""
    async with journal.connect() as connection:
        found = await archive.find_run(connection, run)
        return "".join([json.dumps(line) + "\n" async for line in lines_of(connection, found)])


async def tables(journal: Journal) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a journal, without the numbers that it gave itself."""
    found = {}
    async with journal.connect() as connection:
        for table in (schema.runs, schema.entries, schema.bodies, schema.notes):
            columns = [column for column in table.c if column is not schema.notes.c.id]
            rows = await connection.execute(table.select().with_only_columns(*columns))
            found[table.name] = sorted((tuple(one) for one in rows), key=str)
    return found


async def test_the_very_same_rows_come_back(full: Journal, tmp_path: Path) -> None:
    """Exported and opened again, a run has every row as it was, and is exported as the same bytes."""
    recording = tmp_path / "run.jsonl"
    recording.write_text(await export(full))
    async with opened(recording) as (again, run):
        assert run == A
        assert await tables(again) == await tables(full)
        assert await export(again) == recording.read_text()


async def test_lines_are_what_people_and_scripts_read(full: Journal) -> None:
    """The run first, then the entries with large texts in their places, then notes, told apart by their kind."""
    head, *lines = [json.loads(line) for line in (await export(full)).splitlines()]
    assert head["run"]["inputs"] == [["otters", {"$": "tuple", "v": [1, 2]}], {}]
    assert head["recording"] == {"version": 2, "entries": len(ENTRIES), "notes": 3, "texts": 1}
    kinds = [line["kind"] for line in lines]
    assert kinds == [one[0] for one in ENTRIES] + ["note:phase", "note:text", "note:kv", "kept"]
    assert lines[1]["data"] == {"kind": "tool", "in": ["a#1"], "args": [[LONG], {}]}
    assert lines[7]["data"]["messages"]["more"][0]["content"] == LONG
    assert lines[14]["data"] == "Otters \u00fc \x1b"


async def test_text_is_told_twice_only_where_it_must_be(full: Journal) -> None:
    """An entry's own text stands beside what is told of it only if it would not come back otherwise."""
    lines = [json.loads(line) for line in (await export(full)).splitlines()]
    assert [line["kind"] for line in lines[1:] if "raw" in line] == ["called", "retried", "resumed", "note:kv"]


async def test_a_run_of_which_nothing_is_written_yet(file: Journal, tmp_path: Path) -> None:
    """A run that has just begun is one line, and a journal again."""
    async with file.connect(write=True) as connection:
        await connection.execute(schema.runs.insert(), row(A, inputs="")._asdict())
    recording = tmp_path / "run.jsonl"
    recording.write_text(await export(file))
    async with opened(recording) as (again, _):
        assert await tables(again) == await tables(file)


async def test_what_comes_while_it_is_written_is_left_out(full: Journal, tmp_path: Path) -> None:
    """A recording of a run that goes on ends where it was begun to be written, and can be read."""
    recording = tmp_path / "run.jsonl"
    async with full.connect() as connection:
        lines = lines_of(connection, RUN)
        text = json.dumps(await anext(lines)) + "\n"
        later = Entry(A, len(ENTRIES) + 1, 1, 9.0, "called", StepId("late#1"), 0, "{}")
        await connection.execute(schema.entries.insert(), later._asdict())
        text += "".join([json.dumps(line) + "\n" async for line in lines])
        await connection.rollback()
    recording.write_text(text)
    assert "late#1" not in text
    async with opened(recording) as (again, _):
        assert await tables(again) == await tables(full)


def put(number: int, text: str) -> Damage:
    """Another line in the place of one, 1 first."""
    return lambda lines: lines.__setitem__(number - 1, text)


def change(number: int, **fields: object) -> Damage:
    """A line with other fields."""
    return lambda lines: lines.__setitem__(number - 1, json.dumps(json.loads(lines[number - 1]) | fields))


LAST: Final = 1 + len(ENTRIES) + len(NOTES) + 1


@pytest.mark.parametrize(
    ("damage", "line", "said"),
    [
        (lambda lines: lines.clear(), 1, 'expected {"run": ..., "recording": ...}'),
        (put(1, "name,age"), 1, "expected one JSON object"),
        (put(1, "[1, 2]"), 1, "expected one JSON object, found [1, 2]"),
        (put(1, '{"run": {}, "entries": []}'), 1, "agentrt export RUN --format jsonl"),
        (change(1, recording={"version": 3}), 1, "expected version 1 to 2 of a recording, found 3"),
        (change(1, run={"id": "aaa"}), 1, "expected 'program' to be a text, found nothing"),
        (change(1, recording={"version": 2, "entries": -1}), 1, "how many lines follow, found -1"),
        (lambda lines: lines.pop(5), LAST - 1, "expected 1 more entries, found the end"),
        (put(4, "[" * 100_000), 4, "expected one JSON object"),
        (put(4, '{"run": "aaa"}'), 4, "expected an entry"),
        (change(4, kind="rm -rf"), 4, "expected 'kind' to be one of called, begun"),
        (change(4, run="bbb"), 4, "expected a line of run 'aaa', found one of \"bbb\""),
        (change(4, seq=1), 4, "expected an entry with a number above 2, found 1"),
        (change(4, seq=2**70), 4, "expected 'seq' to be a whole number"),
        (change(4, at=True), 4, "expected 'at' to be a number, found true"),
        (change(4, raw={"data": 3}), 4, 'expected "raw" to have'),
        (change(9, data={"messages": {"id": "x", "on": None, "more": []}}), 9, "expected an entry"),
        (lambda lines: lines.append(lines[4]), LAST + 1, "expected no more entries than the first line says"),
        (lambda lines: lines.__delitem__(slice(-1, None)), LAST - 1, "expected 1 more texts, found the end"),
        (change(LAST, text=None), LAST, "expected a text, found nothing"),
        (change(LAST - 1, step=["a"]), LAST - 1, "expected 'step' to be a text"),
        (change(4, step="\udcff"), LAST, "it cannot be kept"),
    ],
)
async def test_a_damaged_file_is_told_by_its_line(
    full: Journal, tmp_path: Path, damage: Damage, line: int, said: str
) -> None:
    """What is no recording, or is none any more, says at which line, what was expected there, and what was found."""
    recording = tmp_path / "run.jsonl"
    lines = (await export(full)).splitlines()
    damage(lines)
    recording.write_text("".join(f"{one}\n" for one in lines))
    with pytest.raises(JournalError) as raised:
        async with opened(recording):
            pass
    assert str(recording) in str(raised.value)
    assert f"line {line}" in str(raised.value)
    assert said in str(raised.value)


async def test_every_cut_is_noticed(full: Journal, tmp_path: Path) -> None:
    """A file that was cut off anywhere, also between two lines, is not taken for a whole one."""
    text = (await export(full)).encode()
    recording = tmp_path / "run.jsonl"
    cuts = [index for index, byte in enumerate(text) if byte == 10][:-1]
    for end in (*cuts, *(cut + 1 for cut in cuts), *range(0, len(text) - 2, 997)):
        recording.write_bytes(text[:end])
        with pytest.raises(JournalError, match=r"line \d+"):
            await load(recording, tmp_path / f"{end}.db")


async def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The line names the file, and how one is made."""
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(JournalError, match=r"cannot be read: .*; `agentrt export RUN --format jsonl` makes one"):
            await load(path, tmp_path / "runs.db")


async def test_nothing_stays_behind(full: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal that a recording is opened in is gone afterwards, also when it could not be read."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    recording = tmp_path / "run.jsonl"
    recording.write_text(await export(full))
    async with opened(recording) as (journal, _):
        assert journal.file is not None
        assert journal.file.exists()
    recording.write_text("nonsense\n")
    with pytest.raises(JournalError):
        async with opened(recording):
            pass
    assert list((tmp_path / "temporary").iterdir()) == []


async def test_memory_does_not_grow_with_the_run(file: Journal, tmp_path: Path) -> None:
    """A run three times as long is written and read back in the same memory."""
    peaks = []
    for run, size in ((A, 5_000), (B, 15_000)):
        body = compact("x" * 100)
        rows = [Entry(run, seq, 1, 0.0, "text", StepId("s#1"), 0, body)._asdict() for seq in range(1, size + 1)]
        async with file.connect(write=True) as connection:
            await connection.execute(schema.runs.insert(), row(run)._asdict())
            await connection.execute(schema.entries.insert(), rows)
        del rows
        recording = tmp_path / f"{run}.jsonl"
        tracemalloc.start()
        async with file.connect() as connection:
            with recording.open("w") as stream:
                async for line in lines_of(connection, row(run)):
                    stream.write(json.dumps(line) + "\n")
        await load(recording, tmp_path / f"{run}.db")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_recording_is_told_from_a_run_s_id() -> None:
    """A name with the ending or a folder is a file; an id, its beginning and `last` are not."""
    assert [is_recording(name) for name in ("run.jsonl", "./run", "last", "20261120-1015")] == [
        True,
        True,
        False,
        False,
    ]
