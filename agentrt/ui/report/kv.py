"""The KV cache in a page: what the engine said of its tiers over time, what the turns' prompts found in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agentrt.ui.drawing.kv_table import MORE, NAME, NUMBERS
from agentrt.ui.drawing.kv_words import answer, silence
from agentrt.ui.folds.kv import TurnPoint
from agentrt.ui.folds.kv_engine import EnginePoint, EngineView
from agentrt.ui.report.charts import Curve, figure
from agentrt.ui.report.escaping import html, line
from agentrt.ui.report.reading import Report
from agentrt.ui.words import counted

MOST_CONTEXTS: Final = 100

_TAG: Final = {False: "<td>", True: '<td class="n">'}
"""How a cell begins, whether it holds a number or not."""


def kv_html(report: Report) -> Iterator[str]:
    """The section; nothing for a run that asked no model."""
    kv = report.kv
    if not kv.sent:
        return
    yield '<h2 id="kv">KV cache</h2>\n'
    yield f"<p>{html(answer(kv))} {counted(kv.hints, 'hint')} went to the engine.</p>\n"
    if kv.sent and not kv.engines:
        yield f'<p class="soft">{html(silence(kv))}</p>\n'
    yield '<div class="charts">\n'
    yield _turns(kv.turns.points, report.now)
    for engine in kv.engines.values():
        yield from _engine(engine, report.now)
    yield "</div>\n"
    yield from _contexts(report)


def _turns(points: Sequence[TurnPoint], now: float) -> str:
    last = [*points, points[-1]._replace(at=now)] if points else []
    curves = [
        Curve("prompt tokens", "a", [(one.at, one.prompt) for one in last]),
        Curve("from the cache", "b", [(one.at, one.cached) for one in last]),
        Curve("computed again", "e", [(one.at, one.regenerated) for one in last]),
    ]
    return figure("Prompts of this run, in sum", curves, now)


def _engine(engine: EngineView, now: float) -> Iterator[str]:
    points = engine.series.points
    if not points:
        return
    name = engine.model
    if engine.full:
        curves = [
            Curve("in use", "a", [(one.at, one.locked) for one in points]),
            Curve("kept by hints", "b", [(one.at, one.kept) for one in points]),
            Curve("evictable", "c", [(one.at, one.evictable) for one in points]),
            Curve("free", "d", [(one.at, one.free) for one in points]),
        ]
        yield figure(f"Device tier of {name}, {engine.pool:,} tokens", curves, now, stacked=True, top=engine.pool)
        if engine.host:
            host = [Curve("in the host tier", "f", [(one.at, one.host) for one in points])]
            yield figure(f"Host tier of {name}, {engine.host:,} tokens", host, now, stacked=True, top=engine.host)
    yield figure(f"What {name} did meanwhile, all runs, in tokens", list(_counts(points)), now)


def _counts(points: Sequence[EnginePoint]) -> Iterator[Curve]:
    yield Curve("evicted", "c", [(one.at, one.evicted) for one in points])
    yield Curve("of that hinted", "e", [(one.at, one.hinted) for one in points])
    yield Curve("prefetched", "b", [(one.at, one.prefetched) for one in points])
    yield Curve("loaded, waited for", "a", [(one.at, one.loaded) for one in points])


def _contexts(report: Report) -> Iterator[str]:
    found = sorted(report.kv.contexts.values(), key=lambda one: -one.prompt)
    if not found:
        return
    columns = (NAME, *NUMBERS, *MORE)
    yield '<h3>Conversations and fixed prompts</h3><div class="scroll"><table><tr>'
    yield "".join(f"<th>{one.title.capitalize()}" for one in columns) + "<th>State\n"
    for one in found[:MOST_CONTEXTS]:
        cells = (f"{_TAG[column.right]}{line(column.cell(one, report.now).text)}" for column in columns)
        yield f"<tr>{''.join(cells)}<td>{one.state(report.now)}\n"
    yield "</table></div>\n"
    if len(found) > MOST_CONTEXTS:
        yield f'<p class="cut">… and {len(found) - MOST_CONTEXTS:,} more</p>\n'
