"""What agentrt's own tests use, for yours: a server that speaks HTTP from a script, contract tests, a real engine.

Importing it imports nothing else; each name brings what it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.testing.contract import ModelExecutorContract
    from agentrt.testing.engine import real_engine
    from agentrt.testing.script import (
        Asked,
        Reply,
        Script,
        break_off,
        call,
        calls,
        echo,
        empty,
        garbage,
        hang,
        in_order,
        refuse,
        say,
        say_json,
    )
    from agentrt.testing.server import ScriptedServer

_SCRIPT = ("Asked", "Reply", "Script", "break_off", "call", "calls", "echo", "empty", "garbage", "hang", "in_order")
_HOMES = {
    **dict.fromkeys((*_SCRIPT, "refuse", "say", "say_json"), "script"),
    "ModelExecutorContract": "contract",
    "ScriptedServer": "server",
    "real_engine": "engine",
}

__all__ = [
    "Asked",
    "ModelExecutorContract",
    "Reply",
    "Script",
    "ScriptedServer",
    "break_off",
    "call",
    "calls",
    "echo",
    "empty",
    "garbage",
    "hang",
    "in_order",
    "real_engine",
    "refuse",
    "say",
    "say_json",
]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, _HOMES)
