"""The one contract of everything that answers for a model.

A request goes in, a reply comes out, pieces of text are handed over on the way. Limits, recording, caches and
retries are wrappers with this same contract around another executor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from agentrt.types import ModelReply, ModelRequest

Emit: TypeAlias = Callable[[str], None]
"""Takes each piece of text as it is generated; called only while ``execute`` runs. An empty piece says that the
reply has begun."""


def ignore(text: str) -> None:
    """An ``Emit`` for callers who want the reply only."""


class ModelExecutor(Protocol):
    """Answers model turns.

    ``name`` tells executors apart in messages and limits. ``limit`` is how many turns it takes at once; ``None``
    means any number.
    """

    @property
    def name(self) -> str:
        """What messages and limits call it."""
        ...

    @property
    def limit(self) -> int | None:
        """How many turns it takes at once; ``None`` means any number."""
        ...

    async def prepare(self) -> None:
        """Be ready to answer; an engine may have to be started first. This time counts against no step's limit."""
        ...

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """Answer one turn; pieces of the reply's text go to ``emit`` as they come, in order, and join to the text.

        Cancelling the call ends the request at the server too. Raises ``Unreachable`` when the server cannot be
        reached or breaks off, ``Refused`` when it answers with an error, ``PromptTooLong`` when the prompt does not
        fit the model's context.
        """
        ...

    async def close(self) -> None:
        """Give back connections; the executor is not used afterwards. Closing twice is fine."""
        ...
