"""``agentrt cache``: stored answers are looked at, signed, refused, thrown out, and moved."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agentrt.semcache.base import Feedback, Shelf
from agentrt.store import Journal
from agentrt.store.answers import Answers
from agentrt.types import ModelReply, ToolCall
from tests.cli.conftest import Cli
from tests.store.answered import OTHER, SHELF, answer, judged

NEWS = Shelf("global", "news", "f2")


@pytest.fixture
def kept(here: Path) -> Path:
    """The test's folder, with a journal that keeps three answers."""
    asyncio.run(fill(here / "runs.db"))
    return here


async def fill(file: Path, *, judged_too: bool = True) -> None:
    """Put them there."""
    call = ToolCall("c", "look", '{"at": "\x1b[31m"}')
    async with Journal(file) as journal:
        store = Answers(journal)
        await store.reserve(3)
        await store.put(
            [
                answer(1, tags=("prices", "eu")),
                answer(2, shelf=OTHER, question="", vector=b"", embedder="", at=4e9),
                answer(
                    3, shelf=NEWS, question="Otters\n\x1b[31m?", reply=ModelReply("They \x1b swim", (call,)), at=4e9
                ),
            ]
        )
        await store.used({1: 3}, 2000.0)
        if judged_too:
            await store.judge([judged(1), judged(1, right=False, at=2.0), judged(3, shelf=NEWS)])


