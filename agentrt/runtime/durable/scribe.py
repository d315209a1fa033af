"""Between the driver and the journal: results are handed on when they are on disk, recorded steps are not run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from agentrt.errors import AgentrtError
from agentrt.runtime.durable.landings import Landings
from agentrt.runtime.durable.replayer import Replayer
from agentrt.store.codec import show_call
from agentrt.types import FINISHED

if TYPE_CHECKING:
    from agentrt.graph.machine import Node
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.durable.recorder import Recorder
    from agentrt.runtime.handle import Handle
    from agentrt.store.recording import Recorded
    from agentrt.store.replay import Replay
    from agentrt.types import ModelRequest, StepId, StepStatus


class Scribe:
    """One for each run with a journal. ``broken`` is called with what makes it impossible to go on.

    While a recording is replayed, nothing is written: what happens beside it waits until it is used up.
    """

    def __init__(
        self,
        recorder: Recorder,
        driver: Driver,
        broken: Callable[[AgentrtError], None],
        *,
        live: Callable[[], None] | None = None,
    ) -> None:
        self._recorder = recorder
        self._driver = driver
        self._broken = broken
        self._live = live
        self._replayer: Replayer | None = None
        self._waiting: list[Callable[[], None]] = []  # what happened beside a recording
        self._dropped: dict[StepId, StepStatus | None] = {}  # what it says of steps without a result
        self._landing: dict[Handle[Any], None] = {}  # results on their way to the disk
        self._landings = Landings(driver.loop)
        self._ending: Callable[[], None] | None = None  # the program has, beside a recording
        self._closed = False
        self._writes = True  # neither replaying nor closed
        self.questions: dict[StepId, Recorded] = {}
        """The questions that were asked before this process had the run."""

    @property
    def replaying(self) -> bool:
        """Whether the program is still where it has been before."""
        return self._replayer is not None

    def replay(self, replay: Replay, modules: dict[str, str]) -> None:
        """Begin with what is recorded."""
        self._writes = False
        self.questions = {step.step: step for step in replay.recording.steps.values() if step.kind == "question"}
        self._dropped = {step.step: step.status for step in replay.recording.steps.values() if not step.settled}
        self._replayer = Replayer(
            replay, modules, self._driver, self._recorder, self._caught_up, self._stop, self.close
        )
        self._replayer.nudge()

    def close(self) -> None:
        """Write nothing further, and hand nothing on that is not on disk."""
        self._closed = True
        self._writes = False
        self._waiting.clear()
        self._landings.close()
        if self._replayer is not None:
            self._replayer.close()
        for handle in list(self._landing):
            self._driver.cannot_land(handle)
        self._end()

    # -- what the driver says ----------------------------------------------------------------------------------------

    def called(self, handle: Handle[Any]) -> None:
        """The program called a step, which is not in the graph yet."""
        args = show_call(handle.args, handle.kwargs)
        if self._writes:
            self._recorder.called(handle.node, args)
        elif self._replayer is not None and not self._replayer.knows(handle, args):
            self._when_live(partial(self._recorder.called, handle.node, args))

    def admits(self, handle: Handle[Any]) -> bool:
        """Whether the step's body may run now; if not, it is started, or ended, in time."""
        node = handle.node
        if self._replayer is not None:
            entered = self._replayer.enters(handle)
            if entered:
                self._when_live(partial(self._recorder.begun, node, node.attempt))
            return entered
        if handle.spec.has_effects:
            handle.stopping = False
            self._recorder.begun(node, node.attempt, partial(self._start, handle))
            return False
        if node.kind != "python" or node.attempt > 1:  # of the others, the end tells when it began
            self._recorder.begun(node, node.attempt)
        return True

    def done(self, handle: Handle[Any], outcome: Any) -> None:
        """The step's body has returned."""
        self._land(handle, outcome, self._recorder.done, self._driver.land)

    def failed(self, handle: Handle[Any], error: BaseException) -> None:
        """The step has failed for good."""
        self._land(handle, error, self._recorder.failed, self._driver.land_failure)

    def dropped(self, node: Node) -> None:
        """The step was cancelled, or skipped."""
        if self._dropped.get(node.id) != node.status:
            self._when_live(partial(self._recorder.dropped, node))

    def retried(self, node: Node, error: BaseException, delay: float) -> None:
        """An attempt failed, another follows."""
        self._when_live(partial(self._recorder.retried, node, error, delay))

    def asked(self, node: Node, question: dict[str, Any], context: str, then: Callable[[], Any]) -> None:
        """A person is asked, in ``then``."""
        self._when_live(partial(self._recorder.asked, node, question, context, then))

    def answered(self, node: Node, data: dict[str, Any], then: Callable[[], Any]) -> None:
        """An answer was taken, or did not fit."""
        self._when_live(partial(self._recorder.answered, node, data, then))

    def decided(self, maker: StepId) -> dict[str, Any] | None:
        """What became of the edit that the step makes now, when that is recorded."""
        return None if self._replayer is None else self._replayer.decided(maker)

    def edited(self, maker: StepId, data: dict[str, Any], then: Callable[[], Any] | None = None) -> None:
        """The graph is changed, or an edit of it refused; ``then`` is called once that is on disk."""
        self._when_live(partial(self._recorder.edited, maker, data, then))

    def rewired(self, nodes: Iterable[Node]) -> None:
        """An edit has changed these nodes."""
        self._recorder.rewired(nodes)

    def text(self, handle: Handle[Any], text: str) -> None:
        """The program is handed a piece of a step's text."""
        self._when_live(partial(self._recorder.text, handle.node, text))

    def sent(self, node: Node, model: str, request: ModelRequest) -> None:
        """A model is sent something, for a step."""
        if self._writes:
            self._recorder.sent(node, model, request)

    def ended(self, end: Callable[[], None]) -> None:
        """The program itself has ended; ``end`` is called once nothing recorded is left."""
        if self._replayer is None or self._closed:
            end()
        else:
            self._ending = end
            self._replayer.ended()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _when_live(self, write: Callable[[], None]) -> None:
        if self._writes:
            write()
        elif not self._closed:
            self._waiting.append(write)

    def _land(
        self,
        handle: Handle[Any],
        end: Any,
        write: Callable[[Node, Any, Callable[[], Any]], None],
        land: Callable[[Handle[Any], Any], None],
    ) -> None:
        """Write, and hand on when that is on disk. From here on the step cannot be stopped: it has happened."""
        if self._closed:
            self._driver.cannot_land(handle)
            return
        handle.stopping = True
        self._landing[handle] = None
        landed = partial(self._landed, handle, end, land)
        if self._writes and self._landings.free():
            write(handle.node, end, landed)
        else:
            self._when_live(partial(self._landings.put, partial(write, handle.node, end, landed)))

    def _landed(self, handle: Handle[Any], end: Any, land: Callable[[Handle[Any], Any], None]) -> None:
        if not self._closed:
            del self._landing[handle]
            self._landings.landed()
            self._recorder.seen += 1
            land(handle, end)

    def _start(self, handle: Handle[Any]) -> None:
        if not self._closed and handle.node.status not in FINISHED:
            self._driver.start(handle)

    def _caught_up(self, held: list[Handle[Any]]) -> None:
        """The recording is used up: from here on everything is new."""
        self._replayer = None
        self._dropped.clear()
        self._writes = not self._closed
        if self._live is not None:
            self._live()
        self._landings.together()
        waiting, self._waiting = self._waiting, []
        for write in waiting:
            write()
        self._end()
        for handle in held:
            if handle.node.status == "running" and not self._closed and self.admits(handle):
                self._driver.start(handle)

    def _end(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            ending()

    def _stop(self, error: AgentrtError) -> None:
        self._broken(error)
