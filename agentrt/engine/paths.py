"""Where the engine keeps things: a cache that may be deleted at any time, and the state of running engines.

``AGENTRT_HOME`` moves both under one folder; without it they follow the platform's own rules (on Linux
``~/.cache/agentrt`` and ``~/.local/state/agentrt``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "AGENTRT_HOME"
ESTIMATES_VARIABLE = "AGENTRT_ESTIMATES"
JOURNAL_VARIABLE = "AGENTRT_JOURNAL"


@dataclass(frozen=True, slots=True)
class Home:
    """The two folders everything else hangs from."""

    cache: Path
    state: Path

    @property
    def environments(self) -> Path:
        """One folder per built engine environment."""
        return self.cache / "engine"

    @property
    def models(self) -> Path:
        """One folder per model made from a downloaded file."""
        return self.cache / "models"

    @property
    def downloads(self) -> Path:
        """Files fetched and not yet used; each is deleted after its use."""
        return self.cache / "downloads"

    @property
    def engines(self) -> Path:
        """One state file per started engine; private, it holds the key."""
        return self.state / "engines"

    @property
    def logs(self) -> Path:
        """One log per started engine; private, it may hold prompts."""
        return self.state / "logs"

    @property
    def estimates(self) -> Path:
        """What was learned of tool durations and the like; ``AGENTRT_ESTIMATES`` names another file."""
        chosen = os.environ.get(ESTIMATES_VARIABLE)
        return Path(chosen).expanduser() if chosen else self.state / "estimates.json"

    @property
    def journal(self) -> str | None:
        """Where runs are written down; ``AGENTRT_JOURNAL`` names another file, or a URL, or ``off`` for nowhere."""
        chosen = os.environ.get(JOURNAL_VARIABLE)
        return None if chosen == "off" else chosen or str(self.state / "runs.db")

    @property
    def plugins(self) -> Path:
        """Folders that make this package importable inside the engine."""
        return self.state / "plugin"


def home() -> Home:
    """The folders to use now; nothing is created."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        root = Path(chosen).expanduser().absolute()
        return Home(cache=root / "cache", state=root / "state")
    import platformdirs

    return Home(
        cache=platformdirs.user_cache_path("agentrt"),
        state=platformdirs.user_state_path("agentrt"),
    )


def private_folder(path: Path) -> Path:
    """Create ``path`` (and its parents), readable by its owner alone; return it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
