"""What a step may ask about itself, to do its work once although it may run more than once."""

from __future__ import annotations

from agentrt.runtime import Handle, outside_a_run, owner


def attempt() -> int:
    """Which attempt of the running step this is, 1 first: counts retries, and runs again after a crash.

    Of a tool, and of a step with ``idempotent=False``, no two attempts have one number: it is on disk before the body
    runs. Of another step it may be given again when the process died meanwhile. Raises ``ProgramError`` outside a run.
    """
    return _running("attempt()").node.attempt


def idempotency_key() -> str:
    """A text that is the same for all attempts of the running step, in this process and after a crash: ``RUN/STEP``.

    No other step has it, nor has the same step of a forked run. Give it to services that do a thing once for each key;
    where a key must be short or of plain letters, hash it. Raises ``ProgramError`` outside a run.
    """
    handle = _running("idempotency_key()")
    return f"{handle.run.id}/{handle.id}"


def _running(what: str) -> Handle[object]:
    handle = owner.get(None)
    if handle is None:
        raise outside_a_run(what)
    return handle
