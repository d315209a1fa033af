"""Runs as OpenTelemetry spans."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agentrt import Agent, Runtime, program, step, tool
from agentrt.events import RunStarted, StepAdded, StepEnded, StepStarted
from agentrt.executors import connect
from agentrt.runtime import spans, tracing
from agentrt.runtime.spans import RunSpans, error_type
from agentrt.testing import ScriptedServer, call, in_order, say
from agentrt.types import RunId, StepId, Usage


class Book:
    """A tracer of this test's own, and the spans that were ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("agentrt")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """By the id of their step; the run's is ``""``."""
        return {
            str(dict(span.attributes or {}).get("agentrt.step.id", "")): span
            for span in self.exporter.get_finished_spans()
        }

    def said(self, step: str) -> dict[str, Any]:
        """The attributes of a step's span."""
        return dict(self.spans[step].attributes or {})


@pytest.fixture
def book() -> Iterator[Book]:
    """Spans are kept in memory."""
    kept = Book()
    yield kept
    kept.provider.shutdown()


def parent_of(span: ReadableSpan) -> int | None:
    """The id of the span above."""
    return None if span.parent is None else span.parent.span_id


@tool
async def search(query: str) -> str:
    """Look something up."""
    return f"{query} swim"


@step
async def shout(text: str) -> str:
    """A plain step."""
    return text.upper()


@program
async def study(topic: str) -> str:
    """An agent with a tool, whose answer a plain step takes."""
    found = Agent("finder", system="You look things up.", tools=[search])(topic)
    return await shout(found)


async def traced(book: Book, *, contents: bool = False) -> None:
    """A run of ``study`` against a server that speaks from a script."""
    script = in_order([call("search", query="otters"), say("Otters swim.")])
    async with ScriptedServer(script) as server:
        observer = RunSpans(book.tracer, contents=contents)
        async with Runtime(connect(server.url), observers=[observer], kv="none", estimates=None) as runtime:
            result = await runtime.run(study, "otters")
            assert result.error is None, result.error


async def test_a_run_is_a_tree_of_spans_by_the_conventions(book: Book) -> None:
    """Workflow, agent, turns and tool have the names, kinds and places that the conventions give them."""
    await traced(book)
    found = book.spans
    names = {name: span.name for name, span in found.items()}
    assert names == {
        "": "invoke_workflow study",
        "finder#1": "invoke_agent finder",
        "finder#1/finder.turn#1": "chat default",
        "finder#1/search#1": "execute_tool search",
        "finder#1/finder.turn#2": "chat default",
        "shout#1": "shout",
    }
    run, agent = found[""], found["finder#1"]
    assert run.parent is None
    assert {parent_of(found[name]) for name in ("finder#1", "shout#1")} == {run.context.span_id}
    assert {parent_of(found[name]) for name in names if "/" in name} == {agent.context.span_id}
    kinds = {name: span.kind for name, span in found.items()}
    assert {name for name, kind in kinds.items() if kind is SpanKind.CLIENT} == {
        "finder#1/finder.turn#1",
        "finder#1/finder.turn#2",
    }


async def test_a_turn_tells_model_agent_conversation_and_tokens(book: Book) -> None:
    """The attributes of a turn are those of the conventions, and its phases are events in their order."""
    await traced(book)
    said = book.said("finder#1/finder.turn#2")
    assert said["gen_ai.operation.name"] == "chat"
    assert (said["gen_ai.request.model"], said["gen_ai.agent.name"]) == ("default", "finder")
    assert said["gen_ai.conversation.id"] == book.said("finder#1/finder.turn#1")["gen_ai.conversation.id"]
    assert said["gen_ai.usage.input_tokens"] >= said["gen_ai.usage.cache_read.input_tokens"] >= 0
    assert said["gen_ai.usage.output_tokens"] > 0
    assert said["gen_ai.response.time_to_first_chunk"] >= 0
    turn = book.spans["finder#1/finder.turn#2"]
    assert [event.name for event in turn.events] == ["agentrt.turn.prefill", "agentrt.turn.decode"]
    assert turn.start_time <= turn.events[0].timestamp <= turn.events[1].timestamp <= turn.end_time
    assert book.said("finder#1/search#1")["gen_ai.tool.name"] == "search"


