"""What every store of answers keeps to, whatever database it is in."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from sqlalchemy import text

from agentrt.errors import JournalError, NoSuchAnswer
from agentrt.semcache.base import Answer, AnswerStore, Shelf
from agentrt.semcache.memory import MemoryStore
from agentrt.store import Journal, answers
from agentrt.store.answers import Answers
from agentrt.types import ModelReply
from tests.store.answered import GROUP, OTHER, SHELF, answer, everything, judged
from tests.store.conftest import KINDS, url_of


@pytest.fixture
def store(journal: Journal) -> Answers:
    """A new store of each kind in turn."""
    return Answers(journal)


@pytest.fixture(params=[*KINDS, "memory"])
async def every(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnswerStore]:
    """A new store of each kind in turn, also one that keeps nothing beyond its process."""
    if request.param == "memory":
        yield MemoryStore()
        return
    async with Journal(url_of(request, tmp_path)) as journal:
        yield Answers(journal)


async def kept(store: AnswerStore, after: int = 0) -> list[Answer]:
    """All answers of a store, of whose replies only the model counts."""
    found = list(chain.from_iterable([page async for page in store.answers(after=after)]))
    assert {one.reply.text for one in found} <= {""}
    return [light(one) for one in found]


async def ids(store: AnswerStore) -> list[int]:
    """Their ids."""
    return [one.id for one in await kept(store)]


def light(one: Answer) -> Answer:
    """An answer as it is listed: with nothing of its reply but the model."""
    return replace(one, reply=ModelReply("", model=one.reply.model))


# -- answers ---------------------------------------------------------------------------------------------------------


async def test_answers_come_back_as_they_were_put(every: AnswerStore) -> None:
    """All of an answer is there again, whatever is in it, and its reply when it is asked for."""
    odd = Shelf("tenant:ä\0\\x00", 'c"at\ud800', "f")
    put = [
        answer(3),
        answer(2**40, shelf=odd, tags=("a,b", 'c"d', "ü\0"), standing="signed", reply=everything(1), at=1e9 + 1 / 3),
        answer(2**40 + 1, shelf=OTHER, vector=b"", embedder="", question="", reply=everything(2), seconds=0.0),
    ]
    await every.put(put)
    assert await kept(every) == [light(one) for one in put]
    assert [await every.reply(one.id) for one in put] == [one.reply for one in put]
    assert await every.reply(4) is None


async def test_a_question_that_no_database_takes_is_kept_readable(store: Answers) -> None:
    """NUL and half a character stand in a question by their numbers."""
    await store.put([answer(1, question="what\0 is \ud83e?")])
    assert [one.question for one in await kept(store)] == ["what\\x00 is \\ud83e?"]


async def test_names_that_differ_stay_so() -> None:
    """No two scopes become one by being written down: nobody gets a neighbour's answers."""
    names = [
        "",
        "tenant:a",
        "tenant:\0",
        "tenant:\\x00",
        "tenant:\\\\x00",
        "ä",
        "\\xe4",
        "\ud800",
        "\\ud800",
        "\n",
        "\\n",
    ]
    written = [answers.kept(name) for name in names]
    assert len(set(written)) == len(names)
    assert [answers.again(one) for one in written] == names
    assert all(one.isascii() and "\0" not in one for one in written)


async def test_ids_that_were_reserved_are_new(every: AnswerStore) -> None:
    """They count up, whether anything is put or not."""
    first, second = await every.reserve(3), await every.reserve(2)
    assert (len(first), len(second)) == (3, 2)
    assert 0 < first[0] <= first[-1] < second[0] < second[-1]


async def test_ids_count_up_and_are_never_given_twice(store: Answers, url: str) -> None:
    """Neither to two processes, nor again when the answer is gone."""
    async with Journal(url) as journal:
        other = Answers(journal)
        given = await asyncio.gather(*(one.reserve(count) for count in (1, 3, 5) for one in (store, other)))
        assert [len(one) for one in given] == [1, 1, 3, 3, 5, 5]
        every = sorted(chain.from_iterable(given))
        assert every == list(range(1, 19))
        await store.put([answer(every[-1])])
        await store.drop(every)
        assert await other.reserve(2) == range(19, 21)
        assert list(await store.reserve(0)) == []


