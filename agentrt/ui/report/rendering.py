"""The reports of a run, from its journal to text: ``page``, ``picture``, ``trace``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from agentrt.store.rows import OwnerRow, RunRow
from agentrt.store.stories import stories_of
from agentrt.types import StepId
from agentrt.ui.model import StepView
from agentrt.ui.report.page import page_of
from agentrt.ui.report.perfetto import trace_of
from agentrt.ui.report.picture import picture_of
from agentrt.ui.report.reading import Report, read
from agentrt.ui.report.steps import MOST_TOLD, ROOM, Cutter, by_interest, listed, story_html

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def page(connection: AsyncConnection, row: RunRow, owner: OwnerRow | None) -> AsyncIterator[str]:
    """The run as one HTML file. ``owner`` is the living process that has it. Raises ``JournalError``."""
    report = await read(connection, row, owner, wall=time.time())
    steps = listed(report)
    wanted = by_interest(report, steps)[:MOST_TOLD]
    cutter = Cutter(len(wanted))
    told = await _told(connection, report, wanted, cutter)
    for piece in page_of(report, steps, told, cutter):
        yield piece


async def picture(connection: AsyncConnection, row: RunRow, owner: OwnerRow | None) -> AsyncIterator[str]:
    """The run as one SVG picture."""
    yield picture_of(await read(connection, row, owner, wall=time.time()))


async def trace(connection: AsyncConnection, row: RunRow, owner: OwnerRow | None) -> AsyncIterator[str]:
    """The run as a trace for Perfetto."""
    for piece in trace_of(await read(connection, row, owner, wall=time.time())):
        yield piece


async def _told(
    connection: AsyncConnection, report: Report, wanted: Sequence[StepView], cutter: Cutter
) -> dict[StepId, str]:
    """The stories of these steps, as many as there is room for: the first ones are wanted most."""
    found: dict[StepId, str] = {}
    steps = {step.id: step for step in wanted}
    async for story in stories_of(connection, report.row.id, steps):
        found[story.step] = story_html(report, steps[story.step], story, cutter)
    room = ROOM
    kept: dict[StepId, str] = {}
    for step in wanted:
        room -= len(found.get(step.id, "").encode())
        if step.id in found and room > 0:
            kept[step.id] = found[step.id]
    return kept
