"""Where the commands of agents and tests run: a sandbox for each place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from agentrt.benchmarks.swebench.git import ENVIRONMENT
from agentrt.benchmarks.swebench.place import Place
from agentrt.benchmarks.swebench.plainbox import Sandbox

_VARIABLES: Final = {
    **ENVIRONMENT,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",  # the folder may belong to another user than the one inside
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_PAGER": "cat",
    "PAGER": "cat",
    "HOME": "/tmp",  # noqa: S108 - inside, where it is private
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PIP_NO_INDEX": "1",
}


@asynccontextmanager
async def boxed(place: Place, *, writable: Sequence[Path] = ()) -> AsyncIterator[Sandbox]:
    """A sandbox that works in a place's tree with the place's environment, without the network."""
    path = f"{place.venv / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    box = Sandbox(place.tree, writable=writable, readonly=place.readable, env={**_VARIABLES, "PATH": path})
    async with box:
        yield box
