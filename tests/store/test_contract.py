"""What every journal keeps to, whatever database it is in."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import text

from agentrt.errors import JournalError, NoSuchRun, RunTaken
from agentrt.store import Entry, Journal, archive
from agentrt.store.rows import OwnerRow, RunChange
from agentrt.types import RunId, StepId
from tests.store.stored import A, B, C, Told, begun, elsewhere, entries, entry, numbers, on_disk, row, rows

NOT_TEXT = "half a character: \ud800"


# -- writing ---------------------------------------------------------------------------------------------------------


async def test_entries_come_back_as_they_were_put(journal: Journal) -> None:
    """An entry read is the entry written, in every field, and in order."""
    await begun(journal, A)
    put = [
        Entry(A, 1, 7, 0.1, "called", StepId("outer#1/inner ä#2"), 3, '{"args":[1,"\\u0000"]}'),
        Entry(A, 2, 2**40, 1e9 + 1 / 3, "ended", StepId(""), 2**31 - 1, ""),
    ]
    for one in put:
        journal.writer().put(one)
    await journal.writer().flush()
    assert await entries(journal, A) == put


async def test_what_is_handed_on_is_on_disk(journal: Journal, url: str) -> None:
    """When ``then`` is called, another process finds the entry."""
    (told,) = await begun(journal, A)
    found: list[dict[RunId, list[int]]] = []
    for seq in (1, 2, 3):
        told.writer.put_then(entry(A, seq), lambda: found.append(elsewhere(on_disk(url, [A]))))
        await told.writer.flush()
    assert found == [{A: [1]}, {A: [1, 2]}, {A: [1, 2, 3]}]


async def test_what_is_put_in_one_turn_is_one_group(journal: Journal) -> None:
    """Entries of one turn of the loop carry one number of a group, and are handed on in one turn, in order."""
    first, second = await begun(journal, A, B)
    turns: list[int] = []
    turn = 0

    async def count_turns() -> None:
        nonlocal turn
        while len(turns) < 4:
            turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    groups = {first.writer.batch}
    for seq in (1, 2):
        for told in (first, second):
            told.put(seq)
            told.writer.put_then(entry(told.run, seq + 10), lambda: turns.append(turn))
            groups.add(told.writer.batch)
    await counting
    await first.writer.flush()
    assert len(groups) == 1
    assert len(set(turns)) == 1
    assert first.landed == second.landed == [1, 2]
    assert first.writer.batch not in groups


async def test_an_entry_alone_is_committed_without_delay(file: Journal) -> None:
    """In a file that nobody else writes, an entry is on disk when ``put_then`` returns, if nothing else goes on."""
    (told,) = await begun(file, A)
    at_once: set[bool] = set()

    def alone(seq: int) -> None:
        told.put(seq)
        at_once.add(seq in told.landed)

    for seq in range(1, 21):  # now and then the journal itself gives a sign of life
        asyncio.get_running_loop().call_later(0.005, alone, seq)
        await asyncio.sleep(0.02)
    assert True in at_once


async def test_what_nobody_waits_for_is_written_all_the_same(journal: Journal, url: str) -> None:
    """An entry without ``then`` is on disk after a moment, with nothing further done."""
    (told,) = await begun(journal, A)
    told.writer.put(entry(A, 1))
    async with asyncio.timeout(10):
        while await numbers(journal, A) != [1]:
            await asyncio.sleep(0.005)


async def test_what_is_put_while_a_commit_is_under_way_comes_after_it(journal: Journal) -> None:
    """Entries put from inside ``then`` are a later group, and none is forgotten."""
    (told,) = await begun(journal, A)
    groups: list[int] = []

    def again(seq: int) -> None:
        groups.append(told.writer.batch)
        if seq < 20:
            told.writer.put_then(entry(A, seq + 1), lambda: again(seq + 1))

    again(0)
    await asyncio.sleep(0)
    while len(groups) <= 20:
        await told.writer.flush()
    assert await numbers(journal, A) == list(range(1, 21))
    assert groups == sorted(set(groups))


async def test_large_texts_are_kept_once_for_each_run(journal: Journal) -> None:
    """A body that is kept twice is there once; another run has its own."""
    await begun(journal, A, B)
    writer = journal.writer()
    for seq in (1, 2):
        writer.keep(A, "h", "x" * 3_000_000)
        writer.put(entry(A, seq))
        await writer.flush()
    writer.keep(B, "h", "y")
    writer.put(entry(B, 1))
    await writer.flush()
    async with journal.connect() as connection:
        assert await archive.bodies_of(connection, A) == {"h": "x" * 3_000_000}
        assert await archive.bodies_of(connection, B) == {"h": "y"}


async def test_a_change_of_a_run_comes_with_the_entries_beside_it(journal: Journal) -> None:
    """How a run stands is updated in the group of the entry that says so."""
    (told,) = await begun(journal, A)
    told.writer.changed(RunChange("failed", 2.5, "it broke", None, A))
    told.put(1)
    await told.writer.flush()
    assert await rows(journal) == {A: row(A, status="failed", seconds=2.5, error="it broke")}


async def test_flushing_nothing_is_no_matter(journal: Journal) -> None:
    """``flush`` returns when nothing was put, and again."""
    await journal.writer().flush()
    await journal.writer().flush()


# -- one owner -------------------------------------------------------------------------------------------------------


async def test_whoever_writes_a_number_second_is_refused(journal: Journal, url: str) -> None:
    """A run that another process has gone on with is lost to the first, whole groups of it; others go on."""
    lost, kept = await begun(journal, A, B)
    lost.put(1)
    await lost.writer.flush()
    elsewhere(_write(url, entry(A, 2, "resumed")))
    lost.put(2, 3)
    kept.put(1, 2)
    lost.writer.changed(RunChange("done", 1.0, None, None, A))
    await kept.writer.flush()
    assert isinstance(lost.lost, RunTaken)
    assert (lost.landed, kept.landed, kept.lost) == ([1], [1, 2], None)
    assert [(one.seq, one.kind) for one in await entries(journal, A)] == [(1, "called"), (2, "resumed")]
    assert await numbers(journal, B) == [1, 2]
    assert (await rows(journal))[A].status == "running"


async def test_nothing_further_of_a_lost_run_is_written(journal: Journal, url: str) -> None:
    """What a lost run puts before and after it is told is not written: there would be a gap in another's numbers."""
    lost, kept = await begun(journal, A, B)
    elsewhere(_write(url, entry(A, 1, "resumed")))
    lost.put(1)
    await asyncio.sleep(0)  # its commit is under way, or refused
    lost.put(2)
    await kept.writer.flush()
    lost.put(3)
    kept.put(1)
    await kept.writer.flush()
    assert isinstance(lost.lost, RunTaken)
    assert lost.landed == []
    assert await numbers(journal, A) == [1]
    assert kept.landed == [1]


