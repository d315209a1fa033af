"""``agentrt cache tune``: what the feedback would allow, for a share of wrong answers that is stated."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agentrt.cli.journals import with_journal
from agentrt.cli.output import json_line
from agentrt.cli.screen import say
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.semcache.base import Feedback
    from agentrt.semcache.regions import Proposal
    from agentrt.store import Journal


def add_parsers(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``tune``."""
    tune = commands.add_parser(
        "tune",
        help="what the feedback would allow for an error you state",
        description="Learn from all feedback which thresholds keep a share of wrong answers, and at what hit rate.",
        epilog="Nothing is changed: programs learn the same as they run, for the error that their categories state.",
    )
    tune.add_argument(
        "--max-error-rate", type=share, default=0.02, metavar="SHARE", help="wrong answers of those given (0.02)"
    )
    tune.add_argument("--confidence", type=share, default=0.95, metavar="SHARE", help="how sure that is to hold (0.95)")
    tune.add_argument("--json", action="store_true", help="print one JSON object")
    tune.set_defaults(handler=tune_answers)


def share(text: str) -> float:
    """A number between 0 and 1, for argparse."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a share between 0 and 1, such as 0.02")
    return value


def tune_answers(options: argparse.Namespace) -> int:
    """Print what could be promised, category by category."""
    feedback = with_journal(options, _feedback)
    found = _tuned(feedback, options.max_error_rate, options.confidence)
    if options.json:
        told = {"max_error_rate": options.max_error_rate, "confidence": options.confidence}
        sys.stdout.write(json_line({**told, "regions": [_json(one) for one in found]}, indent=2))
    else:
        say(*_lines(found, options.max_error_rate, options.confidence))
    return 0


async def _feedback(journal: Journal) -> Sequence[Feedback]:
    from agentrt.store.answers import Answers

    return await Answers(journal).feedback()


def _tuned(feedback: Sequence[Feedback], max_error_rate: float, confidence: float) -> list[Proposal]:
    try:
        from agentrt.semcache.regions import tuned
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, which learning from feedback needs: pip install 'agentrt[semcache]'"
        ) from error
    return tuned(feedback, max_error_rate, confidence) if feedback else []


def _json(one: Proposal) -> dict[str, Any]:
    found = one.threshold
    return {
        **_region(one),
        "feedback": one.feedback,
        "wrong": one.wrong,
        "threshold": None if found is None else found.score,
        "hit_rate": None if found is None else found.hit_rate,
        "error_limit": None if found is None else found.limit,
    }


def _region(one: Proposal) -> dict[str, Any]:
    """A shelf with all its names, or a category alone."""
    if isinstance(one.region, str):
        return {"category": one.region, "scope": None, "fingerprint": None}
    return one.region._asdict()


def _lines(found: list[Proposal], max_error_rate: float, confidence: float) -> Iterator[str]:
    from agentrt.semcache.bound import fewest

    if not found:
        yield "Nothing was judged yet; the answers of shadows are, and those that people judge"
        return
    names = [_name(one) for one in found]
    width = min(60, max(8, *map(len, names)))
    yield f"{'CATEGORY':{width}}  {'JUDGED':>8}  {'WRONG':>6}  {'THRESHOLD':>9}  {'HITS':>6}  {'ERROR AT MOST':>13}"
    for name, one in zip(names, found, strict=True):
        yield f"{name:{width}}  {one.feedback:>8,}  {one.wrong / one.feedback:>6.1%}  {_promise(one)}"
    if any(one.threshold is None for one in found):
        yield ""
        yield (
            f"none: no threshold is shown to keep {max_error_rate:.3g} with a confidence of {confidence:.3g}; "
            f"that takes {fewest(max_error_rate, confidence):,} hits without a mistake, more with some"
        )


def _name(one: Proposal) -> str:
    from agentrt.ui.words import one_line

    told = _region(one)
    return one_line(" ".join(str(told[name])[:24] for name in ("category", "scope", "fingerprint") if told[name]))


def _promise(one: Proposal) -> str:
    if one.threshold is None:
        return f"{'none':>9}"
    return f"{one.threshold.score:>9.3f}  {one.threshold.hit_rate:>6.1%}  {one.threshold.limit:>13.2%}"
