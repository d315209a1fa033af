"""The body of a step, and the steps that it called and left to themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from agentrt.errors import ProgramError
from agentrt.runtime.arguments import collect, fill
from agentrt.runtime.handle import Handle


async def whole(handle: Handle[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The body and what it leaves behind: a time limit holds for both."""
    value = await handle.spec.body(*args, **kwargs)
    if handle.scope is None and not isinstance(value, Handle):
        return value
    return await _leave(handle, value)


async def _leave(handle: Handle[Any], value: Any) -> Any:
    """The body has returned: wait for the handles it returned and for every step it called.

    A failure that nobody has looked at is the caller's.
    """
    returned: list[Handle[Any]] = []
    try:
        value = collect(value, returned)
    except RecursionError as error:
        raise ProgramError(
            f"step {handle.id!r} returned a value that contains itself, or is nested too deeply; return a flat value"
        ) from error
    for one in returned:
        await one
    children = handle.scope.handles if handle.scope else {}
    await all_ended(children)
    for child in list(children):  # some are forgotten while others are waited for
        if not child.observed and child.node.culprit is not None and child.node.status != "cancelled":
            await child
    return fill(value) if returned else value


async def all_ended(handles: Iterable[Handle[Any]]) -> None:
    """Wait until all have ended, well or not; does not count as looking at them."""
    while pending := [handle for handle in handles if not handle.done()]:
        waiter = pending[0].run.loop.create_future()
        left = len(pending)

        def one_less(_: object, waiter: asyncio.Future[None] = waiter) -> None:
            nonlocal left
            left -= 1
            if not left and not waiter.done():
                waiter.set_result(None)

        for handle in pending:
            asyncio.Future.add_done_callback(handle, one_less)
        await waiter