async def test_a_run_that_has_written_nothing_yet_is_not_forgotten_over_a_lost_one(journal: Journal, url: str) -> None:
    """The beginning of one run is kept when another's entry in the same group is refused."""
    (lost,) = await begun(journal, A)
    elsewhere(_write(url, entry(A, 1, "resumed")))
    lost.put(1)
    journal.writer().started(row(B))
    journal.writer().keep(C, "h", "of a run that says nothing else")
    await journal.writer().flush()
    assert set(await rows(journal)) == {A, B}


async def test_a_run_that_was_lost_can_be_gone_on_with(journal: Journal, url: str) -> None:
    """The process that lost a run may take it again later, and write it."""
    (lost,) = await begun(journal, A)
    elsewhere(_write(url, entry(A, 1, "resumed")))
    lost.put(1)
    await lost.writer.flush()
    again = Told(journal, A)
    again.put(2)
    await again.writer.flush()
    assert again.landed == [2]
    assert await numbers(journal, A) == [1, 2]


async def test_text_that_a_database_does_not_take_costs_its_run_alone(journal: Journal) -> None:
    """An entry that cannot be stored loses its run, with a message that says so; the others go on."""
    lost, kept = await begun(journal, A, B)
    lost.writer.put(entry(A, 1, step=NOT_TEXT))
    lost.put(2)
    kept.put(1)
    await kept.writer.flush()
    assert isinstance(lost.lost, JournalError)
    assert "run aaa cannot go on" in str(lost.lost)
    assert (lost.landed, kept.landed, kept.lost) == ([], [1], None)
    assert await numbers(journal, A) == []


async def test_errors_and_names_of_files_may_be_no_text(journal: Journal) -> None:
    """NUL and halves of characters in a run's error and target are written out, and the run goes on."""
    (told,) = await begun(journal, A)
    told.writer.started(row(B, target=f"/tmp/{NOT_TEXT}\0.py:main", program="a\0b"))
    told.writer.changed(RunChange("failed", 1.0, f"\0 {NOT_TEXT} ä", None, A))
    told.put(1)
    await told.writer.flush()
    found = await rows(journal)
    assert told.landed == [1]
    assert found[A].error == "\\x00 half a character: \\ud800 ä"
    assert found[B].target == "/tmp/half a character: \\ud800\\x00.py:main"


