"""A run as one HTML file: nothing is loaded from anywhere, and all that matters is there without its script. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from agentrt import __version__
from agentrt.graph.render.svg import to_svg
from agentrt.types import StepId
from agentrt.ui.drawing.glyphs import STATUS_GLYPH, STATUS_LOOK
from agentrt.ui.folds.folding import MOST
from agentrt.ui.folds.stories import plain_text
from agentrt.ui.folds.timeline import slowest, summary
from agentrt.ui.model import StepView
from agentrt.ui.report import charts, gantt
from agentrt.ui.report.escaping import html, line
from agentrt.ui.report.graph import drawing_of
from agentrt.ui.report.kv import kv_html
from agentrt.ui.report.reading import Report
from agentrt.ui.report.steps import HEADS, Cutter, lines, state_of
from agentrt.ui.words import counted, duration, share

_HERE: Final = Path(__file__).parent
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
)
_NAMES: Final = 8


def page_of(report: Report, steps: Sequence[StepView], stories: Mapping[StepId, str], cutter: Cutter) -> Iterator[str]:
    """The page, piece by piece. ``steps`` are those that are listed, ``stories`` those that are told."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    policy = _POLICY.format(b64encode(sha256(script.encode()).digest()).decode())
    yield from _head(report, policy, cutter)
    yield from _facts(report)
    yield from _inputs(report, cutter)
    yield from _graph(report)
    yield from _times(report)
    yield from kv_html(report)
    yield from _steps(report, steps, stories)
    yield from _footer(report, steps, stories, cutter)
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _head(report: Report, policy: str, cutter: Cutter) -> Iterator[str]:
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    view, row = report.view, report.row
    look, sign = STATUS_LOOK[report.status], STATUS_GLYPH[report.status]
    began = datetime.fromtimestamp(row.wall, UTC).astimezone()
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{line(view.program)} · {html(report.status)} · {line(row.id)}</title>\n"
        f"<style>\n{style}\n{gantt.STYLE}\n{charts.STYLE}\n</style>\n</head>\n<body>\n"
        f'<header><h1><span class="u">{line(view.program)}</span> '
        f'<span class="chip {look}">{sign} {html(report.status)}</span></h1>\n'
        f'<p class="soft">run <code>{line(row.id)}</code> · began {began:%Y-%m-%d %H:%M:%S %Z} · '
        f"<code>{line(row.target)}</code>{' · a fork of ' + line(row.origin) if row.origin else ''}</p>\n"
    )
    if report.live:
        yield f'<p class="running"><b>▶ Still running: this is how it stood after {duration(report.now)}.</b></p>\n'
    yield from _error(report.error, cutter)
    links = "".join(f' <a href="#{name}">{word}</a>' for name, word in _parts(report))
    yield f"<nav>{links}</nav></header>\n<main>\n"


def _parts(report: Report) -> list[tuple[str, str]]:
    """The sections that there are."""
    asked = [("kv", "KV cache")] if report.kv.sent else []
    return [("graph", "Graph"), ("time", "Time"), *asked, ("list", "Steps")] if report.view.total else []


def _error(error: Mapping[str, Any] | None, cutter: Cutter) -> Iterator[str]:
    if error is None:
        return
    story = "\n".join(map(str, error["story"]))
    yield f'<div class="error"><b class="bad u">✗ {line(error["message"], 2_000)}</b>'
    yield f"{cutter.pre(story)}</div>\n" if story else "</div>\n"


def _facts(report: Report) -> Iterator[str]:
    view, used = report.view, report.view.usage
    counts = Counter(view.counts)
    states = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
    facts = [
        ("Took" if view.ended else "So far", duration(report.now), ""),
        ("Steps", f"{view.total:,}", states),
    ]
    if used.prompt or used.completion:
        turns = sum(step.turn is not None for step in view.steps.values())
        facts += [
            ("Tokens", f"{used.prompt + used.completion:,}", f"{used.prompt:,} prompt, {used.completion:,} generated"),
            ("From the cache", share(used.cached, used.prompt), f"{used.cached:,} of the prompt tokens"),
            ("Model turns", f"{turns:,}", ""),
        ]
    yield '<dl class="facts">'
    for name, value, more in facts:
        yield f"<div><dt>{name}</dt><dd>{value}{f'<small>{html(more)}</small>' if more else ''}</dd></div>"
    yield "</dl>\n"


