"""The public face: its names, their docstrings, and how little it imports."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

import agentrt
from agentrt import ui

HEAVY = {"torch", "sglang", "networkx", "textual", "sqlalchemy", "pydantic", "httpx", "rich", "asyncio"}
PACKAGES = [
    "agentrt",
    "agentrt.engine",
    "agentrt.executors",
    "agentrt.graph",
    "agentrt.kvcache.admission",
    "agentrt.kvcache.estimators",
    "agentrt.kvcache.policies",
    "agentrt.runtime",
    "agentrt.sdk",
    "agentrt.testing",
    "agentrt.ui",
]


def test_the_public_names_are_these() -> None:
    """A name comes or goes on purpose only."""
    assert sorted(agentrt.__all__) == [
        "Agent",
        "AgentOptions",
        "Completed",
        "GraphEdit",
        "Handle",
        "Options",
        "Program",
        "Question",
        "Run",
        "RunResult",
        "Runtime",
        "Session",
        "Step",
        "StepRecord",
        "Tool",
        "__version__",
        "any_of",
        "approve",
        "ask",
        "attempt",
        "choose",
        "command",
        "each",
        "edit",
        "fill",
        "idempotency_key",
        "mcp_tools",
        "n_of",
        "program",
        "run",
        "step",
        "tool",
        "when",
    ]


def test_what_draws_runs_has_these_names() -> None:
    """For displays of one's own: the fold of a run's events, and the contract of the displays of ``agentrt run``."""
    assert sorted(ui.__all__) == ["Display", "Quiet", "RunView", "StepView"]
    assert all(hasattr(ui, name) for name in ui.__all__)


def undocumented(name: str, value: Any) -> list[str]:
    """Public names in and under a value that have no docstring."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return []
    bare = [] if inspect.getdoc(value) else [name]
    if inspect.isclass(value):
        for key, member in vars(value).items():
            if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                bare += [] if inspect.getdoc(member) else [f"{name}.{key}"]
    return bare


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_docstring(package: str) -> None:
    """What ``__all__`` names, and the public methods of its classes, say what they are."""
    module = importlib.import_module(package)
    assert module.__doc__
    bare = [gap for name in module.__all__ for gap in undocumented(name, getattr(module, name))]
    assert bare == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    """The package is imported inside the engine's environment too, where only the standard library is sure."""
    code = "import sys, agentrt, agentrt.kvcache, agentrt.ui; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & {name.partition(".")[0] for name in loaded.split()} == set()


def test_the_fold_of_a_run_imports_no_display() -> None:
    """Who draws runs in a way of his own needs neither Textual nor a database for it."""
    code = "import sys; from agentrt.ui import RunView; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & {name.partition(".")[0] for name in loaded.split()} == set()


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Lazy names behave like any module's."""
    with pytest.raises(AttributeError, match="no attribute 'agent'"):
        _ = agentrt.agent  # type: ignore[attr-defined]