async def test_a_run_is_claimed_by_one_process_only(journal: Journal, url: str) -> None:
    """A run that a living process has is not given to another, nor is one that it has just released taken twice."""
    await begun(journal, A)
    async with Journal(url) as other:
        with pytest.raises(RunTaken, match=f"run aaa is being run by process {journal.me.pid} on "):
            await other.claim((await rows(other))[A])
        await journal.release(A)
        seen = (await rows(other))[A]
        async with journal.connect(write=True) as connection:
            await archive.claim(connection, seen, journal.me)
        with pytest.raises(RunTaken, match=r"another process just now|is being run by process"):
            await other.claim(seen)


async def test_the_run_of_a_dead_process_is_claimed(journal: Journal) -> None:
    """A run whose owner is gone, or was never entered, goes to who asks; from then on it has it."""
    dead = OwnerRow("dead", journal.me.host, 2**22 + 1, 5.0, time.time())
    journal.writer().started(row(A, owner="dead"))
    journal.writer().started(row(B, owner="unheard of"))
    await journal.writer().flush()
    async with journal.connect(write=True) as connection:
        await archive.beat(connection, dead)
    for run in (A, B):
        await journal.claim((await rows(journal))[run])
        assert (await rows(journal))[run].owner == journal.me.id
        async with journal.connect() as connection:
            owner = await archive.owner_of(connection, (await rows(journal))[run])
        assert owner is not None
        assert owner.id == journal.me.id


async def test_a_process_may_enter_itself_twice_at_once(journal: Journal) -> None:
    """Signs of life that are given in one moment, as by a claim and by a commit, are not in each other's way."""
    new = OwnerRow("new", journal.me.host, 1, 5.0, 0.0)

    async def enter() -> None:
        async with journal.connect(write=True) as connection:
            await archive.beat(connection, new)

    async with journal.connect(write=True) as connection:
        await archive.beat(connection, new)
        second = asyncio.create_task(enter())
        await asyncio.wait({second}, timeout=0.3)  # until it waits for this transaction
    await second
    async with journal.connect() as connection:
        found = await connection.execute(text("SELECT count(*) FROM agentrt_owners WHERE id = 'new'"))
        assert found.scalar_one() == 1


async def test_who_claims_a_run_is_known_to_live_at_once(journal: Journal, url: str) -> None:
    """Between a claim and the next sign of life nobody takes the run for a dead process's."""
    await begun(journal, A)
    await journal.release(A)
    other = Journal(url)
    await rows(other)
    async with other.connect(write=True) as connection:
        await archive.claim(connection, await archive.find_run(connection, A), other.me)
    async with journal.connect() as connection:
        query = text("SELECT owner FROM agentrt_runs WHERE owner IN (SELECT id FROM agentrt_owners)")
        assert (await connection.execute(query)).scalars().all() == [other.me.id]
    await other.close()


async def test_a_process_does_not_run_a_run_twice(journal: Journal) -> None:
    """A run that this process is running, or about to, is not claimed by it again; after it was left, it is."""
    await begun(journal, A)
    with pytest.raises(RunTaken, match="by this very process"):
        await journal.claim((await rows(journal))[A])
    journal.writer().leave(A)
    await journal.claim((await rows(journal))[A])
    with pytest.raises(RunTaken, match="by this very process"):
        await journal.claim((await rows(journal))[A])


async def test_a_run_is_never_without_its_owner(journal: Journal, url: str) -> None:
    """As soon as a run is in the journal, so is the process that has it: nobody takes it for a dead one's."""
    journal.writer().started(row(A, owner=journal.me.id))
    found: list[OwnerRow | None] = []

    async def look() -> None:
        async with Journal(url) as other, other.connect() as connection:
            found.append(await archive.owner_of(connection, await archive.find_run(connection, A)))

    journal.writer().put_then(entry(A, 1), lambda: elsewhere(look()))
    await journal.writer().flush()
    assert [owner and owner.id for owner in found] == [journal.me.id]


async def test_a_process_that_ends_well_is_forgotten(url: str) -> None:
    """A closed journal leaves no owner behind."""
    async with Journal(url) as journal:
        await begun(journal, A)
    async with Journal(url) as other, other.connect() as connection:
        assert (await connection.execute(text("SELECT id FROM agentrt_owners"))).all() == []


async def test_a_release_that_fails_is_made_up_for(journal: Journal) -> None:
    """A run released while the journal cannot be written is nobody's as soon as it can be."""
    await begun(journal, A)
    async with journal.connect(write=True) as connection:
        await connection.execute(text("ALTER TABLE agentrt_runs RENAME TO hidden"))
    await journal.release(A)
    async with journal.connect(write=True) as connection:
        await connection.execute(text("ALTER TABLE hidden RENAME TO agentrt_runs"))
    assert (await rows(journal))[A].owner == journal.me.id
    await journal.release(B)  # as the next sign of life does
    assert (await rows(journal))[A].owner is None


