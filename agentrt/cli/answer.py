"""``agentrt runs questions`` and ``agentrt runs answer``: what programs ask people, and what people say."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from agentrt.cli.execute import add_execution_options, where
from agentrt.cli.failures import DONE
from agentrt.cli.journals import with_journal
from agentrt.cli.output import json_line
from agentrt.cli.runs_resume import resume_run
from agentrt.cli.screen import say
from agentrt.errors import UsageError

if TYPE_CHECKING:
    from agentrt.runtime import Question
    from agentrt.runtime.durable.inquiry import Outcome
    from agentrt.store import Journal

_EXAMPLES: Final = """\
examples:
  agentrt runs questions                                  what all runs ask
  agentrt runs answer last yes                            the only question of the newest run
  agentrt runs answer last 'choose#1' dev --resume        one of several, then go on with the run
  agentrt runs answer last '{"city": "Oslo", "days": 3}'  a form, as JSON
  agentrt runs answer last -f city=Oslo -f days=3         or field by field
  agentrt runs answer last                                asks in this terminal

A process that has the run takes the answer within a second; else it waits for `agentrt runs resume`. The first answer
counts.
"""
_SAID: Final[dict[Outcome, str]] = {
    "taken": "taken",
    "kept": "kept: the run takes it when it goes on",
    "late": "not needed any more: the question was answered otherwise meanwhile",
}


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``questions`` and ``answer``."""
    questions = commands.add_parser(
        "questions", help="what runs ask people", description="List the questions to people that are open."
    )
    questions.add_argument("run", nargs="?", metavar="RUN", help="of this run only: its id, or `last`")
    questions.add_argument("--json", action="store_true", help="print one JSON list")
    questions.set_defaults(handler=list_questions)
    answer = commands.add_parser(
        "answer",
        help="answer a question of a run",
        description="Answer a question that a run asks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    answer.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `last`")
    answer.add_argument("words", nargs="*", metavar="[STEP] ANSWER", help="the question's step, and the answer")
    answer.add_argument("--field", "-f", action="append", default=[], metavar="NAME=VALUE", help="one field of a form")
    answer.add_argument("--resume", action="store_true", help="then go on with the run, unless a process has it")
    answer.add_argument("--program", metavar="PROGRAM.py[:NAME]", help="for --resume, if the program was moved")
    add_execution_options(answer)
    answer.set_defaults(handler=answer_question, accept_changes=False, rerun=[])


def list_questions(options: argparse.Namespace) -> int:
    """Print the open questions."""
    from agentrt.runtime.durable.inquiry import open_questions
    from agentrt.runtime.terminal import introduction

    found = with_journal(options, lambda journal: open_questions(journal, options.run))
    if options.json:
        sys.stdout.write(json_line([one.to_json() for one in found], indent=2))
        return DONE
    if not found:
        say("Nobody is asked anything")
    for one in found:
        say(*introduction(one), _how(one, options), "")
    return DONE


def _how(question: Question, options: argparse.Namespace) -> str:
    expected = {
        "approve": "yes|no",
        "choose": "CHOICE",
        "ask": "TEXT",
        "fill": "-f NAME=VALUE ...",
    }[question.form]
    return f"  agentrt runs answer {question.run} '{question.step}' {expected}{where(options)}"


def answer_question(options: argparse.Namespace) -> int:
    """Leave the answer, and go on with the run if that is wanted; the exit code is then the run's status."""
    question, outcome = with_journal(options, lambda journal: _answer(journal, options))
    if options.resume and outcome == "kept":  # else a process has the run
        options.run = question.run
        return resume_run(options)
    if options.json:
        sys.stdout.write(json_line({"run": question.run, "step": question.step, "outcome": outcome}))
    print(f"{question.step}: {_SAID[outcome]}", file=sys.stderr)
    if outcome == "kept":
        print(f"to go on: agentrt runs resume {question.run}{where(options)}", file=sys.stderr)
    return DONE


async def _answer(journal: Journal, options: argparse.Namespace) -> tuple[Question, Outcome]:
    from agentrt.runtime.durable import inquiry

    step, text = await _meant(journal, options)
    question = await inquiry.find(journal, options.run, step)
    answer = await _said(question, text, options.field)
    posted = await inquiry.post(journal, question, answer, now=time.time, by=_me())
    return question, await inquiry.outcome(journal, posted)


async def _meant(journal: Journal, options: argparse.Namespace) -> tuple[str | None, str | None]:
    """The step and the answer, either of which may be left out. A word that names an open question is no answer."""
    from agentrt.runtime.durable.inquiry import open_questions

    match options.words:
        case []:
            return None, None
        case [word]:
            there = {one.step for one in await open_questions(journal, options.run)}
            return (word, None) if word in there else (None, word)
        case [step, text]:
            return step, text
    raise UsageError(f"too many words: {' '.join(options.words)!r}; expected [STEP] ANSWER, quoted where it has spaces")


async def _said(question: Question, text: str | None, given: list[str]) -> Any:
    from agentrt.runtime.terminal import own_terminal

    if given:
        return _filled(question, text, given)
    if text is not None:
        try:
            return question.read(text)
        except ValueError as error:
            raise UsageError(f"question {question.step!r}: {error}") from error
    terminal = own_terminal()
    if terminal is None:
        raise UsageError(f"question {question.step!r} ({question.text!r}): give the answer, {question.expected}")
    answer = await terminal(question)
    if answer is None:
        raise UsageError(f"question {question.step!r} was left open")
    return answer


def _filled(question: Question, text: str | None, given: list[str]) -> dict[str, Any]:
    """A form, of its fields one by one."""
    from agentrt.runtime.forms import fields, read_field

    known = {one.name: one for one in fields(question.schema or {})}
    pairs = [word.partition("=") for word in given]
    wrong = [name for name, equals, _ in pairs if not equals or name not in known]
    if wrong or text is not None:
        raise UsageError(
            f"--field {wrong[0] if wrong else given[0]}: expected NAME=VALUE, and no other answer; the fields of "
            f"{question.step!r} are: {', '.join(known) or 'none'}"
        )
    return {name: read_field(known[name].schema, value) for name, _, value in pairs}


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ""
