"""What is known of a run's KV cache, in words."""

from __future__ import annotations

from agentrt.ui.folds.kv import KvView
from agentrt.ui.folds.kv_engine import EngineView
from agentrt.ui.words import duration, one_line, share


def answer(kv: KvView) -> str:
    """Whether the cache is helping, in one line: of all prompts of the run, by the engine's own count of each turn."""
    total = kv.total
    if not kv.sent:
        return "No model has been asked."
    if not total.turns:
        return "No turn has been answered; the first one says what came from the cache."
    told = [f"{share(total.cached, total.prompt)} of {total.prompt:,} prompt tokens came from the cache"]
    if not total.cached:
        told[0] += " (a server may leave out saying so: SGLang does without --enable-cache-report)"
    again = f"{total.regenerated:,} had been there before and were computed again"
    told.append(again if total.regenerated else "none was computed twice")
    if fetched := sum(one.now.prefetched for one in kv.engines.values() if one.now is not None):
        in_vain = sum(one.now.in_vain for one in kv.engines.values() if one.now is not None)
        told.append(f"{fetched:,} were fetched ahead" + (f", {in_vain:,} of them in vain" if in_vain else ""))
    return "; ".join(told) + "."


def silence(kv: KvView) -> str:
    """Why no engine is heard here; empty when one is."""
    if kv.engines or not kv.sent:
        return ""
    if kv.hints:
        return "The engine was sent hints and has said nothing of its cache so far."
    return (
        "No engine has said anything of its cache: the server is no SGLang with agentrt's tree, or the run was started "
        "with --kv none. What follows is what the turns tell."
    )


def heard(engine: EngineView, now: float, *, over: bool, brief: bool = False) -> str:
    """What an engine says of itself, and when it said so; ``over``: the run has ended; ``brief``: on one line."""
    when = f"last sample at {duration(engine.at)}" if over else f"sample {duration(max(0.1, now - engine.at))} ago"
    told = [f"{one_line(engine.model)}: {when}"]
    if engine.now is not None and engine.full:
        told.append(f"{engine.now.running:,} running, {engine.now.queued:,} queued (all runs)")
    if engine.budget and not brief:
        told.append(f"hints may keep {engine.budget:.0%}")
    return " · ".join(told)


def happened(engine: EngineView) -> str:
    """What the engine did to its tiers since the run's first sample, for all of its runs."""
    point = engine.now
    if point is None:
        return ""
    evicted = f"tokens, all runs: evicted {point.evicted:,}"
    if point.evicted:
        evicted += f" (ended {point.ended:,}, unhinted {point.unhinted:,}, hinted {point.hinted:,})"
    told = [evicted]
    if engine.host:
        told.append(f"fetched ahead {point.prefetched:,} (in vain {point.in_vain:,}), late {point.loaded:,}")
    told.append(f"prompts {point.prompt:,}, {share(point.cached, point.prompt)} cached")
    return " · ".join(told)
