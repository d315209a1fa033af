"""What the runtime's tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agentrt import Runtime
from agentrt.events import Event


class Watched:
    """A runtime and the events of its runs."""

    def __init__(self, **settings: object) -> None:
        self.events: list[Event] = []
        self.runtime = Runtime({}, observers=[self.events.append], **settings)  # type: ignore[arg-type]

    def names(self, kind: type[Event]) -> list[str]:
        """The steps of all events of one kind, in order."""
        return [event.step for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    """A runtime without models; whatever a test does, no task is left when it has ended."""
    before = asyncio.all_tasks()
    subject = Watched()
    yield subject
    await subject.runtime.close()
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}
