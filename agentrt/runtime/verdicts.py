"""What those who wait for a step, or for a run, are told when it has no value."""

from __future__ import annotations

from typing import Any

from agentrt.errors import AgentrtError, RunCancelled, RunError, RunFailed, RunWaiting, StepSkipped, UpstreamFailed
from agentrt.graph.machine import Node
from agentrt.runtime.handle import Handle
from agentrt.runtime.result import alone, brief
from agentrt.types import RunId, RunStatus, StepId


def settle_unrun(handle: Handle[Any]) -> None:
    """A step ended before it could start."""
    node = handle.node
    if node.status == "cancelled":
        handle.settle_cancelled()
    else:
        refuse(handle, node.error or (_skipped(node) if node.because is None else _upstream(node, node.because)))


def refuse(handle: Handle[Any], error: BaseException) -> None:
    """Whoever waits for the step is told why it has no value."""
    node = handle.node
    node.error = error
    sign(error, node.because or node)
    handle.settle_error(error)


def _upstream(node: Node, because: Node) -> UpstreamFailed:
    what = "was cancelled" if because.error is None else f"failed: {brief(because.error)}"
    error = UpstreamFailed(f"step {node.id!r} never started, because step {because.id!r} {what}")
    error.__cause__ = because.error
    return error


def _skipped(node: Node) -> StepSkipped:
    """The error of a step that was skipped with nobody to blame."""
    source = next((before for before in node.inputs if before.unwanted), None)
    if source is None:
        return StepSkipped(f"step {node.id!r} was skipped")
    error = StepSkipped(f"step {node.id!r} was skipped, because step {source.id!r} was")
    error.__cause__ = source.error
    return error


def sign(error: BaseException, node: Node) -> None:
    """Note on an error which step it came from, and that step's story; the first signature stays."""
    if not hasattr(error, "__agentrt_step__"):
        put = object.__setattr__  # a frozen dataclass would refuse
        put(error, "__agentrt_step__", node.id)
        put(error, "__notes__", [*getattr(error, "__notes__", ()), node.story])


def of_program(run: RunId, root: Handle[Any]) -> RunError | None:
    """The error of a run whose program has ended by itself; ``None`` when that gave a value."""
    if root.cancelled():
        return RunCancelled(f"run {run} was cancelled: its program ended in CancelledError")
    cause = root.exception()
    if cause is None:
        return None
    failed = RunFailed(_blame(root.id, alone(cause)))
    failed.__cause__ = cause
    return failed


def status_of(error: RunError | None) -> RunStatus:
    """How a run ended, by its error."""
    if error is None:
        return "done"
    if isinstance(error, RunWaiting):
        return "waiting"
    return "cancelled" if isinstance(error, RunCancelled) else "failed"


def _blame(program: StepId, cause: BaseException) -> str:
    step = getattr(cause, "__agentrt_step__", program)
    what = str(cause) if isinstance(cause, AgentrtError) else brief(cause)
    if f"step {step!r}" in what:
        return what
    return f"program {step!r} failed: {what}" if step == program else f"step {step!r} failed: {what}"