def said(do: Cli, *words: str) -> Any:
    """What a command prints with ``--json``."""
    done = do("cache", *words, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def ids(do: Cli) -> list[int]:
    """Those of all answers, the newest first."""
    return [one["id"] for one in said(do, "inspect")]


# -- stats -----------------------------------------------------------------------------------------------------------


def test_stats(do: Cli, kept: Path) -> None:
    """What is kept, what it saved and how often it was wrong, of all and by category and scope."""
    told = said(do, "stats")
    assert [told[name] for name in ("answers", "hits", "tokens_saved", "seconds_saved")] == [3, 3, 39, 1.5]
    assert (told["judged"], told["wrong"]) == (3, 1)
    assert told["error"] == pytest.approx(1 / 3)
    assert told["error_limit"] == pytest.approx(0.8647, abs=1e-4)
    assert [(one["category"], one["answers"]) for one in told["categories"]] == [("facts", 2), ("news", 1)]
    assert {one["scope"] for one in told["scopes"]} == {SHELF.scope, OTHER.scope, "global"}
    assert told["standings"] == {"new": 3, "signed": 0, "refused": 0}
    shown = do("cache", "stats").out
    for part in ("3 answers, 3 new, 0 signed", "3 times again", "39 tokens, 1.5 s of", "1 wrong: 33.3%, at most 86.5%"):
        assert part in shown
    assert shown.splitlines()[5].split() == ["CATEGORY", "ANSWERS", "GIVEN", "TOKENS", "JUDGED", "WRONG"]


def test_stats_of_many_scopes(do: Cli, here: Path) -> None:
    """The largest are shown, and how many there are beside them."""

    async def many() -> None:
        async with Journal(here / "runs.db") as journal:
            shelves = [Shelf(f"user:{number:02}", "facts", "f") for number in range(12)]
            await Answers(journal).put([answer(number, shelf=shelf) for number, shelf in enumerate(shelves, 1)])

    asyncio.run(many())
    assert "and 2 more; --json shows them" in do("cache", "stats").out
    assert len(said(do, "stats")["scopes"]) == 12


def test_stats_of_nothing(do: Cli, here: Path) -> None:
    """A journal without answers is no error; no journal is one, with the way out."""
    assert "there is no journal" in do("cache", "stats").complaint
    asyncio.run(Journal(here / "runs.db").close())
    do("cache", "import", "nothing")
    (here / "empty.jsonl").write_text('{"agentrt": "answers", "version": 1}\n{"end": {}}\n')
    assert do("cache", "import", "empty.jsonl").code == 0
    assert do("cache", "stats").out == "No answer is kept\n"
    assert do("cache", "inspect").out == "No answer is kept\n"
    assert said(do, "stats")["error"] is None


# -- inspect ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_shown_whole(do: Cli, kept: Path) -> None:
    """Its question, where it came from, what was found of it, and what it says; nothing of it steers the terminal."""
    shown = do("cache", "inspect", "1").out
    for part in (
        "1, new",
        "What is 1?",
        "facts, tenant:t1",
        "by m, in 0.5 s",
        "3 times again",
        "prices, eu",
        "It is 1.",
    ):
        assert part in shown
    assert [line.split()[-10 if "judged" in line else 0] for line in shown.splitlines() if "cosine" in line]
    assert shown.count("by exact, cosine 0.900, score 0.800: What's 1?") == 2
    other = do("cache", "inspect", "3").out
    assert "\x1b" not in other
    assert "Otters" in other
    assert "look(" in other
    told = said(do, "inspect", "1")
    assert told["reply"]["text"] == "It is 1."
    assert [one["right"] for one in told["feedback"]] == [True, False]
    assert "vector" not in told


def test_answers_are_found_by_their_questions(do: Cli, kept: Path) -> None:
    """By a part of the question; without one, all; with --limit, some, and that there are more."""
    assert [line.split()[0] for line in do("cache", "inspect", "what IS").out.splitlines()] == ["ID", "1"]
    assert ids(do) == [3, 2, 1]
    assert "an equal request only" in do("cache", "inspect").out
    some = do("cache", "inspect", "--limit", "2")
    assert [line.split()[0] for line in some.out.splitlines()] == ["ID", "3", "2"]
    assert "there are more" in some.err
    assert do("cache", "inspect", "bears").out == "No question holds 'bears'\n"
    assert said(do, "inspect", "bears") == []


def test_answers_are_signed_and_refused(do: Cli, kept: Path) -> None:
    """The verdict is kept and shown; it can be changed."""
    assert "1, signed" in do("cache", "inspect", "1", "--sign").out
    assert said(do, "inspect", "--refuse", "1")["standing"] == "refused"
    assert said(do, "stats")["standings"] == {"new": 2, "signed": 0, "refused": 1}
    for words, problem, code in (
        (("9", "--sign"), "the journal keeps no answer 9; `agentrt cache inspect TEXT` finds", 1),
        (("99999999999999999999",), "keeps no answer 99999999999999999999", 1),
        (("9" * 30, "--refuse"), "keeps no answer 999", 1),
        (("otters", "--refuse"), "'otters' is no answer's number", 2),
        (("--refuse",), "'' is no answer's number", 2),
    ):
        done = do("cache", "inspect", *words)
        assert done.code == code, done
        assert problem in done.complaint


# -- tune ------------------------------------------------------------------------------------------------------------


def test_tune_says_what_could_be_promised(do: Cli, here: Path) -> None:
    """Where feedback is plentiful and good a threshold is proposed that keeps the error, where it is not, none."""

    async def learn() -> None:
        async with Journal(here / "runs.db") as journal:
            good = [told(number, right=number % 2 == 0) for number in range(3_000)]
            await Answers(journal).judge([*good, judged(1, shelf=NEWS), judged(2, right=False, shelf=NEWS)])

    def told(number: int, *, right: bool) -> Feedback:
        word = f"w{number % 70}"
        stored = f"Where is the {word} of town {number}?"
        asked = f"Where's the {word} of town {number}?" if right else f"Who never saw {word} on isle {number + 1}?"
        return Feedback(SHELF, number, asked, stored, 0.95 if right else 0.4, 0.5, right, "exact", float(number))

    asyncio.run(learn())
    found = said(do, "tune", "--max-error-rate", "0.05")
    assert (found["max_error_rate"], found["confidence"]) == (0.05, 0.95)
    good, poor = sorted(found["regions"], key=lambda one: -one["feedback"])
    assert (good["category"], good["feedback"], good["wrong"]) == ("facts", 3_000, 1_500)
    assert 0 < good["threshold"] <= 1
    assert 0.3 < good["hit_rate"] < 0.6
    assert good["error_limit"] <= 0.05
    assert (poor["category"], poor["scope"], poor["feedback"], poor["threshold"]) == ("news", None, 2, None)
    shown = do("cache", "tune", "--max-error-rate", "0.05").out.splitlines()
    assert shown[0].split() == ["CATEGORY", "JUDGED", "WRONG", "THRESHOLD", "HITS", "ERROR", "AT", "MOST"]
    assert next(line.split() for line in shown if line.startswith("news")) == ["news", "2", "50.0%", "none"]
    assert "none: no threshold is shown to keep 0.05 with a confidence of 0.95; that takes 59 hits" in shown[-1]


def test_tune_without_feedback(do: Cli, here: Path) -> None:
    """It says what feedback comes from; a share that is none is told."""
    asyncio.run(fill(here / "runs.db", judged_too=False))
    assert "Nothing was judged yet" in do("cache", "tune").out
    assert said(do, "tune")["regions"] == []
    for wrong in ("0", "1", "2%", "nan"):
        assert do("cache", "tune", "--confidence", wrong).code == 2


# -- prune -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        ("--tag prices", [1]),
        ("--tag price", []),
        ("--older 30d", [1]),
        ("--model m", [1, 2]),
        ("--category news", [3]),
        ("--scope user", [2]),
        ("--scope tenant:t1", [1]),
        ("--embedder static", [1, 3]),
        ("--refused", []),
        ("--category facts --scope user", [2]),
    ],
)
def test_answers_that_fit_are_thrown_out(do: Cli, kept: Path, words: str, gone: list[int]) -> None:
    """A dry run names them, and then they go; the others and what was learned stay."""
    assert said(do, "prune", *words.split(), "--dry-run")["ids"] == gone
    assert ids(do) == [3, 2, 1]
    done = do("cache", "prune", *words.split())
    assert done.code == 0
    assert ("thrown out" if gone else "No answer fits") in done.out
    assert ids(do) == [one for one in (3, 2, 1) if one not in gone]
    assert said(do, "stats")["judged"] == 3


