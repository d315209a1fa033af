"""What is asked of stored answers: sums, choices, one of them, and all of them as lines and back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentrt.errors import JournalError, NoSuchAnswer
from agentrt.semcache.base import Shelf
from agentrt.store import Journal, answer_archive, answer_lines
from agentrt.store.answer_archive import Choice, Kept, Sum
from agentrt.store.answers import Answers
from tests.store.answered import OTHER, SHELF, answer, everything, judged

NEWS = Shelf("global", "news", "f2")


@pytest.fixture
async def store(journal: Journal) -> Answers:
    """A store of each kind in turn, with four answers."""
    return await filled(journal)


async def filled(journal: Journal) -> Answers:
    """Four answers, of which some were given again, and what was found of them."""
    made = Answers(journal)
    await made.put(
        [
            answer(1, tags=("a,b", 'q"uote')),
            answer(2, shelf=OTHER, question="100% of_it", tags=("b",)),
            answer(3, shelf=NEWS, question="ÄPFEL or pears", embedder="minilm", reply=everything(3), at=5.0),
            answer(4, shelf=NEWS, vector=b"", embedder="", tags=("a", 'x","b')),
        ]
    )
    await made.used({1: 2, 3: 1}, 77.0)
    await made.stand(4, "refused")
    await made.stand(1, "signed")
    await made.judge([judged(1), judged(1, right=False, at=2.0), judged(3, shelf=NEWS), judged(9, at=3.0)])
    return made


async def lines(store: Answers) -> list[str]:
    """All of a store."""
    async with store.journal.connect() as connection:
        return [json.dumps(line) async for line in answer_lines.lines_of(connection)]


async def take(store: Answers, given: list[str]) -> answer_lines.Taken:
    """Take lines in."""
    async with store.writing() as connection:
        return await answer_lines.take(connection, given, "answers.jsonl")


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Answers]:
    """Another store, in a file."""
    async with Journal(tmp_path / "other.db") as journal:
        yield Answers(journal)


# -- asked -----------------------------------------------------------------------------------------------------------


async def test_sums(store: Answers) -> None:
    """Answers, what they saved, and how often they were found wrong, of all and by category, scope and standing."""
    async with store.journal.connect() as connection:
        told = await answer_archive.summary(connection)
    usage = everything(3).usage
    saved = usage.prompt + usage.completion
    assert told.every == Sum(4, 3, 26 + saved, 1.5, 4, 1)
    assert told.categories == {"facts": Sum(2, 2, 26, 1.0, 3, 1), "news": Sum(2, 1, saved, 0.5, 1, 0)}
    assert told.scopes[OTHER.scope] == Sum(1, 0, 0, 0.0, 0, 0)
    assert {name: one.answers for name, one in told.standings.items()} == {"new": 2, "signed": 1, "refused": 1}
    assert (told.every.error, told.scopes[OTHER.scope].error) == (0.25, None)


async def test_sums_of_nothing(journal: Journal) -> None:
    """An empty journal has saved nothing."""
    async with journal.connect() as connection:
        told = await answer_archive.summary(connection)
    assert (told.every, told.categories) == (Sum(), {})


async def test_large_sums_do_not_run_over(store: Answers) -> None:
    """A popular long answer saves more tokens than 32 bits count."""
    await store.used({3: 2_000_000}, 1.0)
    async with store.journal.connect() as connection:
        assert (await answer_archive.summary(connection)).every.tokens_saved > 2**50


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (Choice(), [1, 2, 3, 4]),
        (Choice(tag="b"), [2]),
        (Choice(tag="a,b"), [1]),
        (Choice(tag='q"uote'), [1]),
        (Choice(tag="B"), []),
        (Choice(tag="%"), []),
        (Choice(before=1002.0), [1, 3]),
        (Choice(model="m"), [1, 2, 4]),
        (Choice(category="facts"), [1, 2]),
        (Choice(scope="user"), [2]),
        (Choice(scope="global"), [3, 4]),
        (Choice(scope=SHELF.scope), [1]),
        (Choice(scope="tenant:t"), []),
        (Choice(embedder="minilm"), [3]),
        (Choice(embedder=""), [4]),
        (Choice(refused=True), [4]),
        (Choice(category="news", before=1000.0), [3]),
    ],
)
async def test_choices(store: Answers, choice: Choice, found: list[int]) -> None:
    """Answers are chosen by what is said of them and by nothing that looks like it; all that is said has to fit."""
    async with store.journal.connect() as connection:
        assert await answer_archive.choose(connection, choice) == found


async def test_answers_are_found_by_their_questions(store: Answers) -> None:
    """By a part of it as it stands, the newest first; capitals are no difference."""
    async with store.journal.connect() as connection:
        for text, found in (("WHAT IS", [4, 1]), ("0% of_", [2]), ("_", [2]), ("pears", [3]), ("x", [])):
            assert [one.answer.id for one in await answer_archive.find(connection, text, limit=9)] == found, text
        assert [one.answer.id for one in await answer_archive.find(connection, limit=2)] == [4, 3]


async def test_one_answer_is_whole(store: Answers) -> None:
    """With its reply, and how often it was given; one that is not there is told with the way out."""
    whole = answer(3, shelf=NEWS, question="ÄPFEL or pears", embedder="minilm", reply=everything(3), at=5.0)
    async with store.journal.connect() as connection:
        assert await answer_archive.one_of(connection, 3) == Kept(whole, 1, 77.0)
        for missing in (0, 5, 2**63, 10**30):
            with pytest.raises(NoSuchAnswer, match=f"keeps no answer {missing};"):
                await answer_archive.one_of(connection, missing)


# -- lines -----------------------------------------------------------------------------------------------------------


async def test_lines_are_taken_in_elsewhere(store: Answers, other: Answers) -> None:
    """All answers and feedback come back, in another database and under other numbers."""
    await other.reserve(100)
    written = await lines(store)
    assert await take(other, written) == (4, 4, 0)
    again = [json.loads(line) for line in await lines(other)]
    for line in again:
        if "answer" in line:
            line["answer"]["id"] -= 100
        elif "feedback" in line:
            number = line["feedback"]["answer"]
            line["feedback"]["answer"] = number - 100 if number else 9
    assert again == [json.loads(line) for line in written]


async def test_lines_are_taken_in_once(store: Answers, other: Answers) -> None:
    """Taking the same again changes nothing; a newer answer here stays, an older one goes."""
    written = await lines(store)
    await take(other, written)
    before = await lines(other)
    assert await take(other, written) == (0, 0, 8)
    assert await lines(other) == before
    ((late,), (early,)) = await other.reserve(1), await other.reserve(1)
    await other.put([answer(late, exact="e1", at=9e9), answer(early, exact="e2", shelf=OTHER, at=1.0)])
    assert await take(other, written) == (1, 0, 7)
    async with other.journal.connect() as connection:
        assert (await answer_archive.one_of(connection, late)).answer.at == 9e9
        with pytest.raises(NoSuchAnswer):
            await answer_archive.one_of(connection, early)


async def test_a_request_that_stands_twice_is_taken_once(store: Answers, other: Answers) -> None:
    """Of two lines with one request the later stands, so that no file is refused by the database."""
    head, first, *_ = await lines(store)
    end = json.dumps({"end": {}})
    second = first.replace('"What is 1?"', '"What was 1?"')
    assert (await take(other, [head, first, second, end])).answers == 1
    async with other.journal.connect() as connection:
        assert (await answer_archive.find(connection, limit=9))[0].answer.question == "What was 1?"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"version": 1', '"version": 2', "line 1: version 2; this agentrt knows 1"),
        ('"answers"', '"runs"', "line 1: this is no export of answers"),
        ('{"answer"', '{"anwser"', "line 2: expected one of answer, feedback and end"),
        ('"exact": "e1"', '"exact": 1', "line 2: the answer has exact=1, expected str"),
        ('"exact": "e1", ', "", "line 2: the answer has exact=None, expected str"),
        ('"at": 1001.0', '"at": true', "line 2: the answer has at=True, expected int or float"),
        ('"at": 1001.0', '"at": NaN', "line 2: no JSON: NaN"),
        ('"signed"', '"sealed"', "line 2: the standing 'sealed': expected new, signed or refused"),
        ('"vector": "', '"vector": "?', "line 2: the vector is no base64"),
        ('"usage": {"prompt": 10', '"usage": {"prompt": "10"', "line 2: the usage has prompt='10', expected int"),
        ('"tool_calls": []', '"tool_calls": [{}]', "line 2: the reply cannot be read"),
        ('"scope": "tenant:t1"', '"scope": null', "line 2: the shelf has scope=None"),
        ('"right": true', '"right": 1', "line 6: the feedback has right=1, expected bool"),
        ('{"end"', '{"end', "line 10: no JSON"),
        ('{"end": {"answers": 4, "feedback": 4}}', "", "line 10: no JSON"),
    ],
)
async def test_what_does_not_fit_is_told_by_its_line(
    file: Journal, other: Answers, old: str, new: str, problem: str
) -> None:
    """Nothing of a damaged file is kept, and the message says where it is damaged."""
    text = "\n".join(await lines(await filled(file)))
    assert old in text
    with pytest.raises(JournalError) as error:
        await take(other, text.replace(old, new, 1).split("\n"))
    assert str(error.value).startswith(f"answers.jsonl, {problem}")
    assert len(await lines(other)) == 2, "a head and an end"


async def test_a_file_that_broke_off_is_refused(file: Journal, other: Answers) -> None:
    """Whatever line is the last, as long as it is not the end."""
    written = await lines(await filled(file))
    for count in range(len(written)):
        with pytest.raises(JournalError, match=f"answers.jsonl, line {count + 1}: "):
            await take(other, written[:count])
    assert len(await lines(other)) == 2