async def test_an_answer_to_an_equal_request_is_replaced(every: AnswerStore) -> None:
    """The later one stands in its place, as new; the same request on another shelf is another request."""
    await every.put([answer(1, exact="e"), answer(2, exact="e", shelf=OTHER), answer(3)])
    await every.stand(1, "refused")
    await every.put([answer(4, exact="e", question="again?"), answer(5, exact="twice"), answer(6, exact="twice")])
    assert [(one.id, one.question, one.standing) for one in await kept(every)] == [
        (2, "What is 2?", "new"),
        (3, "What is 3?", "new"),
        (4, "again?", "new"),
        (6, "What is 6?", "new"),
    ]
    assert await every.reply(1) is None


async def test_an_answer_that_replaces_another_begins_anew(store: Answers) -> None:
    """What the other was given again does not count for it."""
    await store.put([answer(1, exact="e")])
    await store.used({1: 5}, 9.0)
    await store.put([answer(2, exact="e")])
    assert await hits(store) == {2: (0, None)}


async def test_what_is_put_again_is_there_once(every: AnswerStore) -> None:
    """Who does not know whether a group was kept may put it once more."""
    for _ in range(2):
        await every.put([answer(1), answer(2)])
    assert await ids(every) == [1, 2]


async def test_an_id_of_another_answer_is_refused(store: Answers) -> None:
    """Nothing of the group is kept, and the message says how ids are come by."""
    await store.put([answer(7)])
    with pytest.raises(JournalError, match=r"an id between 7 and 8 is another answer's already; .*reserve\(\)"):
        await store.put([answer(8), answer(7, exact="another")])
    assert await kept(store) == [light(answer(7))]


