"""What a model was sent, with the part that its engine had in its cache.

An engine says how many tokens of a prompt it found in its cache, not which characters they stand for; a cached part is
always the beginning. So its count is laid over the text: tokens are taken to be as long everywhere between two places
of which the count is known. These are the prompt's beginning, its end, and, where the context has grown by whole turns,
each earlier turn: what that was sent, and what it answered. Where the cached part ends is therefore an estimate, unless
nothing or everything was cached. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from agentrt.store.rows import StepStory
from agentrt.types import Usage
from agentrt.ui.folds.stories import Call, called
from agentrt.ui.model import RunView, StepView

_FRAME: Final = 16
"""Characters that a message weighs beside its own: its role and its ends take some tokens in every template."""

_TOOL: Final = 120
"""Characters that a tool weighs beside its name and its description: its parameters, which a journal has not."""


class Sent(NamedTuple):
    """One message. ``of`` names the tool whose result it is. ``cached`` counts the characters of its text that came
    from the cache, ``None`` before the engine has said how many tokens did; ``whole``: so did all of it."""

    role: str
    text: str
    calls: tuple[Call, ...]
    of: str
    cached: int | None
    whole: bool = False


class Prompt(NamedTuple):
    """``requests`` counts those that ``usage`` is the sum of; ``usage`` is ``None`` before the engine has told it."""

    messages: tuple[Sent, ...]
    usage: Usage | None
    requests: int
    schema: Mapping[str, Any] | None

    @property
    def certain(self) -> bool:
        """Whether it is known where the cached part ends: at the beginning, or at the end."""
        return self.usage is not None and (not self.usage.cached or _everything(self.usage))


def prompt_of(step: StepView, story: StepStory, view: RunView) -> Prompt:
    """What the model was sent last; without messages as long as it was sent nothing."""
    usage = step.usage if step.usage.prompt else None
    sends = [entry["data"] for entry in story.entries if entry["kind"] == "sent"]
    sent = story.messages[: sends[-1]["count"]] if sends else ()  # a replay may not be there yet
    weights = [_weight(message) for message in sent]
    if weights and sent[0]["role"] == "system":
        weights[0] += sum(_tool_weight(tool) for tool in story.tools)
    ends = list(accumulate(weights))
    boundary = -1.0 if usage is None else _boundary(usage, ends, _known(step, sent, view, len(sends)))
    names = {one[0]: one[1] for message in sent for one in message.get("tool_calls") or ()}
    starts = [0, *ends]
    messages = tuple(
        _sent(message, names, None if usage is None else (boundary - start) / (end - start))
        for message, start, end in zip(sent, starts, ends, strict=False)
    )
    return Prompt(messages, usage, max(1, len(sends)), sends[-1].get("schema") if sends else None)


def turns_of(view: RunView, session: str) -> list[StepView]:
    """The model turns of one context, in the order in which they began."""
    turns = [one for one in view.steps.values() if one.turn is not None and one.turn.session == session]
    return sorted(turns, key=lambda one: one.added if one.started is None else one.started)


def _weight(message: Mapping[str, Any]) -> int:
    calls = message.get("tool_calls") or ()
    return _FRAME + len(message.get("content") or "") + sum(_FRAME + len(one[1]) + len(one[2]) for one in calls)


def _tool_weight(tool: Mapping[str, Any]) -> int:
    return _TOOL + len(tool.get("name") or "") + len(tool.get("description") or "")


def _everything(usage: Usage) -> bool:
    """An engine computes at least the last token of every prompt."""
    return usage.cached >= usage.prompt - 1


def _known(step: StepView, sent: Sequence[Mapping[str, Any]], view: RunView, requests: int) -> list[tuple[int, int]]:
    """Places of which the tokens before them are known, as (messages before it, tokens before it).

    Only of a context that has grown by the earlier turns' answers and nothing else that a model said, each turn being
    one request: otherwise it is not known which message is whose.
    """
    if step.turn is None or step.turn.session is None or requests != 1:
        return []
    turns = turns_of(view, step.turn.session)
    earlier = turns[: turns.index(step)] if step in turns else []
    said = [number for number, message in enumerate(sent) if message["role"] == "assistant"]
    if len(said) != len(earlier):
        return []
    usages = [one.usage for one in earlier]
    places = [
        place
        for number, usage in zip(said, usages, strict=True)
        for place in ((number, usage.prompt), (number + 1, usage.prompt + usage.completion))
    ]
    counts = [0, *(tokens for _, tokens in places), step.usage.prompt]
    return places if all(before < after for before, after in pairwise(counts)) else []


def _boundary(usage: Usage, ends: Sequence[int], known: Iterable[tuple[int, int]]) -> float:
    """Where the cached part ends, in the characters that the messages weigh."""
    if not ends or not usage.cached:
        return 0.0
    if _everything(usage):
        return float(ends[-1])
    points = [(0, 0), *((ends[number - 1] if number else 0, tokens) for number, tokens in known)]
    points.append((ends[-1], usage.prompt))
    at = bisect_left([tokens for _, tokens in points], usage.cached, lo=1)
    (start, least), (end, most) = points[at - 1], points[at]
    return start + (end - start) * (usage.cached - least) / (most - least)


def _sent(message: Mapping[str, Any], names: Mapping[str, str], share: float | None) -> Sent:
    """``share`` says how much of it lies before the boundary, as a number that may be below 0, or above 1."""
    text = message.get("content") or ""
    calls = tuple(called(*one) for one in message.get("tool_calls") or ())
    of = names.get(message.get("tool_call_id") or "", "")
    if share is None:
        return Sent(str(message["role"]), text, calls, of, None)
    whole = share > 1 - 1e-9
    cached = len(text) if whole else round(len(text) * min(1.0, max(0.0, share)))
    return Sent(str(message["role"]), text, calls, of, cached, whole)
