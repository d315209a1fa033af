"""Recordings of single requests with their arrivals: Mooncake's, with blocks, and Azure's, without."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from agentrt.benchmarks.replay.sessions import Session, Turn, runs_of

MOONCAKE_BLOCK: Final = 512
"""Tokens of a block of Mooncake's traces; their numbers mean the same in the whole file."""


def mooncake(lines: Iterable[str]) -> Iterator[Session]:
    """Each request as a session of one turn. Raises what JSON of another shape raises."""
    for number, line in enumerate(lines):
        if line.strip():
            told = json.loads(line)
            turn = Turn(
                int(told["input_length"]) or 1, max(1, int(told["output_length"])), blocks=runs_of(told["hash_ids"])
            )
            yield Session(
                f"request{number}", (turn,), MOONCAKE_BLOCK, "mooncake", arrives=float(told["timestamp"]) / 1000
            )


def azure(lines: Iterable[str]) -> Iterator[Session]:
    """Each request as a session of one turn, which shares nothing. Raises ``KeyError`` or ``ValueError`` for others."""
    for number, row in enumerate(csv.DictReader(lines)):
        at = datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
        turn = Turn(max(1, int(row["ContextTokens"])), max(1, int(row["GeneratedTokens"])))
        yield Session(f"request{number}", (turn,), 0, f"azure {number}", arrives=at)
