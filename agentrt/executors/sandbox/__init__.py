"""Run what is not trusted: commands in a box that they cannot leave, within limits, with what they took.

async with Sandbox("work", limits=Limits(memory=512 * MIB)) as box:
    done = await box.run("python -m pytest -q", timeout=60)
    print(done.code, done.killed_by, done.peak_memory)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.executors.sandbox.base import MIB, SOUND, Finished, KilledBy, Limits, Way
    from agentrt.executors.sandbox.box import Sandbox, interpreter_folders
    from agentrt.executors.sandbox.files import Item
    from agentrt.executors.sandbox.leftovers import remove
    from agentrt.executors.sandbox.probing import why_not

_HOMES = {
    "MIB": "base",
    "SOUND": "base",
    "Finished": "base",
    "Item": "files",
    "KilledBy": "base",
    "Limits": "base",
    "Sandbox": "box",
    "Way": "base",
    "interpreter_folders": "box",
    "remove": "leftovers",
    "why_not": "probing",
}

__all__ = [
    "MIB",
    "SOUND",
    "Finished",
    "Item",
    "KilledBy",
    "Limits",
    "Sandbox",
    "Way",
    "interpreter_folders",
    "remove",
    "why_not",
]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, _HOMES)
