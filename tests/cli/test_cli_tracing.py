"""Traces from the command line, delivered to a server that reads OTLP as collectors do."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.cli.conftest import Cli

GREET = """
    from agentrt import program, step

    @step
    async def shout(text: str) -> str:
        return text.upper()

    @program
    async def greet(name: str) -> str:
        return await shout(f"hi {name}")
"""


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Its address, and the spans that it was sent, each with the attributes of its resource."""
    received: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            asked = ExportTraceServiceRequest.FromString(body)
            for group in asked.resource_spans:
                resource = {one.key: one.value.string_value for one in group.resource.attributes}
                received.extend((resource, span) for scope in group.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        listening = Thread(target=server.serve_forever)
        listening.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            listening.join()


def written(folder: Path) -> str:
    """The program's file."""
    (folder / "greet.py").write_text(dedent(GREET))
    return "greet.py"


def test_an_endpoint_in_the_environment_gets_the_spans_of_a_run(cli: Cli, tmp_path: Path) -> None:
    """Set as for any other program, and nothing else: both spans arrive, of one trace, before the command ends."""
    with collector() as (url, received):
        done = cli(
            "run", written(tmp_path), "--input", "name=otters", "--no-journal", env={"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        )
    assert (done.code, done.out) == (0, "HI otters\n".upper())
    spans = {span.name: span for _, span in received}
    assert set(spans) == {"invoke_workflow greet", "shout"}
    assert spans["shout"].parent_span_id == spans["invoke_workflow greet"].span_id
    assert spans["shout"].trace_id == spans["invoke_workflow greet"].trace_id
    assert {resource["service.name"] for resource, _ in received} == {"agentrt"}
    assert b"otters" not in b"".join(span.SerializeToString() for span in spans.values())


def test_the_service_is_called_what_the_environment_says(cli: Cli, tmp_path: Path) -> None:
    """A name that was given is kept."""
    with collector() as (url, received):
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "nightly"}
        cli("run", written(tmp_path), "--input", "name=x", "--no-journal", env=env)
    assert {resource["service.name"] for resource, _ in received} == {"nightly"}


def test_a_collector_that_is_not_there_costs_seconds_and_no_run(cli: Cli, tmp_path: Path) -> None:
    """The output and the exit code are the run's own; one line says that spans were lost."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    done = cli("run", written(tmp_path), "--input", "name=x", "--no-journal", env=env)
    assert (done.code, done.out) == (0, "HI X\n")
    assert done.err.count("tracing: not all spans could be delivered by exporter 'otlp'") == 1
    assert "Traceback" not in done.err


def test_an_exporter_that_is_unknown_is_a_warning(cli: Cli, tmp_path: Path) -> None:
    """The run goes on untraced, and one line has the choices."""
    done = cli("run", written(tmp_path), "--input", "name=x", "--no-journal", env={"OTEL_TRACES_EXPORTER": "zipkin"})
    assert (done.code, done.out) == (0, "HI X\n")
    assert done.err.count("tracing is off: OTEL_TRACES_EXPORTER=zipkin: expected otlp, console or none\n") == 1


def test_without_the_sdk_one_line_names_the_extra_and_the_run_goes_on(cli: Cli, tmp_path: Path) -> None:
    """Many machines have an endpoint for all that runs there: it asks for traces where they can be had."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}
    done = cli("run", written(tmp_path), "--input", "name=x", "--no-journal", env=env)
    assert (done.code, done.out) == (0, "HI X\n")
    assert done.err.count("tracing is off: ") == 1
    assert "pip install 'agentrt[otel]'" in done.err
    assert "Traceback" not in done.err


def test_spans_on_the_console_leave_standard_output_to_the_program(cli: Cli, tmp_path: Path) -> None:
    """Exporter console writes to standard error."""
    done = cli("run", written(tmp_path), "--input", "name=x", "--no-journal", env={"OTEL_TRACES_EXPORTER": "console"})
    assert done.out == "HI X\n"
    assert '"name": "invoke_workflow greet"' in done.err
