"""What those who wait for a step are told when it has no value."""

from __future__ import annotations

from typing import Any

from agentrt.errors import StepSkipped, UpstreamFailed
from agentrt.graph.machine import Node
from agentrt.runtime.handle import Handle
from agentrt.runtime.result import brief


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