# -- what else is asked ----------------------------------------------------------------------------------------------


async def test_runs_are_found_by_their_beginning(journal: Journal) -> None:
    """A run is found by its id, by a beginning that only it has, and as ``last``."""
    for wall, run in enumerate(("run%1", "run%12", "ruN_2")):
        journal.writer().started(row(RunId(run), float(wall)))
    await journal.writer().flush()
    async with journal.connect() as connection:
        for name, found in (("run%1", "run%1"), ("run%12", "run%12"), ("ruN", "ruN_2"), ("last", "ruN_2")):
            assert (await archive.find_run(connection, name)).id == found
        for name in ("run_", "RUN", "un", "x"):
            with pytest.raises(NoSuchRun, match=f"holds no run '{name}'"):
                await archive.find_run(connection, name)
        with pytest.raises(NoSuchRun, match="several runs begin with 'ru': ruN_2, run%12, run%1; give more"):
            await archive.find_run(connection, "ru")


async def test_the_whole_id_is_enough_among_many_that_begin_with_it(journal: Journal) -> None:
    """However many newer runs begin with a run's id, the id finds it; a message names some of many."""
    for number in range(12):
        journal.writer().started(row(RunId("r" + "x" * number), float(number)))
    await journal.writer().flush()
    async with journal.connect() as connection:
        assert (await archive.find_run(connection, "r")).id == "r"
        with pytest.raises(NoSuchRun, match=r"rxxxxxxxxxxx, .*, \.\.\.; give more"):
            await archive.find_run(connection, "")


async def test_there_is_no_last_of_none(journal: Journal) -> None:
    """An empty journal has no last run, and says so."""
    async with journal.connect() as connection:
        with pytest.raises(NoSuchRun, match="agentrt runs list"):
            await archive.find_run(connection, "last")


async def test_runs_are_listed_newest_first(journal: Journal) -> None:
    """Lists are by time, may be cut, and chosen by status."""
    for wall, run in enumerate((A, B, C)):
        journal.writer().started(row(run, float(wall), status="failed" if run == B else "running"))
    await journal.writer().flush()
    async with journal.connect() as connection:
        assert [one.id for one in await archive.list_runs(connection)] == [C, B, A]
        assert [one.id for one in await archive.list_runs(connection, limit=2)] == [C, B]
        assert [one.id for one in await archive.list_runs(connection, status="failed")] == [B]


async def test_entries_are_read_from_a_number_on(journal: Journal) -> None:
    """Who follows a run reads what is new."""
    (told,) = await begun(journal, A)
    told.put(1, 2, 3)
    await told.writer.flush()
    async with journal.connect() as connection:
        assert [one.seq for one in await archive.entries_of(connection, A, after=1)] == [2, 3]
        assert await archive.last_seq(connection, A) == 3
        assert await archive.last_seq(connection, B) == 0


async def test_entries_are_counted_by_kind(journal: Journal) -> None:
    """Counts are by run and kind, of more runs than a query may name."""
    await begun(journal, A, B)
    for seq, kind in enumerate(("called", "called", "ended"), start=1):
        journal.writer().put(entry(A, seq, kind))  # type: ignore[arg-type]
    await journal.writer().flush()
    many = [RunId(f"none{number}") for number in range(40_000)]
    async with journal.connect() as connection:
        found = await archive.counts(connection, [A, B, *many])
    assert (found[A], found[B], len(found)) == ({"called": 2, "ended": 1}, {}, 40_002)


async def test_letters_wait_until_they_are_discarded(journal: Journal) -> None:
    """Letters are read by run, in the order in which they were posted, and a number is never given twice."""
    async with journal.connect(write=True) as connection:
        for number, run in enumerate((A, B, A)):
            await archive.post(connection, run, "cancel", StepId("s#1"), f'"{number}\0"', float(number))
    async with journal.connect(write=True) as connection:
        first, second = await archive.letters(connection, [A, C])
        assert [(one.run, one.kind, one.step, one.data, one.wall) for one in (first, second)] == [
            (A, "cancel", "s#1", '"0\\x00"', 0.0),
            (A, "cancel", "s#1", '"2\\x00"', 2.0),
        ]
        await archive.discard(connection, second)
        await archive.post(connection, A, "answer", StepId(""), "", 3.0)
    async with journal.connect() as connection:
        left = await archive.letters(connection, [A])
        assert [one.data for one in left] == ['"0\\x00"', ""]
        assert left[1].id > second.id


