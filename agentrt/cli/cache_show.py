"""``agentrt cache stats`` and ``agentrt cache inspect``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.journals import with_journal
from agentrt.cli.output import json_line
from agentrt.cli.runs_show import at_least_one
from agentrt.cli.screen import say, width
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.semcache.base import Answer, Feedback
    from agentrt.store import Journal
    from agentrt.store.answer_archive import Kept, Sum, Summary

_CONFIDENCE: Final = 0.95
_SCOPES: Final = 10
"""Scopes that people are shown; there may be one for each user."""
_LABEL: Final = 10


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``stats`` and ``inspect``."""
    stats = commands.add_parser(
        "stats",
        help="what is kept, what it saved, how often it was wrong",
        description="What is kept, what it saved, and how often it was wrong where that was judged.",
    )
    stats.add_argument("--json", action="store_true", help="print one JSON object")
    stats.set_defaults(handler=show_stats)
    inspect = commands.add_parser(
        "inspect",
        help="one answer, or those to questions that hold a text; sign or refuse it",
        description="One answer and where it came from, or those to questions that hold a text, the newest first.",
    )
    inspect.add_argument("what", nargs="?", default="", metavar="ID|TEXT", help="a number, or part of a question")
    verdict = inspect.add_mutually_exclusive_group()
    verdict.add_argument("--sign", action="store_true", help="vouch for answer ID")
    verdict.add_argument("--refuse", action="store_true", help="answer ID is wrong, and is never given again")
    inspect.add_argument("--limit", type=at_least_one, default=20, metavar="N", help="how many at most (20)")
    inspect.add_argument("--json", action="store_true", help="print one JSON object, of several a list")
    inspect.set_defaults(handler=show_answers)


# -- stats -----------------------------------------------------------------------------------------------------------


def show_stats(options: argparse.Namespace) -> int:
    """Print what the answers come to."""
    told = with_journal(options, _summary)
    if options.json:
        sys.stdout.write(json_line(_stats_json(told), indent=2))
    elif told.every.answers or told.every.judged:
        say(*_stats_lines(told))
    else:
        say("No answer is kept")
    return 0


async def _summary(journal: Journal) -> Summary:
    from agentrt.store import answer_archive

    async with journal.connect() as connection:
        return await answer_archive.summary(connection)


def _stats_json(told: Summary) -> dict[str, Any]:
    return {
        **_sum_json(told.every),
        "categories": [{"category": name, **_sum_json(one)} for name, one in _largest(told.categories)],
        "scopes": [{"scope": name, **_sum_json(one)} for name, one in _largest(told.scopes)],
        "standings": {name: told.standings[name].answers for name in ("new", "signed", "refused")},
    }


def _sum_json(one: Sum) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(one), "error": one.error, "error_limit": _limit(one)}


def _limit(one: Sum) -> float | None:
    """What the error is at most, with a confidence of 95%."""
    from agentrt.semcache.bound import upper_limit

    return upper_limit(one.wrong, one.judged, _CONFIDENCE) if one.judged else None


def _largest(sums: Mapping[str, Sum]) -> list[tuple[str, Sum]]:
    return sorted(sums.items(), key=lambda item: (-item[1].answers, item[0]))


def _stats_lines(told: Summary) -> Iterator[str]:
    from agentrt.ui.words import counted, duration

    every, standings = told.every, told.standings
    yield _row("kept", f"{counted(every.answers, 'answer')}, {_standings(standings)}")
    yield _row("given", f"{counted(every.hits, 'time')} again")
    yield _row("saved", f"{counted(every.tokens_saved, 'token')}, {duration(every.seconds_saved)} of the model's time")
    yield _row("judged", f"{every.judged:,}, {_error(every)}" if every.judged else "none")
    for title, sums in (("CATEGORY", told.categories), ("SCOPE", told.scopes)):
        yield ""
        yield from _table(title, _largest(sums))


def _standings(standings: Mapping[str, Sum]) -> str:
    return ", ".join(f"{standings[name].answers:,} {name}" for name in ("new", "signed", "refused"))


def _error(one: Sum) -> str:
    """``2 wrong: 4.0%, at most 12.1%``."""
    limit = _limit(one)
    return f"{one.wrong:,} wrong: {one.error:.1%}, at most {limit:.1%} (at 95% confidence)" if one.judged else ""


def _table(title: str, sums: list[tuple[str, Sum]]) -> Iterator[str]:
    from agentrt.ui.words import short

    shown = sums[:_SCOPES]
    name = min(40, max(len(title), *(len(_name(one)) for one, _ in shown)))
    yield f"{title:{name}}  {'ANSWERS':>9}  {'GIVEN':>9}  {'TOKENS':>9}  {'JUDGED':>7}  {'WRONG':>6}"
    for called, one in shown:
        error = "" if one.error is None else f"{one.error:.1%}"
        yield (
            f"{_name(called):{name}}  {short(one.answers):>9}  {short(one.hits):>9}  {short(one.tokens_saved):>9}  "
            f"{short(one.judged):>7}  {error:>6}"
        )
    if len(sums) > len(shown):
        yield f"and {len(sums) - len(shown):,} more; --json shows them"


