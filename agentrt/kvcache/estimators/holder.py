"""All estimators together, and the file they are remembered in."""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from agentrt.kvcache.estimators.durations import Durations
from agentrt.kvcache.estimators.prefill import Prefill
from agentrt.kvcache.estimators.queueing import Queueing
from agentrt.kvcache.estimators.turns import Turns

VERSION: Final = 1
"""The version of the file."""

_LARGEST: Final = 64 * 2**20
_log = logging.getLogger("agentrt")


@dataclass(slots=True)
class Estimators:
    """What was learnt of durations, prefill cost, queueing and turns; changes as the runtime observes more.

    What was learnt makes ranks better and never results, so a file that cannot be read or written is told of in the
    log and otherwise ignored. Of two processes that save to one file the last one wins.
    """

    durations: Durations = field(default_factory=Durations)
    prefill: Prefill = field(default_factory=Prefill)
    queueing: Queueing = field(default_factory=Queueing)
    turns: Turns = field(default_factory=Turns)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote; empty if there is no file.

        A file that is damaged, or of another version, is renamed to ``<name>.aside`` and warned of; what cannot be
        read at all, as a folder, stays where it is.
        """
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST} bytes")
            return cls._read(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            _log.warning("estimates in %s cannot be read (%s); starting without", path, error)
            return cls()
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            _set_aside(path, error)
            return cls()

    @classmethod
    def _read(cls, found: Any) -> Self:
        if not isinstance(found, dict) or found.get("version") != VERSION:
            version = found.get("version") if isinstance(found, dict) else None
            raise ValueError(f"its version is {version!r}, this agentrt reads {VERSION}")
        made = cls()
        made.durations.fill(found["durations"])
        made.prefill.fill(found["prefill"])
        made.queueing.fill(found["queueing"])
        made.turns.fill(found["turns"])
        return made

    def save(self, path: Path) -> None:
        """Write everything to ``path``, whole or not at all; at most about 1 MB."""
        text = json.dumps(
            {
                "version": VERSION,
                "durations": self.durations.dump(),
                "prefill": self.prefill.dump(),
                "queueing": self.queueing.dump(),
                "turns": self.turns.dump(),
            }
        )
        half = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.half")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(text)
            half.replace(path)
        except OSError as error:
            _log.warning("estimates are not saved to %s: %s", path, error)
            with suppress(OSError):
                half.unlink(missing_ok=True)


def _set_aside(path: Path, why: Exception) -> None:
    aside = path.with_name(f"{path.name}.aside")
    try:
        path.replace(aside)
    except OSError as error:
        _log.warning("estimates in %s cannot be used (%s) nor set aside (%s); starting without", path, why, error)
    else:
        _log.warning("estimates in %s cannot be used (%s): set aside as %s, starting without", path, why, aside)
