"""A report as one HTML file: it loads nothing, and whatever models and graders wrote stays text. Pure."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentrt.benchmarks.harness.words import harmless, percent_between, took

if TYPE_CHECKING:
    from agentrt.benchmarks.harness.entries import Outcome, Verdict
    from agentrt.benchmarks.harness.report import Report
    from agentrt.benchmarks.harness.stats import Interval

_HERE: Final = Path(__file__).parent
_POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
)
_LONGEST: Final = 600
_BAR: Final = 160


def page(report: Report) -> str:
    """The whole file."""
    parts = [
        f"<h1>{html(report.title)}</h1>",
        f'<p class="soft">{html(report.where)}</p>',
        *_scores(report),
        "<h2>What it took</h2>",
        table(("", "", ""), [(one.name, one.value, one.more) for one in report.figures]),
        *_entries(report),
        *_told(report),
    ]
    return document(report.title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """A file of these parts, which are HTML; the title is not."""
    style, script = (_read(name) for name in ("page.css", "page.js"))
    policy = _POLICY.format(_digest(style), _digest(script))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>{html(title)}</title>\n<style>{style}</style>\n'
        "</head>\n<body>\n" + "\n".join(parts) + f"\n<script>{script}</script>\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Texts in rows; the first column is their names."""
    heads = f"<thead><tr>{''.join(f'<th>{html(one)}</th>' for one in head)}</tr></thead>" if any(head) else ""
    body = "".join(
        f"<tr><th>{html(name)}</th>{''.join(f'<td>{html(one)}</td>' for one in rest)}</tr>" for name, *rest in rows
    )
    return f'<div class="scroll"><table>{heads}<tbody>{body}</tbody></table></div>'


def interval(found: Interval, low: float = 0.0, high: float = 1.0) -> str:
    """A figure and its interval as a picture on a line from ``low`` to ``high``."""
    scale = _BAR / ((high - low) or 1.0)
    left, right, at = ((min(max(one, low), high) - low) * scale for one in (found.low, found.high, found.value))
    return (
        f'<svg width="{_BAR + 4}" height="16" viewBox="0 0 {_BAR + 4} 16" role="img" '
        f'aria-label="{found.value:.3g}, from {found.low:.3g} to {found.high:.3g}">'
        f'<rect class="axis" x="2" y="7" width="{_BAR}" height="2"/>'
        f'<rect class="range" x="{left + 2:.1f}" y="3" width="{max(right - left, 1):.1f}" height="10"/>'
        f'<rect class="point" x="{at + 1:.1f}" y="1" width="2" height="14"/></svg>'
    )


def html(text: object) -> str:
    """The text for a place between tags, or inside the quotes of an attribute."""
    return escape(harmless(text))


def _scores(report: Report) -> Iterator[str]:
    if not report.scores:
        yield "<h2>Score</h2><p>Nothing was judged.</p>"
        return
    rows = "".join(
        f'<tr><td>{html(one.name)}</td><td class="n">{one.of:,}</td>'
        f'<td class="n">{percent_between(one.share)}</td><td>{interval(one.share)}</td></tr>'
        for one in report.scores
    )
    head = (
        "<thead><tr><th>category</th><th>entries</th><th>score and its 95% interval</th><th>0 to 100%</th></tr></thead>"
    )
    yield f'<h2>Score</h2><div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _entries(report: Report) -> Iterator[str]:
    names = (
        "entry",
        "category",
        "run",
        "score",
        "time",
        "steps",
        "turns",
        "tools",
        "prompt",
        "cached",
        "generated",
        "why",
    )
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_entry(one, report.verdicts.get(one.entry)) for one in report.outcomes)
    yield (
        f'<h2>Entries</h2><div class="scroll"><table class="sorts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _entry(one: Outcome, verdict: Verdict | None) -> str:
    took_part = one.measures
    look = "" if verdict is None else "good" if verdict.score >= 1 else "bad"
    score = "-" if verdict is None else f"{verdict.score:g}"
    why = "; ".join(text for text in (one.error, verdict.why if verdict else "") if text)
    counts = (
        took_part.steps,
        took_part.turns,
        took_part.tools,
        took_part.prompt,
        took_part.cached,
        took_part.completion,
    )
    return (
        f"<tr><td>{html(one.entry)}</td><td>{html(one.category)}</td>"
        f'<td class="{"" if one.status == "done" else "bad"}">{html(one.status)}</td>'
        f'<td class="n {look}" data-n="{-1 if verdict is None else verdict.score}">{score}</td>'
        f'<td class="n" data-n="{took_part.seconds}">{took(took_part.seconds)}</td>'
        + "".join(f'<td class="n" data-n="{number}">{number:,}</td>' for number in counts)
        + f'<td class="why">{html(_cut(why))}</td></tr>'
    )


def _told(report: Report) -> Iterator[str]:
    rows = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in report.told.items()]
    yield "<h2>What was run</h2>"
    yield table(("", ""), rows)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
