"""The embedded engine: a stock SGLang in an environment and a process of its own, installed when first needed.

    info, fresh = up(EngineSpec())            # detached: lives on until ``down()``
    async with embedded() as engine:          # attached: ends with the block
        engine.url, engine.api_key, engine.model

Importing this package needs the standard library alone; HTTP, the display and the installer are imported when used.
"""

from __future__ import annotations

from agentrt.engine.environment import Device, Environment, choose_device, environment
from agentrt.engine.lifecycle import Status, discover, down, embedded, statuses, up
from agentrt.engine.model import DEFAULT_MODEL, MODELS, Model, model
from agentrt.engine.paths import Home, home
from agentrt.engine.progress import Progress, Silent, progress_for
from agentrt.engine.records import EngineInfo, find, recorded, running
from agentrt.engine.server import Engine, Parts, start
from agentrt.engine.spec import EngineSpec, extra_args

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "Device",
    "Engine",
    "EngineInfo",
    "EngineSpec",
    "Environment",
    "Home",
    "Model",
    "Parts",
    "Progress",
    "Silent",
    "Status",
    "choose_device",
    "discover",
    "down",
    "embedded",
    "environment",
    "extra_args",
    "find",
    "home",
    "model",
    "progress_for",
    "recorded",
    "running",
    "start",
    "statuses",
    "up",
]
