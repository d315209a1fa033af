"""What was found: tables, verdicts and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.overhead.sheet import Sheet, with_disk
from agentrt.benchmarks.overhead.table import times
from agentrt.benchmarks.semcache.cost import GPTCACHE, KINDS, PREPARED, Score
from agentrt.benchmarks.semcache.large import Large
from agentrt.benchmarks.watch.sheet import Ratio, percentile, ratio

if TYPE_CHECKING:
    from agentrt.benchmarks.semcache.quality import Noise, Quality

MODEL_S: Final = 0.5
"""The model against which a cache has to pay."""

MISS_S: Final = (0.001, 0.003)
"""A miss with its embedding: p50 and p99."""

PREPARED_S: Final = 0.0003
SLOWER: Final = 10.0
PAYS: Final = 0.01
LARGE_MIB: Final = 4_096
INSERTS: Final = 1_000
RESTART_S: Final = 20.0
MIB: Final = 2**20


@dataclass(slots=True)
class Findings:
    """Everything that was measured; ``scores`` ours first."""

    scores: list[Score] = field(default_factory=list)
    quality: list[Quality] = field(default_factory=list)
    noise: Noise | None = None
    large: Large | None = None
    blocks: int = 0
    embedder: str = ""
    breakeven: bool = False


def sheet(found: Findings, folder: str | None) -> Sheet:
    """The tables, the verdicts and what the figures depend on."""
    tables = [table for table in (_costs(found), _fills(found), _quality(found), _large(found)) if len(table) > 1]
    where = with_disk(folder) | {"load at the end": f"{os.getloadavg()[0]:.1f}"}
    return Sheet(_settings(found), tables, list(_remarks(found)), where)


def _settings(found: Findings) -> str:
    if not found.scores:
        return "static embedder" if found.large is not None else f"pairs embedded by {found.embedder}"
    asked = len(found.scores[0].asked(KINDS[0])) // found.blocks
    return f"{found.blocks} blocks of {asked} questions of each kind, all sides in turns; static embedder"


def breakeven(score: Score) -> float | None:
    """The hit rate from which on it pays: what a miss costs more, over what a hit saves."""
    misses, hits = score.right("miss"), score.right("exact hit") + score.right("near hit")
    if not misses or not hits:
        return None
    miss, hit = median(one.before + one.after for one in misses), median(one.before for one in hits)
    return miss / (MODEL_S - hit + miss)


def against(score: Score, ours: Score, kind: str) -> Ratio | None:
    """How many times ours it takes, with its interval over the blocks."""
    both = zip(score.medians(kind), ours.medians(kind), strict=False)
    pairs = [(one, other) for one, other in both if one is not None and other is not None]
    return ratio([one for one, _ in pairs], [other for _, other in pairs]) if pairs else None


def _costs(found: Findings) -> list[list[str]]:
    head = [
        "asked",
        "of",
        "answers kept",
        "p50 ms",
        "p99 ms",
        "times agentrt (95%)",
        "as expected",
        "after the model, p50 ms",
    ]
    return [
        head,
        *(_cost(score, found.scores[0], kind) for kind in KINDS for score in found.scores if score.right(kind)),
    ]


def _cost(score: Score, ours: Score, kind: str) -> list[str]:
    right, asked = score.right(kind), score.asked(kind)
    seconds = [one.before for one in right]
    compared = None if score is ours else against(score, ours, kind)
    after = f"{1e3 * median(one.after for one in right):.2f}" if kind == "miss" else ""
    return [
        kind, score.name, f"{score.entries:,}", f"{1e3 * median(seconds):.3f}", f"{1e3 * percentile(seconds, 99):.3f}",
        "" if compared is None else f"{times(compared.value)} ({times(compared.low)} to {times(compared.high)})",
        f"{len(right) / len(asked):.0%} of {len(asked)}", after,
    ]  # fmt: skip


def _fills(found: Findings) -> list[list[str]]:
    rows = [
        [
            score.name,
            f"{score.entries:,}",
            f"{score.entries / score.filled['seconds']:,.0f}",
            f"{score.filled['mib']:,.0f}",
        ]
        for score in found.scores
        if score.filled
    ]
    return [["filling", "answers", "a second", "MiB resident"], *rows]


def _quality(found: Findings) -> list[list[str]]:
    head = ["bound", "by", "hit rate", "error", "worst split", "splits within the bound", "splits with hits"]
    rows = [
        [
            f"{one.bound:.0%}", name, f"{side.hit_rate:.1%}", f"{side.error:.2%}", f"{side.worst:.1%}",
            f"{side.kept:.0%} of {one.splits}", f"{side.promised:.0%}",
        ]
        for one in found.quality
        for name, side in (("the verifier", one.verifier), ("a cosine", one.cosine), ("the best cosine", one.limit))
    ]  # fmt: skip
    return [head, *rows]


def _large(found: Findings) -> list[list[str]]:
    head = [
        "answers",
        "into the store a second",
        "MiB on disk",
        "restart s",
        "MiB resident",
        "new ones a second",
        "MiB then",
    ]
    one = found.large
    if one is None:
        return [head]
    return [
        head,
        [
            f"{one.entries:,}", f"{one.entries / one.stored:,.0f}", f"{one.bytes / MIB:,.0f}", f"{one.restart:.1f}",
            f"{one.mib:,.0f}", f"{one.more / one.more_seconds:,.0f}", f"{one.mib_more:,.0f}",
        ],
    ]  # fmt: skip


def _remarks(found: Findings) -> Iterator[str]:
    if found.scores:
        yield from _miss(found)
    for score in found.scores:
        if score.problem:
            yield f"{score.name}: {score.problem}"
        if found.breakeven and (rate := breakeven(score)) is not None:
            target = _verdict(rate <= PAYS, f"below {PAYS:.0%}") if score is found.scores[0] else ""
            yield f"{score.name} pays from {rate:.2%} hits on, against a model of {MODEL_S * 1e3:.0f} ms{target}"
    if len(found.scores) > 1:
        yield f"GPTCache {GPTCACHE} with SQLite; its hnswlib index gives ids that SQLite does not know, mended here"
    if found.noise is not None:
        one = found.noise
        yield f"{one.equal:,} pairs differ in case and marks at most; {one.different} of them are labelled different"
    if found.large is not None:
        yield from _many(found.large)


def _miss(found: Findings) -> Iterator[str]:
    ours = found.scores[0]
    if missed := [one.before for one in ours.right("miss")]:
        p50, p99 = median(missed), percentile(missed, 99)
        met = p50 <= MISS_S[0] and p99 <= MISS_S[1]
        yield f"a miss takes {1e3 * p50:.2f} ms (p50), {1e3 * p99:.2f} ms (p99){_verdict(met, '1 ms, 3 ms')}"
    if prepared := [one.before for one in ours.right(PREPARED)]:
        p50 = median(prepared)
        yield f"without the embedding {1e3 * p50:.2f} ms (p50){_verdict(p50 <= PREPARED_S, '0.3 ms')}"
    for score in found.scores[1:]:
        if (compared := against(score, ours, "miss")) is not None:
            target = _verdict(compared.low >= SLOWER, f"{SLOWER:g} times at least")
            yield f"{score.name}: {times(compared.value)} ours for a miss{target}"


def _many(one: Large) -> Iterator[str]:
    rate = one.more / one.more_seconds
    fits = one.mib_more <= LARGE_MIB
    yield f"{one.mib_more:,.0f} MiB with {one.entries:,} answers{_verdict(fits, '4 GiB at 1,000,000')}"
    yield f"{rate:,.0f} new answers a second{_verdict(rate >= INSERTS, f'{INSERTS:,}')}"
    yield f"restart in {one.restart:.1f} s{_verdict(one.restart <= RESTART_S, f'{RESTART_S:g} s at 1,000,000')}"


def _verdict(met: bool, target: str) -> str:
    return f", target {target}: {'met' if met else 'MISSED'}"


def as_json(found: Findings, folder: str | None) -> dict[str, Any]:
    """Everything, as plain JSON."""
    from agentrt.benchmarks.semcache import quality

    return {
        "environment": with_disk(folder) | {"load": os.getloadavg()[0]},
        "model_seconds": MODEL_S,
        "scores": [_score(score, found.scores[0], found.breakeven) for score in found.scores],
        "quality": quality.as_json(found.quality),
        "noise": None if found.noise is None else found.noise._asdict(),
        "large": None if found.large is None else found.large._asdict(),
    }


def _score(score: Score, ours: Score, pays: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for kind in KINDS:
        right: Sequence[float] = [one.before for one in score.right(kind)]
        if not score.asked(kind):
            continue
        compared = None if score is ours else against(score, ours, kind)
        asked[kind] = {
            "asked": len(score.asked(kind)),
            "as_expected": len(right),
            "p50": median(right) if right else None,
            "p99": percentile(right, 99) if right else None,
            "after_p50": median(one.after for one in score.right(kind)) if right else None,
            "times_agentrt": None if compared is None else compared._asdict(),
        }
    return {
        "name": score.name,
        "entries": score.entries,
        "problem": score.problem or None,
        "filled": score.filled,
        "asked": asked,
        "breakeven": breakeven(score) if pays else None,
    }
