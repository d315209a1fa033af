"""Plain functions beside the event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import wraps
from typing import Any

from agentrt.errors import ConfigError


def in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """A coroutine function that runs the plain one in a daemon thread of its own, with the caller's context.

    Unlike a pool's threads these never keep the process alive when a function hangs.
    """

    @wraps(function)
    async def body(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Any] = loop.create_future()
        context = copy_context()

        def work() -> None:
            try:
                value = context.run(function, *args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - carried over to the awaiting step
                _deliver(loop, outcome.set_exception, outcome, _portable(error))
            else:
                _deliver(loop, outcome.set_result, outcome, value)

        name = getattr(function, "__name__", type(function).__name__)
        try:
            threading.Thread(target=work, name=f"agentrt-{name}", daemon=True).start()
        except RuntimeError as error:
            raise ConfigError(
                f"{name}(): {error}; run fewer plain functions at once, with each(...) or "
                f"Runtime(limits={{'python': 100, 'tool': 100}})"
            ) from error
        value = await outcome
        return await value if inspect.iscoroutine(value) else value  # as of a plain wrapper around a coroutine function

    return body


def _portable(error: BaseException) -> BaseException:
    if isinstance(error, StopIteration):  # a future refuses it
        return RuntimeError(f"StopIteration raised: {error}")
    return error


def _deliver(
    loop: asyncio.AbstractEventLoop, put: Callable[[Any], None], outcome: asyncio.Future[Any], value: Any
) -> None:
    def deliver() -> None:
        if not outcome.done():
            put(value)

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return
