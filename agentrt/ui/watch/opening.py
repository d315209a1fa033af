"""How the app is opened on a journal or on a recording."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

from agentrt.ui.watch.acting import ActingApp, settled
from agentrt.ui.watch.themes import theme_of

_SETTLED_S: Final = 2.0
"""Seconds after which all modules are loaded and all screens are made."""


def watch_journal(
    journal: str,
    run: str | None,
    *,
    readonly: bool = False,
    replay: float | None = None,
    theme: str | None = None,
) -> int:
    """Watch a run of a journal, or their list, until the person leaves. Raises ``JournalError`` and ``NoSuchRun``."""
    return asyncio.run(_watch(journal, run, readonly, replay, theme))


async def _watch(name: str, run: str | None, readonly: bool, replay: float | None, theme: str | None) -> int:
    from agentrt.store.journal import Journal

    async with Journal(name) as journal:
        app = ActingApp(journal, run, named=name, readonly=readonly, replay=replay, theme=theme_of(theme))
        return await _shown(app)


async def _shown(app: ActingApp) -> int:
    """Show the app until the person leaves. Raises what kept it from showing anything."""
    # What is there by then stays; going through it again and again for garbage would keep keys waiting for 0.1 s.
    asyncio.get_running_loop().call_later(_SETTLED_S, gc.freeze)
    await app.run_async()
    await settled()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def watch_recording(path: str, *, replay: float | None = None, theme: str | None = None) -> int:
    """Watch a recording, as ``agentrt export --format jsonl`` writes it."""
    return asyncio.run(_watch_recording(path, replay, theme))


async def _watch_recording(path: str, replay: float | None, theme: str | None) -> int:
    from agentrt.store.recordings import opened
    from agentrt.ui.watch.sources.journal import JournalRun

    async with opened(path) as (journal, run):
        source = JournalRun(journal, run)
        app = ActingApp(None, source=source, recording=path, readonly=True, replay=replay, theme=theme_of(theme))
        return await _shown(app)