async def test_links_lead_to_the_steps_whose_results_are_taken(book: Book) -> None:
    """A data edge is a link from the taking span to the giving one."""
    await traced(book)
    (link,) = book.spans["shout#1"].links
    assert link.context.span_id == book.spans["finder#1"].context.span_id


async def test_nothing_that_was_said_is_in_the_spans_unless_it_is_asked_for(book: Book) -> None:
    """Prompts, replies and inputs stay out by default; asked for, inputs and replies are in."""
    await traced(book)
    everything = " ".join(span.to_json() for span in book.exporter.get_finished_spans())
    assert "otters" not in everything.lower()
    book.exporter.clear()
    await traced(book, contents=True)
    assert "Otters swim." in book.said("finder#1/finder.turn#2")["gen_ai.output.messages"]
    assert "otters" in book.said("")["agentrt.run.inputs"]


tries: list[str] = []


@step(retries=1, backoff=0.01)
async def shaky() -> str:
    """Fails once."""
    tries.append("")
    if len(tries) == 1:
        raise ValueError("secret")
    return "well"


@step
async def broken() -> str:
    """Fails."""
    raise KeyError("secret")


@step
async def after(text: str) -> str:
    """Never starts."""
    return text


@program
async def unlucky() -> str:
    """One step is tried again, one fails, one never starts."""
    await shaky()
    return await after(broken())


async def test_failures_and_attempts_are_told_without_their_texts(book: Book) -> None:
    """A failed step has its error's type and status, a failed attempt is an event, what never started has no span."""
    tries.clear()
    async with Runtime({}, observers=[RunSpans(book.tracer)]) as runtime:
        await runtime.run(unlucky)
    failed = book.spans["broken#1"]
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, None)
    assert book.said("broken#1")["error.type"] == "KeyError"
    assert book.spans[""].status.status_code is StatusCode.ERROR
    events = [(event.name, dict(event.attributes or {})) for event in book.spans["shaky#1"].events]
    assert events == [
        ("agentrt.retry", {"agentrt.attempt": 1, "agentrt.retry.delay": 0.01, "error.type": "ValueError"}),
        ("agentrt.attempt", {"agentrt.attempt": 2}),
    ]
    assert book.spans["shaky#1"].status.status_code is StatusCode.UNSET
    assert "after#1" not in book.spans
    assert "secret" not in " ".join(span.to_json() for span in book.exporter.get_finished_spans())


async def test_a_resumed_run_is_traced_at_its_own_time_and_only_with_what_runs_again(
    book: Book, tmp_path: Path
) -> None:
    """Recorded steps are not told twice, and times are those of the day, whatever the run's clock says."""
    journal = tmp_path / "journal.db"
    async with Runtime({}, journal=journal, wall=lambda: 1_000.0) as runtime:
        first = await runtime.run(unlucky)
    observer = RunSpans(book.tracer, seconds=first.seconds)
    async with Runtime({}, journal=journal, wall=lambda: 50_000.0, observers=[observer]) as runtime:
        await (await runtime.resume(unlucky))
    assert set(book.spans) == {"", "broken#1"}
    assert all(abs(span.start_time / 1e9 - 50_000) < 30 for span in book.spans.values())


async def test_a_run_belongs_to_the_span_that_it_is_started_in(book: Book) -> None:
    """Started by a traced program, its spans are in that program's trace."""
    with book.tracer.start_as_current_span("request") as request:
        async with Runtime({}, observers=[RunSpans(book.tracer)]) as runtime:
            await runtime.run(unlucky)
    assert parent_of(next(s for s in book.exporter.get_finished_spans() if s.name == "invoke_workflow unlucky")) == (
        request.get_span_context().span_id
    )


class Broken(SpanExporter):
    """Cannot deliver anything."""

    def export(self, spans: object) -> SpanExportResult:
        """Fail."""
        raise OSError("no collector")