def test_prune_says_what_it_freed(do: Cli, here: Path) -> None:
    """The file is smaller by what the line says."""

    async def large() -> None:
        async with Journal(here / "runs.db") as journal:
            await Answers(journal).put([answer(1, reply=ModelReply("x" * 1_000_000))])

    asyncio.run(large())
    do("cache", "inspect", "1", "--refuse")
    before = (here / "runs.db").stat().st_size
    done = do("cache", "prune", "--refused")
    freed = before - (here / "runs.db").stat().st_size
    assert freed > 900_000
    assert done.out == f"1 answer thrown out; the file is {freed / 1e6:,.1f} MB smaller\n"


def test_prune_wants_to_be_told_what(do: Cli, kept: Path) -> None:
    """Without an option nothing goes, and the options are named."""
    done = do("cache", "prune")
    assert done.code == 2
    assert "say which answers may go: --tag" in done.complaint
    assert ids(do) == [3, 2, 1]


# -- export, import --------------------------------------------------------------------------------------------------


def test_answers_are_moved(do: Cli, kept: Path) -> None:
    """What is exported is taken in by a journal that is made for it, once."""
    exported = do("cache", "export")
    assert exported.code == 0
    assert len(exported.out.splitlines()) == 8
    (kept / "all.jsonl").write_text(exported.out)
    there = ("--journal", "there.db")
    assert do("cache", "import", "all.jsonl", *there).out == "3 answers and 3 judgements taken in\n"
    assert said(do, "stats", *there) == said(do, "stats")
    again = said(do, "import", "all.jsonl", *there)
    assert again == {"answers": 0, "feedback": 0, "passed": 6}
    assert do("cache", "export", *there).out == exported.out


def test_answers_come_through_a_pipe(cli: Cli, kept: Path) -> None:
    """From one command into another."""
    lines = cli("cache", "export", "--journal", "runs.db").out
    taken = cli("cache", "import", "-", "--journal", "there.db", stdin=lines)
    assert (taken.code, taken.out) == (0, "3 answers and 3 judgements taken in\n")
    broken = cli("cache", "import", "-", "--journal", "third.db", stdin=lines[:-40])
    assert (broken.code, "standard input, line 8: " in broken.complaint) == (1, True)


def test_what_cannot_be_imported_is_told(do: Cli, kept: Path) -> None:
    """A file that is not there, or is something else, is named; nothing is taken in."""
    (kept / "noise").write_bytes(b"\xff\xfe\0")
    (kept / "other.jsonl").write_text('{"run": 1}\n')
    for file, problem, code in (
        ("nowhere", "'nowhere' cannot be read: No such file", 2),
        ("noise", "'noise' cannot be read: ", 2),
        ("other.jsonl", "other.jsonl, line 1: this is no export of answers", 1),
    ):
        done = do("cache", "import", file)
        assert (done.code, problem in done.complaint) == (code, True), done
    assert ids(do) == [3, 2, 1]


def test_without_a_journal_nothing_is_kept(do: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where runs are not written down, each command says how to name a place."""
    monkeypatch.setenv("AGENTRT_JOURNAL", "off")
    (here / "x").touch()
    for words in (("stats",), ("inspect",), ("export",), ("import", "x"), ("prune", "--refused")):
        assert "name a journal with --journal FILE" in do("cache", *words).complaint