async def test_a_copy_of_a_run_stands_by_itself(journal: Journal) -> None:
    """A copy has the entries it is given, numbered from 1, and all large texts; it stays when its origin goes."""
    (told,) = await begun(journal, A)
    for seq in (1, 2, 3):
        journal.writer().keep(A, f"h{seq}", str(seq))
        told.put(seq)
    await told.writer.flush()
    async with journal.connect(write=True) as connection:
        source = await archive.find_run(connection, A)
        kept = [one for one in await archive.entries_of(connection, A) if one.seq != 2]
        await archive.copy_run(connection, source, row(B, origin=A), kept)
        await archive.copy_run(connection, source, row(C, origin=A), [])
    async with journal.connect(write=True) as connection:
        await archive.delete_runs(connection, [A])
    assert await rows(journal) == {B: row(B, origin=A), C: row(C, origin=A)}
    assert await entries(journal, B) == [
        entry(A, 1)._replace(run=B),
        entry(A, 3)._replace(run=B, seq=2),
    ]
    async with journal.connect() as connection:
        assert await archive.bodies_of(connection, B) == {"h1": "1", "h2": "2", "h3": "3"}


async def test_runs_are_deleted_whole(journal: Journal) -> None:
    """Of deleted runs nothing is left in any table, of others everything."""
    for told in await begun(journal, A, B):
        journal.writer().keep(told.run, "h", "text")
        told.put(1)
    await journal.writer().flush()
    async with journal.connect(write=True) as connection:
        for run in (A, B):
            await archive.post(connection, run, "cancel", StepId(""), "", 1.0)
    async with journal.connect(write=True) as connection:
        await archive.delete_runs(connection, [A, *(RunId(f"none{number}") for number in range(1_200))])
    async with journal.connect() as connection:
        for table in ("runs", "entries", "bodies", "mail"):
            column = "id" if table == "runs" else "run"
            found = await connection.execute(text(f"SELECT {column} FROM agentrt_{table}"))
            assert found.scalars().all() == [B]


# -- the connection --------------------------------------------------------------------------------------------------


async def test_what_fails_is_taken_back(journal: Journal) -> None:
    """A transaction that ends in an error leaves nothing, and the error is told as it was."""
    await begun(journal)

    async def fail() -> None:
        async with journal.connect(write=True) as connection:
            await archive.post(connection, A, "cancel", StepId(""), "", 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with journal.connect() as connection:
        assert await archive.letters(connection, [A]) == []


async def test_what_is_cancelled_holds_nothing(journal: Journal) -> None:
    """Cancelled at whatever moment, a transaction is taken back, and neither locks nor connections are left."""
    await begun(journal)

    async def post(number: int) -> None:
        async with journal.connect(write=True) as connection:
            await archive.post(connection, A, "cancel", StepId(""), str(number), 1.0)

    for number in range(0, 60, 3):
        posting = asyncio.create_task(post(number))
        for _ in range(number):
            await asyncio.sleep(0.0001)
        posting.cancel()
        await asyncio.wait({posting})
    async with asyncio.timeout(10):
        await post(60)
        async with journal.connect() as connection:
            found = [int(one.data) for one in await archive.letters(connection, [A])]
    assert found == sorted(set(found))
    assert found[-1] == 60


async def test_a_mistake_in_the_database_is_told_in_one_line(journal: Journal) -> None:
    """An error of the database names the journal and is no traceback of a driver."""
    with pytest.raises(JournalError, match=r"^the journal .* cannot be used: .*nowhere") as error:
        async with journal.connect() as connection:
            await connection.execute(text("SELECT * FROM nowhere"))
    assert "\n" not in str(error.value)


async def test_a_journal_is_used_in_the_loop_it_was_opened_in(journal: Journal) -> None:
    """Another loop is told, not given a writer that would never commit."""
    await begun(journal, A)

    async def other() -> None:
        with pytest.raises(JournalError, match="open in another event loop"):
            journal.writer()

    elsewhere(other())


async def test_a_closed_journal_can_be_opened_again(journal: Journal) -> None:
    """Closing is no end: the next use opens it again, and what was written is there."""
    (told,) = await begun(journal, A)
    told.put(1)
    await journal.close()
    assert told.landed == [1]
    assert await numbers(journal, A) == [1]
    (again,) = await begun(journal, B)
    again.put(1)
    await journal.close()
    assert again.landed == [1]


async def _write(url: str, *rows: Entry) -> None:
    async with Journal(url) as other:
        for one in rows:
            other.writer().put(one)
