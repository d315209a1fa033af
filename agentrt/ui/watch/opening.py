"""How the app is opened on a journal or on a recording."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agentrt.ui.watch.app import WatchApp, theme_of


def watch_journal(
    journal: str,
    run: str | None,
    *,
    readonly: bool = False,
    replay: float | None = None,
    theme: str | None = None,
    leaving: Callable[[WatchApp], Awaitable[bool]] | None = None,
) -> int:
    """Watch a run of a journal, or their list, until the person leaves. Raises ``JournalError`` and ``NoSuchRun``."""
    return asyncio.run(_watch(journal, run, readonly, replay, theme, leaving))


async def _watch(
    name: str,
    run: str | None,
    readonly: bool,
    replay: float | None,
    theme: str | None,
    leaving: Callable[[WatchApp], Awaitable[bool]] | None,
) -> int:
    from agentrt.store.journal import Journal

    async with Journal(name) as journal:
        app = WatchApp(journal, run, readonly=readonly, replay=replay, theme=theme_of(theme), leaving=leaving)
        return await app.run_async() or 0


def watch_recording(path: str, *, replay: float | None = None, theme: str | None = None) -> int:
    """Watch a recording, as ``agentrt export --format jsonl`` writes it."""
    return asyncio.run(_watch_recording(path, replay, theme))


async def _watch_recording(path: str, replay: float | None, theme: str | None) -> int:
    from agentrt.store.recordings import opened
    from agentrt.ui.watch.sources.journal import JournalRun

    async with opened(path) as (journal, run):
        source = JournalRun(journal, run)
        app = WatchApp(None, source=source, readonly=True, replay=replay, theme=theme_of(theme))
        return await app.run_async() or 0