# -- inspect ---------------------------------------------------------------------------------------------------------


def show_answers(options: argparse.Namespace) -> int:
    """Print one answer, or those to questions that hold the text."""
    if options.what.isascii() and options.what.isdigit():
        one, judged = with_journal(options, lambda journal: _one(journal, int(options.what), options))
        if options.json:
            sys.stdout.write(json_line(_whole_json(one, judged), indent=2))
        else:
            say(*_whole_lines(one, judged))
        return 0
    if options.sign or options.refuse:
        raise ConfigError(f"{options.what!r} is no answer's number; `agentrt cache inspect TEXT` shows the numbers")
    found = with_journal(options, lambda journal: _found(journal, options.what, options.limit + 1))
    if options.json:
        sys.stdout.write(json_line([_whole_json(one) for one in found[: options.limit]], indent=2))
        return 0
    say(*_list_lines(found[: options.limit], options.what))
    if len(found) > options.limit:
        print("there are more; --limit shows them", file=sys.stderr)
    return 0


async def _one(journal: Journal, answer: int, options: argparse.Namespace) -> tuple[Kept, list[Feedback]]:
    from agentrt.store import answer_archive
    from agentrt.store.answers import Answers, feedback_of

    if options.sign or options.refuse:
        await Answers(journal).stand(answer, "signed" if options.sign else "refused")
    async with journal.connect() as connection:
        return await answer_archive.one_of(connection, answer), await feedback_of(connection, answer)


async def _found(journal: Journal, text: str, limit: int) -> list[Kept]:
    from agentrt.store import answer_archive

    async with journal.connect() as connection:
        return await answer_archive.find(connection, text, limit=limit)


def _whole_json(one: Kept, judged: list[Feedback] | None = None) -> dict[str, Any]:
    """An answer as an export has it, without its vector; with what was found of it, if that was looked for."""
    from agentrt.store.answer_lines import answer_json

    told = answer_json(one)
    del told["vector"]
    if judged is not None:
        told["feedback"] = [{**found._asdict(), "shelf": found.shelf._asdict()} for found in judged]
    return told


def _whole_lines(one: Kept, judged: list[Feedback]) -> Iterator[str]:
    from agentrt.ui.words import counted, day, duration, lines_of, one_line, tokens

    answer, now = one.answer, time.time()
    yield _row("answer", f"{answer.id}, {answer.standing}")
    yield _row("question", one_line(answer.question) or "none; only equal requests count")
    yield _row("category", f"{_name(answer.shelf.category)}, {_name(answer.shelf.scope)}")
    took = f"in {duration(answer.seconds)}"
    yield _row("made", f"{day(answer.at, now)} by {one_line(answer.reply.model) or 'a model'}, {took}")
    if answer.reply.usage.prompt or answer.reply.usage.completion:
        yield _row("tokens", tokens(answer.reply.usage))
    last = "" if one.used is None else f", the last time {day(one.used, now)}"
    yield _row("given", f"{counted(one.hits, 'time')} again{last}")
    if answer.tags:
        yield _row("tags", one_line(", ".join(answer.tags)))
    yield _row("embedder", one_line(answer.embedder) or "none")
    yield _row("request", f"{answer.exact}, fingerprint {answer.shelf.fingerprint}")
    for number, found in enumerate(judged):
        yield _row("judged" if not number else "", _judgement(found))
    yield ""
    yield from lines_of(answer.reply.text)
    for call in answer.reply.tool_calls:
        yield f"{one_line(call.name)}({one_line(call.arguments)})"


def _judgement(found: Feedback) -> str:
    from agentrt.ui.words import one_line

    verdict = "right" if found.right else "wrong"
    question = one_line(found.question)
    return f"{verdict} by {one_line(found.by)}, cosine {found.cosine:.3f}, score {found.score:.3f}: {question}"


def _list_lines(found: list[Kept], text: str) -> Iterator[str]:
    from agentrt.ui.words import day, one_line, short

    if not found:
        yield f"No question holds {text!r}" if text else "No answer is kept"
        return
    ids = max(2, *(len(str(one.answer.id)) for one in found))
    fixed = f"{'ID':>{ids}}  {'STANDING':8}  {'MADE':12}  {'GIVEN':>6}  "
    yield f"{fixed}QUESTION"
    now = time.time()
    for one in found:
        made = day(one.answer.at, now)
        start = f"{one.answer.id:>{ids}}  {one.answer.standing:8}  {made}  {short(one.hits):>6}  "
        yield f"{start}{_cut(one_line(_asked(one.answer)), width() - len(fixed))}"


def _asked(answer: Answer) -> str:
    return answer.question or "(no question: an equal request only)"


def _name(name: str) -> str:
    from agentrt.ui.words import one_line

    return one_line(name) or "(none)"


def _row(label: str, value: str) -> str:
    return f"{label:{_LABEL}}{value}"


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else f"{text[: max(1, columns - 3)]}..."
