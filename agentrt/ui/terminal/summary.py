"""What a run took, in a few lines."""

from __future__ import annotations

from collections import Counter

from agentrt.runtime import RunResult, first_cause
from agentrt.ui.words import counted, duration, share


def summary_lines(result: RunResult[object], waited: float = 0.0) -> list[str]:
    """Steps, time and tokens of a finished run; the line of tokens only where a model was asked.

    ``waited`` is how many seconds of it an engine took to start.
    """
    took = duration(result.seconds)
    longest = duration(result.critical_path_seconds)
    head = f"{result.status} in {took}: {steps_in_words(result)}, critical path {longest}"
    engine = [f"engine: {duration(waited)} to start"] if waited else []
    return [head, *engine, *token_lines(result), *story_lines(result)]


def steps_in_words(result: RunResult[object]) -> str:
    """``12 steps``, with what became of them unless all are done: ``12 steps (1 failed, 3 skipped)``."""
    counts = Counter(step.status for step in result.steps if step.kind != "join")
    total = counted(counts.total(), "step")
    bad = [f"{count:,} {status}" for status, count in counts.items() if status != "done"]
    return f"{total} ({', '.join(bad)})" if bad else total


def token_lines(result: RunResult[object]) -> list[str]:
    """One line of tokens, none when no model was asked."""
    usage = result.usage
    if not (usage.prompt or usage.completion):
        return []
    cached = f"{usage.cached:,} cached, {share(usage.cached, usage.prompt)}"
    return [f"tokens: {usage.prompt:,} prompt ({cached}), {usage.completion:,} generated"]


def story_lines(result: RunResult[object]) -> list[str]:
    """What became of the step that failed first, as its error tells; none for a run that did not fail."""
    cause = first_cause(result.error.__cause__ or result.error) if result.error else None
    return [f"story: {note}" for note in getattr(cause, "__notes__", [])]
