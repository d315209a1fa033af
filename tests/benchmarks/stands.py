"""A scripted server in the place of the engines of a contest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from agentrt.benchmarks.kv.contestants import Engine as Kind
from agentrt.benchmarks.kv.engines import Served
from agentrt.testing import ScriptedServer


class Here:
    """Says where the server is."""

    api_key = ""

    def __init__(self, server: ScriptedServer) -> None:
        self.url = server.url
        self.model = server.model

    def exit_story(self) -> str | None:
        return None


class Emptied(Served):
    """Emptied by itself; it remembers how often."""

    def __init__(self, server: ScriptedServer, client: httpx.Client) -> None:
        super().__init__(Here(server), client)
        self.server = server
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1
        self.server.forget()

    def warm(self) -> None:
        """It is."""


class Stands:
    """Stands for the engines of every kind; ``started`` says of how many kinds, with which pool, ``engines`` which."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.started: list[tuple[int, int]] = []
        self.engines: dict[str, Emptied] = {}

    @contextmanager
    def served(self, kinds: Sequence[Kind], setting: Any, pool: int, *_: Any) -> Iterator[dict[str, Emptied]]:
        """In the place of ``agentrt.benchmarks.kv.engines.served``."""
        self.started.append((len(kinds), pool))
        with httpx.Client(base_url=self.server.url, trust_env=False) as client:
            self.engines = {kind.key: Emptied(self.server, client) for kind in kinds}
            yield self.engines
