"""A run as OpenTelemetry spans, by the GenAI semantic conventions (in development; read in November 2026).

Each step that starts is one span from its first attempt to its end, below the span of the step that called it:
``invoke_workflow`` for the run and for sub-programs, ``invoke_agent``, ``chat`` for model turns, ``execute_tool``;
plain Python steps and questions go by their own names. Links say from which steps a step took its inputs. Phases of
turns and failed attempts are events of the span.

Prompts, replies, inputs and the texts of errors are left out, unless they are asked for. A step whose result was
recorded before, in a run that is resumed, does not start again: it is in the trace of the process that ran it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from agentrt.events import (
    Event,
    GraphEdited,
    RunEnded,
    RunStarted,
    StepAdded,
    StepEnded,
    StepRetried,
    StepStarted,
    StepText,
    TurnMoved,
    TurnSent,
)
from agentrt.types import RunId, StepId, StepKind, Usage

T = TypeVar("T")

PROVIDER: Final = "sglang"
"""``gen_ai.provider.name`` of every turn: a name of ours, as the conventions have none for it."""

MOST_LINKS: Final = 128
"""Links of one span: what OpenTelemetry's SDK keeps by default."""

MOST_KEPT: Final = 10_000
"""Ended steps that others can be linked to, the latest ones: a run of any length needs no more memory."""

MOST_TEXT: Final = 65_536
"""Characters of a reply that a span holds at most, where texts are asked for."""

_OPERATIONS: Final[dict[StepKind, str]] = {
    "llm": "chat",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "program": "invoke_workflow",
}
_TYPE: Final = re.compile(r"([A-Z]\w*)(?:: |$)")


class _Step:
    """A step that has not ended."""

    __slots__ = ("added", "asked", "inputs", "kind", "name", "parent", "room", "span", "started", "text")

    def __init__(self, event: StepAdded) -> None:
        self.name = event.name
        self.kind: StepKind = event.kind
        self.parent = event.parent
        self.inputs = event.inputs
        self.added = event.at
        self.started: float | None = None
        self.asked: float | None = None  # when the engine was given the turn
        self.span: Span | None = None
        self.text: list[str] = []
        self.room = MOST_TEXT