def _inputs(report: Report, cutter: Cutter) -> Iterator[str]:
    told = [(name, plain_text(value)) for name, value in report.view.inputs.items()]
    if report.output is not None:
        told.append(("→ output", plain_text(report.output)))
    if told:
        yield '<dl class="inputs">'
        yield from (f"<dt>{line(name)}</dt><dd>{cutter.pre(text)}</dd>" for name, text in told)
        yield "</dl>\n"


def _graph(report: Report) -> Iterator[str]:
    if not report.view.total:
        yield '<h2 id="graph">Graph</h2><p>No step was called.</p>\n'
        return
    yield '<h2 id="graph">Graph</h2>\n'
    if report.view.total > MOST:
        yield f'<p class="soft">{report.view.total:,} steps; many are drawn as one.</p>\n'
    yield f'<div class="picture">{to_svg(drawing_of(report.view, report.now))}</div>\n'


def _times(report: Report) -> Iterator[str]:
    if not report.view.total:
        return
    picture = gantt.Gantt(report)
    yield f'<h2 id="time">Time</h2>\n<p>{html(summary(report.line, report.path, report.now))}</p>\n'
    names = [f"{line(path[-1])} {duration(seconds)}" for path, seconds in slowest(report.line, report.now, _NAMES)]
    if names:
        yield f'<p class="soft">Longest in sum: <span class="u">{" · ".join(names)}</span></p>\n'
    yield f'<div class="picture wide">{picture.svg()}</div>\n'
    if picture.left_out:
        yield f'<p class="cut">… {counted(picture.left_out, "line")} left out</p>\n'
    if report.path:
        chain = " → ".join(report.path[:40]) + (" → …" if len(report.path) > 40 else "")
        yield f'<p class="soft">Critical path: <span class="u">{line(chain, 4_000)}</span></p>\n'


def _steps(report: Report, steps: Sequence[StepView], stories: Mapping[StepId, str]) -> Iterator[str]:
    yield '<h2 id="list">Steps</h2>\n'
    if not steps:
        return
    gone = report.view.total - len(steps)
    if gone:
        yield (
            f'<p class="cut">{len(steps):,} of {report.view.total:,} steps are listed: those that failed, the critical '
            "path, the first ones of each name, and those that took longest.</p>\n"
        )
    states = "".join(f"<option>{state}" for state in dict.fromkeys(map(state_of, steps)))
    heads = "".join(f'<span><button data-key="{key}">{word}</button></span>' for key, word in HEADS)
    yield (
        '<div class="filters"><input id="find" type="search" placeholder="find in steps" aria-label="find in steps">'
        f'<select id="state" aria-label="state"><option value="">all states{states}</select>'
        '<button id="all">open all</button><span id="count" class="soft"></span></div>\n'
        f'<div class="row head">{heads}</div>\n<div id="steps">\n'
    )
    yield from lines(report, steps, stories)
    yield "</div>\n"


def _footer(report: Report, steps: Sequence[StepView], stories: Mapping[StepId, str], cutter: Cutter) -> Iterator[str]:
    left = []
    if untold := len(steps) - len(stories):
        left.append(f"all but the line of {counted(untold, 'step')}")
    if cutter.left_out:
        left.append(f"{cutter.left_out:,} characters of long texts")
    yield "</main>\n<footer>\n"
    if left:
        yield f"<p>Left out, so that the page stays small: {', and '.join(left)}. The journal has all of it.</p>\n"
    now = datetime.now(UTC).astimezone()
    yield f"<p>Made by agentrt {html(__version__)}, {now:%Y-%m-%d %H:%M %Z}.</p>\n</footer>\n"
