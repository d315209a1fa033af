"""Whether runs are traced with OpenTelemetry: they are where a tracer provider is installed, and nowhere else.

A program installs one as its own OpenTelemetry set-up does, and its runs become spans in its traces. The command line
installs one itself when the standard variables ask for it (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_EXPORTER``).
Nothing of OpenTelemetry is imported otherwise. What the spans are is said in ``agentrt.runtime.spans``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Final

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from agentrt.events import Observer

FLUSH_S: Final = 5.0
"""Seconds that a command waits at its end for the last spans to be delivered."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP: Final = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
_WITH_CONTENTS: Final = ("true", "span_only", "span_and_event")
_log = logging.getLogger("agentrt")


def observers(seconds: float = 0.0, environ: Mapping[str, str] = os.environ) -> tuple[Observer, ...]:
    """Who turns the events of one run into spans: nobody unless a tracer provider is installed in this process.

    ``seconds`` is what the run's clock says already, of one that goes on. ``environ`` says whether the spans may hold
    what models and tools were told: ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``.
    """
    provider = _installed()
    if provider is None:
        return ()
    from agentrt.runtime.spans import RunSpans

    contents = environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower() in _WITH_CONTENTS
    return (RunSpans(provider.get_tracer("agentrt"), seconds=seconds, contents=contents),)


@contextmanager
def from_environment(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Install a tracer provider while a command runs, if the standard variables ask for one and there is none yet.

    At the end what is left to be delivered is, as far as that takes ``FLUSH_S`` seconds. Many machines have these
    variables for all that runs there: where the SDK is missing, or the exporter is none that we know, a warning says so
    and nothing is traced.
    """
    exporter = _asked_for(environ)
    provider = None if exporter is None or _installed() is not None else _tried(exporter, environ)
    if provider is None:
        yield
        return
    quiet = _Complaints()
    library = logging.getLogger("opentelemetry")
    library.addHandler(quiet)
    propagate, library.propagate = library.propagate, False
    try:
        yield
    finally:
        late = _shut(provider)
        library.propagate = propagate
        library.removeHandler(quiet)
        if late or quiet.first:
            why = quiet.first or f"no answer within {FLUSH_S:g} s"
            _log.warning("tracing: not all spans could be delivered by exporter %r: %s", exporter, why)


def _installed() -> trace.TracerProvider | None:
    """The tracer provider of this process; who has installed one has imported OpenTelemetry."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    provider: trace.TracerProvider = api.get_tracer_provider()
    return None if isinstance(provider, (api.ProxyTracerProvider, api.NoOpTracerProvider)) else provider


def _asked_for(environ: Mapping[str, str]) -> str | None:
    """The exporter that the variables name; an endpoint alone means OTLP."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        return None if named == "none" else named
    return "otlp" if any(environ.get(name) for name in _ENDPOINTS) else None


def _tried(exporter: str, environ: Mapping[str, str]) -> TracerProvider | None:
    """A provider, installed; ``None``, with a warning, if there can be none."""
    try:
        return _provider(exporter, environ)
    except (ConfigError, ValueError) as error:  # the latter is the SDK's, for values that it refuses
        _log.warning("tracing is off: %s", error)
        return None


def _provider(exporter: str, environ: Mapping[str, str]) -> TracerProvider:
    """Install one that sends spans in the background."""
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise _missing("OpenTelemetry's SDK") from error
    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": "agentrt"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(exporter, environ)))
    trace.set_tracer_provider(provider)
    return provider


def _exporter(name: str, environ: Mapping[str, str]) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)  # standard output is the program's
    if name != "otlp":
        raise ConfigError(f"OTEL_TRACES_EXPORTER={name}: expected otlp, console or none")
    protocol = next((environ[one] for one in _PROTOCOLS if environ.get(one)), "http/protobuf")
    module = _OTLP.get(protocol)
    if module is None:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: expected one of {', '.join(_OTLP)}")
    try:
        made: SpanExporter = import_module(module).OTLPSpanExporter()
    except ImportError as error:
        raise _missing(f"the OTLP exporter for {protocol}", grpc=protocol == "grpc") from error
    return made


def _missing(what: str, *, grpc: bool = False) -> ConfigError:
    package = "opentelemetry-exporter-otlp-proto-grpc" if grpc else "agentrt[otel]"
    return ConfigError(
        f"the environment asks for traces (OTEL_TRACES_EXPORTER or OTEL_EXPORTER_OTLP_ENDPOINT), but {what} is not "
        f"installed: pip install '{package}'; OTEL_TRACES_EXPORTER=none asks for none"
    )


def _shut(provider: TracerProvider) -> bool:
    """Deliver what is left; whether that took too long."""
    last = Thread(target=provider.shutdown, name="agentrt-tracing", daemon=True)
    last.start()
    last.join(FLUSH_S)
    return last.is_alive()


class _Complaints(logging.Handler):
    """Keeps what the library says first: told at the end, it does not run into the display of the run."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of the library's."""
        self.first = self.first or record.getMessage()
