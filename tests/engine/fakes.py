"""Parts with which ``start`` and ``up`` run the fake engine process."""

from __future__ import annotations

import sys
from pathlib import Path

from agentrt.engine import Environment, Home, Model, Parts

FAKE = Path(__file__).with_name("fake_engine.py")


def home_in(folder: Path) -> Home:
    """Cache and state under ``folder``."""
    return Home(cache=folder / "cache", state=folder / "state")


def fake_parts(start_s: float = 30.0, model: str = "tiny") -> Parts:
    """Nothing to install, a model of no weight, the fake engine."""
    return Parts(
        environment=lambda device, progress, where: Environment(Path(sys.executable), device),
        model=lambda name, env, progress, where: Model(model, "/nowhere"),
        launcher=lambda device: (str(FAKE),),
        start_s=start_s,
    )
