"""What hints did, on SGLang's own ``/metrics``: counted by the ledger, exported at most once a second.

    agentrt_kv_hints_total{outcome}           accepted, clipped by the budget, ignored, expired
    agentrt_kv_protected_tokens               tokens that hints protect now
    agentrt_kv_evicted_tokens_total{tier,class}   device or host; ended, unhinted or hinted
    agentrt_kv_prefetched_tokens_total        loaded from the host tier ahead of a request
    agentrt_kv_prefetched_in_vain_tokens_total    of those, evicted again before one came

Each has the labels of SGLang's own counters: model, ranks, and what the server adds to them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agentrt.kvcache.sglang.counts import Counts

logger = logging.getLogger(__name__)

PERIOD = 1.0
"""Seconds between two exports."""

COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "agentrt_kv_hints": ("Hints by what became of them.", ("outcome",)),
    "agentrt_kv_evicted_tokens": ("Tokens evicted, by tier and by what hints said of them.", ("tier", "class")),
    "agentrt_kv_prefetched_tokens": ("Tokens loaded from the host tier ahead of a request.", ()),
    "agentrt_kv_prefetched_in_vain_tokens": ("Tokens prefetched and evicted before a request came.", ()),
}
"""Counters by name, which Prometheus ends in ``_total``: their meaning and our labels."""


def export(_: None, scheduler: Any, *__: Any) -> None:
    """Bring ``/metrics`` up to date; runs after each round of a scheduler's loop, and does so once a second."""
    exporter = getattr(scheduler, "agentrt_exporter", None)
    if exporter is None:
        exporter = scheduler.agentrt_exporter = Exporter.of(scheduler)
    if exporter.due(time.monotonic()):
        try:
            ledger = scheduler.agentrt_desk.ledger
            if ledger is not None:
                exporter.export(ledger.counts)
        except Exception:
            logger.exception("agentrt: hints are not counted on /metrics from now on")
            scheduler.agentrt_exporter = Exporter(None)


class Exporter:
    """Writes ``Counts`` to Prometheus under ``labels``; with None for labels it is never due.

    ``client`` is the module ``prometheus_client``, which must be imported only after SGLang has said where its
    processes share their numbers.
    """

    def __init__(self, labels: Mapping[str, Any] | None, client: Any = None) -> None:
        self._labels = dict(labels or {})
        self._next = 0.0 if labels is not None else float("inf")
        self._exported: dict[tuple[str, tuple[str, ...]], int] = {}
        if labels is not None:
            self._declare(client)

    @classmethod
    def of(cls, scheduler: Any) -> Exporter:
        """The exporter for a scheduler: one that is never due where the server runs without metrics."""
        if not scheduler.metrics_reporter.current_scheduler_metrics_enabled:
            return cls(None)
        return cls(scheduler.metrics_collector.labels, import_module("prometheus_client"))

    def due(self, now: float) -> bool:
        """Whether a second has gone by since this last said yes."""
        if now < self._next:
            return False
        self._next = now + PERIOD
        return True

    def export(self, counts: Counts) -> None:
        """Add what is new since the last time."""
        for name, ours, total in _totals(counts):
            known = self._exported.get((name, ours), 0)
            counter = self._counters[name]
            named = dict(zip(COUNTERS[name][1], ours, strict=True))
            counter.labels(**self._labels, **named).inc(max(0, total - known))
            self._exported[name, ours] = total
        self._protected.labels(**self._labels).set(counts.protected)

    def _declare(self, client: Any) -> None:
        names = [*self._labels]
        self._counters = {
            name: client.Counter(name, meaning, [*names, *ours]) for name, (meaning, ours) in COUNTERS.items()
        }
        self._protected = client.Gauge(
            "agentrt_kv_protected_tokens", "Tokens that hints protect now.", names, multiprocess_mode="mostrecent"
        )


def _totals(counts: Counts) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Each counter with the values of our labels and its total."""
    for outcome in ("accepted", "clipped", "ignored", "expired"):
        yield "agentrt_kv_hints", (outcome,), getattr(counts, outcome)
    for tier, classes in counts.evicted.items():
        for kind, tokens in classes.items():
            yield "agentrt_kv_evicted_tokens", (tier, kind), tokens
    yield "agentrt_kv_prefetched_tokens", (), counts.prefetched
    yield "agentrt_kv_prefetched_in_vain_tokens", (), counts.prefetched_in_vain
