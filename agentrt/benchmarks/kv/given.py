"""What a benchmark puts into a program file: the fixed prompts of its agents and how long replies are.

The programs are plain files, so that agentrt reads their steps from the source as it does for anybody's. A file is
executed anew for each size, and asks here for what depends on it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

PROGRAMS: Final = Path(__file__).with_name("programs")


@dataclass(frozen=True, slots=True)
class Given:
    """Fixed prompts by agent, and the tokens of every reply."""

    prompts: Mapping[str, str] = field(default_factory=dict)
    reply: int = 16


_given: ContextVar[Given] = ContextVar("given")


def prompt(agent: str) -> str:
    """The fixed prompt of an agent; a line of its own for one that was given none."""
    return _given.get(Given()).prompts.get(agent, f"You are the {agent}.")


def reply() -> int:
    """Tokens of every reply."""
    return _given.get(Given()).reply


def load(name: str, given: Given) -> ModuleType:
    """Execute the program file of that name with these prompts."""
    spec = spec_from_file_location(f"agentrt.benchmarks.kv.programs.{name}", PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up the module they stand in
    before = _given.set(given)
    try:
        spec.loader.exec_module(module)
    finally:
        _given.reset(before)
    return module
