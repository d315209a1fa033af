"""What the report says of a run of this benchmark beside what all have: patches, and what tool calls took. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentrt.benchmarks.harness.entries import Outcome
from agentrt.benchmarks.harness.stats import percentile
from agentrt.benchmarks.harness.words import counted, took


def figures(outcomes: Sequence[Outcome], patches: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Lines for the report: name, value, and what else is to be said."""
    calls = [call for one in outcomes for call in calls_of(one)]
    return [_patches(outcomes, patches), *(_calls(calls) if calls else ())]


def calls_of(outcome: Outcome) -> Sequence[Mapping[str, Any]]:
    """The tool calls that an entry's output tells of."""
    output = outcome.output if isinstance(outcome.output, dict) else {}
    return output.get("calls") or ()


def _patches(outcomes: Sequence[Outcome], patches: Mapping[str, str]) -> tuple[str, str, str]:
    some = sum(bool(patch.strip()) for patch in patches.values())
    submitted = sum(isinstance(one.output, dict) and bool(one.output.get("submitted")) for one in outcomes)
    return "patches", f"{some} of {len(patches)}", f"not empty; {submitted} submitted by the agent itself"


def _calls(calls: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    kinds = Counter(str(call["tool"]) for call in calls)
    named = ", ".join(f"{number:,} {name}" for name, number in kinds.most_common())
    yield "tool calls", f"{len(calls):,}", named
    ran = [call for call in calls if call["seconds"]]
    if not ran:
        return
    seconds = [float(call["seconds"]) for call in ran]
    yield "  in the sandbox p50, p95", f"{took(percentile(seconds, 0.5))}, {took(percentile(seconds, 0.95))}", ""
    memory = [float(call["peak_memory"]) / 2**20 for call in ran]
    yield (
        "  peak memory p50, most",
        f"{percentile(memory, 0.5):,.0f} MiB, {max(memory):,.0f} MiB",
        counted(len(ran), "call"),
    )
    cpu = [float(call["cpu_s"]) for call in ran]
    yield "  CPU of them", took(sum(cpu)), f"at most {took(max(cpu))} in one call"
    ended = Counter(str(call["killed_by"]) for call in ran if call["killed_by"])
    yield "  ended by a limit", str(sum(ended.values())), ", ".join(f"{n} {name}" for name, n in ended.items())
