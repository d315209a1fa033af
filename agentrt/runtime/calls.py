"""Calling steps from the code of a running program."""

from __future__ import annotations

import sys
from typing import Any

from agentrt.errors import ProgramError
from agentrt.runtime.handle import Handle, owner
from agentrt.runtime.spec import StepSpec


def outside_a_run(what: str) -> ProgramError:
    """The error for ``what`` was called while no program runs."""
    return ProgramError(
        f"{what} was called outside a run; call it inside a @program and start that with "
        f"agentrt.run(program, ...) or `agentrt run FILE.py`"
    )


def call(
    spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], after: tuple[Handle[Any], ...] = (), depth: int = 2
) -> Handle[Any]:
    """Call a step from the code of a running program. ``depth``: how many frames up the caller's line is, 0 nowhere.

    Raises ``ProgramError`` outside a run, after the caller has ended, and above the run's ``max_pending``.
    """
    parent = owner.get(None)
    if parent is None:
        raise outside_a_run(f"{spec.name}()")
    frame = sys._getframe(depth) if depth else None
    place = (frame.f_code.co_filename, frame.f_lineno) if frame else None
    return parent.run.submit(parent, spec, args, kwargs, place, after)


def join(spec: StepSpec, inputs: tuple[Handle[Any], ...], need: int | None, depth: int = 2) -> Handle[Any]:
    """Join steps from the code of a running program; ``spec.value_of`` makes the value of those that are needed.

    Raises what ``call`` raises.
    """
    parent = owner.get(None)
    if parent is None:
        raise outside_a_run(f"{spec.name}()")
    frame = sys._getframe(depth)
    return parent.run.submit_join(parent, spec, inputs, need, (frame.f_code.co_filename, frame.f_lineno))