async def test_an_exporter_that_fails_breaks_no_run() -> None:
    """The run ends as it would, with its result."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Broken()))
    async with Runtime({}, observers=[RunSpans(provider.get_tracer("agentrt"))]) as runtime:
        result = await runtime.run(one_step)
    assert result.output == "HI"


@program
async def one_step() -> str:
    """One step."""
    return await shout("hi")


def test_what_is_remembered_of_a_long_run_is_bounded(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ended steps the latest ones are known, so that links to them can be made."""
    monkeypatch.setattr(spans, "MOST_KEPT", 10)
    run, observer = RunId("r"), RunSpans(book.tracer)
    observer(RunStarted(run, "p", {}, 0.0))
    for number in range(100):
        name = StepId(f"s#{number}")
        before = (StepId(f"s#{number - 1}"), StepId("s#0")) if number else ()
        observer(StepAdded(run, 0.0, name, "s", "python", None, before, ()))
        observer(StepStarted(run, 0.0, name, 1))
        observer(StepEnded(run, 0.0, name, "done", None, Usage()))
    assert len(observer._ended) == 10
    assert [len(book.spans[f"s#{number}"].links) for number in (0, 5, 99)] == [0, 2, 1]


@pytest.mark.parametrize(
    ("line", "kind"),
    [("ValueError: bad", "ValueError"), ("KeyError", "KeyError"), ("the reply does not fit: x", "AgentrtError")],
)
def test_the_type_of_an_error_is_read_off_its_line(line: str, kind: str) -> None:
    """Errors of others bring the name of their type, agentrt's own do not."""
    assert error_type(line) == kind


# -- when it is on -------------------------------------------------------------------------------------------------


def test_nobody_traces_where_no_provider_is_installed() -> None:
    """OpenTelemetry being imported is not enough; asked for nothing, nothing is installed."""
    assert trace.get_tracer_provider() is not None
    assert tracing.observers() == ()
    for environ in (
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "true"},
    ):
        with tracing.from_environment(environ):
            assert tracing.observers() == ()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin: expected otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}, "http/xml: expected"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "exporter-otlp-proto-grpc"),
    ],
)
def test_what_cannot_be_had_is_a_warning(environ: dict[str, str], said: str, caplog: pytest.LogCaptureFixture) -> None:
    """An exporter or a protocol that there is not is named, with what there is; what runs, runs untraced."""
    with tracing.from_environment(environ):
        assert tracing.observers() == ()
    (record,) = caplog.records
    assert record.getMessage().startswith("tracing is off: ")
    assert said in record.getMessage()


def in_a_process(code: str, **env: str) -> str:
    """What a fresh Python prints for this code."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


PROGRAM = """
    import asyncio, sys
    from agentrt import program, run, step
    @step
    async def shout(text: str) -> str:
        return text.upper()
    @program
    async def greet() -> str:
        return await shout("hi")
"""


def test_a_program_with_a_provider_of_its_own_needs_nothing_else() -> None:
    """The runtime finds the installed provider by itself; contents are as the standard variable says."""
    code = (
        PROGRAM
        + """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    run(greet)
    for span in kept.get_finished_spans():
        print(span.name, "agentrt.run.inputs" in span.attributes)
    """
    )
    assert in_a_process(code) == "shout False\ninvoke_workflow greet False"
    asked = in_a_process(code, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")
    assert asked == "shout False\ninvoke_workflow greet True"


def test_a_provider_that_is_there_is_not_exchanged_for_the_environment_s() -> None:
    """Started under a launcher that has set up tracing, the command line leaves it as it is."""
    code = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from agentrt.runtime.tracing import from_environment
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    with from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}):
        print(trace.get_tracer_provider() is provider)
    """
    assert in_a_process(code) == "True"


def test_a_run_that_is_not_traced_imports_nothing_of_opentelemetry() -> None:
    """Off is off."""
    code = (
        PROGRAM
        + """
    run(greet)
    print([name for name in sys.modules if name.startswith("opentelemetry")])
    """
    )
    assert in_a_process(code) == "[]"


def test_a_variable_that_the_sdk_refuses_is_a_warning() -> None:
    """What is wrong with it is said, and nothing else is lost."""
    code = """
    import logging, sys
    from agentrt.runtime.tracing import from_environment
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    with from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}):
        print("entered")
    """
    told = in_a_process(code, OTEL_BSP_MAX_QUEUE_SIZE="0")
    assert told.startswith("tracing is off: ")
    assert "max_queue_size" in told
    assert told.endswith("entered")