class RunSpans:
    """An observer of one run. ``seconds`` is what the run's clock said at its ``RunStarted``.

    ``contents`` puts inputs, replies and the texts of errors into the spans.
    """

    def __init__(self, tracer: Tracer, *, seconds: float = 0.0, contents: bool = False) -> None:
        self._tracer = tracer
        self._seconds = seconds
        self._contents = contents
        self._zero = 0  # nanoseconds since the epoch when the run's clock was 0
        self._id = RunId("")
        self._run: Span = trace.INVALID_SPAN
        self._steps: dict[StepId, _Step] = {}
        self._joins: dict[StepId, tuple[StepId, ...]] = {}
        self._ended: dict[StepId, SpanContext] = {}

    def __call__(self, event: Event) -> None:
        """Take in what happened next."""
        match event:
            case StepText():
                self._text(event)
            case StepAdded():
                self._added(event)
            case StepStarted():
                self._started(event)
            case StepEnded():
                self._over(event)
            case TurnSent() | TurnMoved():
                self._turned(event)
            case StepRetried():
                self._retried(event)
            case GraphEdited():
                self._edited(event)
            case RunStarted():
                self._begun(event)
            case RunEnded():
                self._finished(event)

    # -- the run ---------------------------------------------------------------------------------------------

    def _begun(self, event: RunStarted) -> None:
        self._zero = int((event.wall - self._seconds) * 1e9)
        self._id = event.run
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": event.program,
            "agentrt.run.id": event.run,
        }
        if self._seconds:
            attributes["agentrt.run.resumed"] = True
        if self._contents:
            attributes["agentrt.run.inputs"] = json.dumps(event.inputs, default=repr)
        self._run = self._tracer.start_span(
            f"invoke_workflow {event.program}", attributes=attributes, start_time=self._time(self._seconds)
        )

    def _finished(self, event: RunEnded) -> None:
        for name in list(reversed(self._steps)):  # put aside, or left behind: they have no end of their own
            self._end(name, self._steps.pop(name), event.at, "unfinished", None)
        self._run.set_attribute("agentrt.run.status", event.status)
        if event.status == "failed":
            self._fail(self._run, event.error)
        self._run.end(self._time(event.at))

    def _edited(self, event: GraphEdited) -> None:
        for change in event.changes:
            step = self._steps.get(change.step)
            if step is not None and change.change in ("rewire", "insert", "split"):
                step.inputs = change.inputs
        self._run.add_event(
            "agentrt.graph.edited",
            {"agentrt.graph.version": event.version, "agentrt.graph.changes": len(event.changes)},
            self._time(event.at),
        )

    # -- steps -----------------------------------------------------------------------------------------------

    def _added(self, event: StepAdded) -> None:
        if event.kind == "join":
            _keep(self._joins, event.step, tuple(islice(self._behind(event.inputs), MOST_LINKS)))
        else:
            self._steps[event.step] = _Step(event)

    def _started(self, event: StepStarted) -> None:
        step = self._steps.get(event.step)
        if step is None:  # the program itself: it is the run
            return
        if step.started is None:
            step.started = event.at
            if step.kind != "llm":  # a turn's span is named for its model, which is known when it is sent
                self._open(event.step, step, {})
        elif step.span is not None:
            step.span.add_event("agentrt.attempt", {"agentrt.attempt": event.attempt}, self._time(event.at))

    def _turned(self, event: TurnSent | TurnMoved) -> None:
        step = self._steps.get(event.step)
        if step is None or step.started is None:
            return
        if isinstance(event, TurnSent):
            if step.span is None:
                self._open(event.step, step, _turn(event))
        elif step.span is not None:
            step.span.add_event(f"agentrt.turn.{event.phase}", timestamp=self._time(event.at))
            if event.phase == "prefill":
                step.asked = event.at
            elif event.phase == "decode" and step.asked is not None:
                step.span.set_attribute("gen_ai.response.time_to_first_chunk", event.at - step.asked)

    def _text(self, event: StepText) -> None:
        step = self._steps.get(event.step) if self._contents else None
        if step is not None and step.kind == "llm" and step.room > 0:
            step.text.append(event.text[: step.room])
            step.room -= len(event.text)

    def _retried(self, event: StepRetried) -> None:
        step = self._steps.get(event.step)
        if step is None or step.span is None:
            return
        step.text.clear()
        step.room = MOST_TEXT
        attributes: dict[str, AttributeValue] = {
            "agentrt.attempt": event.attempt,
            "agentrt.retry.delay": event.delay,
            "error.type": error_type(event.error),
        }
        if self._contents:
            attributes["exception.message"] = event.error
        step.span.add_event("agentrt.retry", attributes, self._time(event.at))

    def _over(self, event: StepEnded) -> None:
        step = self._steps.pop(event.step, None)
        if step is None:
            return
        if step.span is None and step.started is not None:  # a turn that came to an end before it was sent
            self._open(event.step, step, {})
        if step.span is not None and step.kind == "llm":
            step.span.set_attributes(_tokens(event.usage))
            if step.text:
                step.span.set_attribute("gen_ai.output.messages", _said("".join(step.text)))
        self._end(event.step, step, event.at, event.status, event.error)

    def _open(self, name: StepId, step: _Step, attributes: dict[str, AttributeValue]) -> None:
        assert step.started is not None, "only what has started is in a trace"
        operation = _OPERATIONS.get(step.kind)
        title = attributes.get("gen_ai.request.model", step.name) if operation == "chat" else step.name
        step.span = self._tracer.start_span(
            f"{operation} {title}" if operation else step.name,
            context=self._above(step),
            kind=SpanKind.CLIENT if operation == "chat" else SpanKind.INTERNAL,
            attributes={
                **_said_of(step, operation),
                **attributes,
                "agentrt.run.id": self._id,
                "agentrt.step.id": name,
                "agentrt.step.kind": step.kind,
                "agentrt.step.waited": step.started - step.added,
            },
            links=list(self._links(step.inputs)),
            start_time=self._time(step.started),
        )

    def _end(self, name: StepId, step: _Step, at: float, status: str, error: str | None) -> None:
        if step.span is None:
            return
        step.span.set_attribute("agentrt.step.status", status)
        if status == "failed":
            self._fail(step.span, error)
        step.span.end(self._time(at))
        _keep(self._ended, name, step.span.get_span_context())

    def _fail(self, span: Span, error: str | None) -> None:
        span.set_attribute("error.type", error_type(error or ""))
        span.set_status(Status(StatusCode.ERROR, error if self._contents else None))

    # -- where it belongs ------------------------------------------------------------------------------------

    def _above(self, step: _Step) -> Context:
        above = self._steps.get(step.parent) if step.parent is not None else None
        return trace.set_span_in_context(self._run if above is None or above.span is None else above.span)

    def _links(self, inputs: Iterable[StepId]) -> Iterator[Link]:
        for name in islice(self._behind(inputs), MOST_LINKS):
            context = self._ended.get(name)
            if context is not None:
                yield Link(context, {"agentrt.step.id": name})

    def _behind(self, inputs: Iterable[StepId]) -> Iterator[StepId]:
        """The steps themselves, and those that joins gather."""
        for name in inputs:
            yield from self._joins.get(name, (name,))

    def _time(self, at: float) -> int:
        return self._zero + int(at * 1e9)


def error_type(error: str) -> str:
    """The type of an error, by the line that events have of it: errors of agentrt's own come without theirs."""
    found = _TYPE.match(error)
    return found[1] if found else "AgentrtError"


def _turn(event: TurnSent) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": event.model,
        "gen_ai.request.stream": True,
    }
    if event.agent:
        attributes["gen_ai.agent.name"] = event.agent
    if event.session is not None:
        attributes["gen_ai.conversation.id"] = event.session
    return attributes


def _said_of(step: _Step, operation: str | None) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {} if operation is None else {"gen_ai.operation.name": operation}
    match operation:
        case "execute_tool":
            attributes |= {"gen_ai.tool.name": step.name, "gen_ai.tool.type": "function"}
        case "invoke_agent":
            attributes |= {"gen_ai.agent.name": step.name, "gen_ai.provider.name": PROVIDER}
        case "invoke_workflow":
            attributes["gen_ai.workflow.name"] = step.name
    return attributes


def _tokens(usage: Usage) -> dict[str, AttributeValue]:
    """Tokens of a turn; those from the cache are among the input's, as the conventions want it."""
    if not (usage.prompt or usage.completion):
        return {}
    return {
        "gen_ai.usage.input_tokens": usage.prompt,
        "gen_ai.usage.output_tokens": usage.completion,
        "gen_ai.usage.cache_read.input_tokens": usage.cached,
    }


def _said(text: str) -> str:
    """A reply as the conventions write messages; of tool calls nothing is known here."""
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": "assistant", "parts": parts}], ensure_ascii=False)


def _keep(known: dict[StepId, T], step: StepId, value: T) -> None:
    """Note it, and let go of the oldest when there are too many."""
    known[step] = value
    if len(known) > MOST_KEPT:
        del known[next(iter(known))]