async def test_answers_are_read_by_pages(store: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them once, in order, also those that come and without those that go meanwhile; from an id on if asked."""
    monkeypatch.setattr(answers, "PAGE", 4)
    await store.put([answer(number) for number in range(10, 0, -1)])
    pages: list[Sequence[Answer]] = []
    async for page in store.answers():
        if not pages:
            await store.drop([6, 2])
            await store.put([answer(11)])
        pages.append(page)
    assert [[one.id for one in page] for page in pages] == [[1, 2, 3, 4], [5, 7, 8, 9], [10, 11]]
    assert [one.id for one in await kept(store, after=9)] == [10, 11]
    assert await kept(store, after=11) == []


async def test_answers_are_dropped(every: AnswerStore) -> None:
    """Of what is thrown out nothing is left; what is gone already is no mistake, however many are named."""
    await every.put([answer(1), answer(2), answer(3)])
    await every.drop([3, 1, *range(100, 2_000)])
    await every.drop([])
    assert await ids(every) == [2]
    assert await every.reply(1) is None


async def test_answers_are_signed_and_refused(every: AnswerStore) -> None:
    """A person's word is kept; an answer that is gone is told by its number, with the way out."""
    await every.put([answer(1), answer(2), answer(3)])
    await every.stand(1, "signed")
    await every.stand(3, "refused")
    assert [one.standing for one in await kept(every)] == ["signed", "new", "refused"]
    for missing in (4, 2**63):
        with pytest.raises(NoSuchAnswer, match=f"no answer {missing};"):
            await every.stand(missing, "signed")


async def test_hits_are_counted(store: Answers) -> None:
    """They add up, of whichever process; the last time stands, and those that are gone are passed over."""
    await store.put([answer(1), answer(2)])
    await store.used({1: 2, 2: 1, 3: 7}, 50.0)
    await store.used({1: 3}, 40.0)
    await store.used({}, 60.0)
    assert await hits(store) == {1: (5, 50.0), 2: (1, 50.0)}


async def hits(store: Answers) -> dict[int, tuple[int, float | None]]:
    """How often each was given again, and when last."""
    async with store.journal.connect() as connection:
        found = await connection.execute(text("SELECT id, hits, used FROM agentrt_answers"))
        return {row.id: (row.hits, row.used) for row in found}


async def test_a_damaged_reply_is_told(store: Answers) -> None:
    """The message names the answer and the way out."""
    await store.put([answer(1)])
    for damage in ('{"text": "It', '{"text": "It"}', "[]"):
        async with store.journal.connect(write=True) as connection:
            await connection.execute(text("UPDATE agentrt_answers SET reply = :damage"), {"damage": damage})
        with pytest.raises(JournalError, match=r"reply of answer 1 is damaged.*agentrt cache inspect 1 --refuse"):
            await store.reply(1)


# -- feedback --------------------------------------------------------------------------------------------------------


async def test_feedback_comes_back_as_it_was_judged(every: AnswerStore) -> None:
    """All of it, whether its answer is there or not."""
    odd = judged(2, right=False, at=2.0)._replace(shelf=Shelf("user:\0", "\\", "f"), score=1 / 3, by="person")
    put = [judged(1, at=1.0), odd, judged(2**40, at=3.0)]
    await every.judge(put)
    await every.judge([])
    assert list(await every.feedback()) == put


async def test_the_oldest_feedback_comes_first(store: Answers) -> None:
    """Whichever process kept it first."""
    await store.judge([judged(1, at=3.0), judged(2, at=1.0)])
    await store.judge([judged(3, at=2.0)])
    assert [one.answer for one in await store.feedback()] == [2, 3, 1]


async def test_feedback_of_what_no_database_takes(store: Answers) -> None:
    """Questions with NUL are kept readable, as answers' are."""
    await store.judge([judged(1)._replace(question="a\0", stored="\ud800")])
    assert [(one.question, one.stored) for one in await store.feedback()] == [("a\\x00", "\\ud800")]


# -- processes -------------------------------------------------------------------------------------------------------


async def test_many_write_at_once(store: Answers, url: str) -> None:
    """Writers of the same requests, in any order, do not refuse each other, and one answer to each stays."""

    async def write(seed: int) -> None:
        async with Journal(url) as journal:
            mine = Answers(journal)
            for turn in range(5):
                given = await mine.reserve(40)
                order = sorted(given, key=lambda one: (one * 7919 * (seed + turn + 1)) % 41)
                await mine.put([answer(one, exact=f"e{number}") for number, one in enumerate(order)])
                await mine.used(dict.fromkeys(order[::-1], 1), 1.0)

    await store.reserve(1)
    await asyncio.gather(*(write(seed) for seed in range(4)))
    found = await kept(store)
    assert {one.exact for one in found} == {f"e{number}" for number in range(40)}
    assert len(found) == 40


@pytest.mark.parametrize("groups", [2, pytest.param(40, marks=pytest.mark.soak)])
def test_a_killed_process_leaves_no_torn_answer(tmp_path: Path, groups: int) -> None:
    """Whatever it had put is there, every group whole or not at all, and every reply belongs to its answer."""
    file, told = tmp_path / "runs.db", 0
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.answered", str(file)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with process:
            for _ in range(groups + round_):
                assert process.stdout.readline().startswith("put ")
            process.kill()
            told += groups + round_ + len(process.stdout.readlines())
        with sqlite3.connect(file) as connection:
            rows = connection.execute("SELECT id, exact, question, reply FROM agentrt_answers").fetchall()
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        newest = max(row[0] for row in rows)
        assert newest >= told * GROUP, "what was told is there"
        groups_there = Counter((row[0] - 1) // GROUP for row in rows)
        assert set(groups_there.values()) == {GROUP}, "whole or not at all"
        assert len(groups_there) >= min(4, told)
        for id_, exact, question, reply in rows:
            assert (exact, question) == (f"e{id_ % (GROUP * 4)}", f"What is {id_}?")
            assert json.loads(reply)["text"] == f"It is {id_}." * 1_000


async def test_the_log_of_a_file_does_not_grow_for_ever(file: Journal) -> None:
    """What many answers leave in the log is moved into the file while it is open."""
    store = Answers(file)
    for turn in range(30):
        await store.put([answer(turn * 200 + number + 1, vector=b"v" * 512) for number in range(200)])
    assert file.file is not None
    log = Path(f"{file.file}-wal").stat().st_size
    assert log < 5e6 < file.file.stat().st_size + log


# -- older journals --------------------------------------------------------------------------------------------------


async def test_a_journal_of_before_takes_answers(journal: Journal, url: str) -> None:
    """One that was made before there were answers gets their tables when it is opened."""
    async with journal.connect(write=True) as connection:
        for table in ("answers", "feedback", "counters"):
            await connection.execute(text(f"DROP TABLE agentrt_{table}"))
        await connection.execute(text("UPDATE agentrt_schema SET version = 3"))
    await journal.close()
    async with Journal(url) as again:
        store = Answers(again)
        await store.put([answer(one) for one in await store.reserve(2)])
        assert await ids(store) == [1, 2]
        assert SHELF in {one.shelf for one in await kept(store)}
