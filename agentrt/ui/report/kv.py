"""The KV cache in a page: what the engine said of its tiers over time, what the turns' prompts found in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agentrt.ui.folds.kv import ContextView, TurnPoint
from agentrt.ui.folds.kv_engine import EnginePoint, EngineView
from agentrt.ui.report.charts import Curve, figure
from agentrt.ui.report.escaping import line
from agentrt.ui.report.reading import Report
from agentrt.ui.words import counted, duration, share

MOST_CONTEXTS: Final = 100


def kv_html(report: Report) -> Iterator[str]:
    """The section; nothing for a run that asked no model."""
    kv = report.kv
    if not kv.sent:
        return
    total = kv.total
    yield '<h2 id="kv">KV cache</h2>\n'
    yield (
        f"<p><b>{share(total.cached, total.prompt)}</b> of {total.prompt:,} prompt tokens came from the cache; "
        f"{total.regenerated:,} that a conversation had before were computed again. "
        f"{counted(kv.hints, 'hint')} went to the engine.</p>\n"
    )
    if not kv.engines:
        yield '<p class="soft">No engine said what its cache holds; the numbers are those of the turns.</p>\n'
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
    contexts = list(report.kv.contexts.values())
    if not contexts:
        return
    heads = ("Context", "Agent", "Turns", "Tokens", "Cached", "Again", "Device", "Host", "State")
    yield '<h3>Conversations and fixed prompts</h3><div class="scroll"><table><tr>'
    yield "".join(f"<th>{one}" for one in heads)
    shown = sorted(contexts, key=lambda one: -one.prompt)[:MOST_CONTEXTS]
    own = f"{report.row.id}/"
    for one in shown:
        held = (f"{one.device:,}", f"{one.host:,}") if one.sampled is not None else ("", "")
        cells = (
            f"{one.turns:,}",
            f"{one.tokens:,}",
            share(one.cached, one.prompt) if one.prompt else "",
            f"{one.regenerated:,}" if one.turns else "",
            *held,
        )
        numbers = "".join(f'<td class="n">{cell}' for cell in cells)
        yield f"<tr><td>{line(one.name.removeprefix(own))}<td>{line(one.agent)}{numbers}<td>{_state(one, report.now)}\n"
    yield "</table></div>\n"
    if len(contexts) > len(shown):
        yield f'<p class="cut">… and {len(contexts) - len(shown):,} more</p>\n'


def _state(context: ContextView, now: float) -> str:
    steps = (
        f", {counted(context.steps, 'step')} to execution" if context.steps is not None and not context.ended else ""
    )
    left = context.left(now)
    due = f", {duration(left)} left" if left is not None else ""
    return f"{context.state(now)}{steps}{due}"
