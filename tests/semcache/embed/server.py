"""A small embeddings server on this machine: its vectors count letters."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

SIZE = 26


def letters(text: str) -> list[float]:
    """How often each letter is in a text."""
    return [float(text.lower().count(chr(97 + place))) for place in range(SIZE)]


def plain(body: dict[str, Any]) -> tuple[int, Any]:
    """What a server answers: all texts, here the last one first, as ``index`` allows."""
    rows = [{"object": "embedding", "index": at, "embedding": letters(one)} for at, one in enumerate(body["input"])]
    return 200, {"object": "list", "model": body["model"], "data": rows[::-1]}


class Server(NamedTuple):
    """Where it is, and what it was asked: each request's path, headers and body."""

    url: str
    asked: list[tuple[str, dict[str, str], dict[str, Any]]]


@contextmanager
def serving(answer: Callable[[dict[str, Any]], tuple[int, Any]] = plain) -> Iterator[Server]:
    """A server that gives ``answer``'s status and JSON, or its text as it is."""
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, said = answer(body)
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
