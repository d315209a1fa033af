"""Answers with the ground truth, in place of a model: what the whole path must let through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentrt.benchmarks.bfcl.official import Kind
from agentrt.benchmarks.bfcl.truth import Calls, spoken
from agentrt.executors.base import Emit, ignore
from agentrt.types import ModelReply, ModelRequest


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be said in one run: ``replies`` in order; ``before`` counts those that its question quotes."""

    replies: Sequence[Calls]
    before: int


class Oracle:
    """A ``ModelExecutor`` that knows what each run has to hear; how far a run is, the request itself says."""

    name = "oracle"
    limit = None

    def __init__(self, runs: Mapping[str, Said], kind: Kind) -> None:
        self._runs = runs
        self._kind: Kind = kind

    async def prepare(self) -> None:
        """It is always ready."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """The next reply of the run that asks."""
        said = self._runs[request.run]
        number = sum(message.role == "assistant" for message in request.messages) - said.before
        reply = spoken(said.replies[number], self._kind, number)
        emit(reply.text)
        return reply

    async def close(self) -> None:
        """It holds nothing."""
