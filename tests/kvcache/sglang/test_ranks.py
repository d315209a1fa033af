"""Hints on an engine of several scheduler processes: every one hears all of them, in one order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentrt.engine import EngineSpec
from agentrt.testing.engine import real_engine
from tests.kvcache.sglang.conftest import LONG, POOL, Hinted, about, client_of

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@contextmanager
def engine_of(processes: int, patch: pytest.MonkeyPatch, **extra: object) -> Iterator[Hinted]:
    """An engine of so many schedulers, each bound to a core as SGLang wants it on a CPU."""
    cores = sorted(os.sched_getaffinity(0))
    bound = "|".join(str(cores[one % len(cores)]) for one in range(processes))
    patch.setenv("SGLANG_CPU_OMP_THREADS_BIND", bound)
    metrics = {"enable_metrics": True, "enable_metrics_for_all_schedulers": True}
    spec = EngineSpec(device="cpu", max_total_tokens=POOL, extra={**metrics, **extra})
    with real_engine(spec) as engine, client_of(engine) as http:
        yield Hinted(engine, http)


def by_rank(hinted: Hinted) -> dict[str, set[str]]:
    """What each rank counted, by ``tp_rank``."""
    found: dict[str, set[str]] = {}
    for name, labels, value in hinted.metrics():
        found.setdefault(labels.pop("tp_rank"), set()).add(f"{name} {sorted(labels.items())} {value}")
    return found


def test_tensor_parallel_ranks_decide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ranks of one model take the same hints, let them expire alike, and evict the same tokens."""
    with engine_of(3, monkeypatch, tp_size=3) as hinted:  # three heads: the number that divides
        prompt, session, short = hinted.prompt(LONG), hinted.session(), hinted.session()
        hinted.ask(prompt, session)
        hinted.ask(hinted.prompt(LONG), short)
        tally = hinted.hint(about(session, steps=1), about(short, steps=0, keep=0.5), about(session, steps=9))
        assert tally == [{"accepted": 2, "ignored": 1, "clipped": 0}]
        hinted.until(lambda state: state["totals"]["valid"] == 1)
        hinted.flood(2 * POOL)
        assert hinted.ask(prompt, session).device >= LONG - 1
        hinted.until(lambda _: hinted.counted("agentrt_kv_hints_total", outcome="expired") == 3)
        hinted.until(lambda _: len({frozenset(told) for told in by_rank(hinted).values()}) == 1)
        assert sorted(by_rank(hinted)) == ["0", "1", "2"]
        assert hinted.counted("agentrt_kv_hints_total", outcome="accepted", tp_rank="2") == 2
        assert hinted.counted("agentrt_kv_evicted_tokens_total", tier="device", tp_rank="2") > POOL


def test_every_replica_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two replicas a batch is tallied by both, and both hold its hint until it ends."""
    with engine_of(2, monkeypatch, dp_size=2) as hinted:
        session = hinted.session()
        assert hinted.hint(about(session, steps=1)) == [{"accepted": 1, "ignored": 0, "clipped": 0}] * 2
        states = hinted.http.get("/agentrt/kv").json()["schedulers"]
        assert [one["totals"]["valid"] for one in states] == [1, 1]
        told = hinted.http.get("/agentrt/capability").json()
        assert (told["schedulers"], told["pool"]) == (2, 2 * POOL)
        hinted.hint(about(session, generation=2, ended=True))
        states = hinted.http.get("/agentrt/kv").json()["schedulers"]
        assert [one["totals"]["valid"] for one in states] == [0, 0]
