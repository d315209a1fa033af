"""A tiny real server process in SGLang's place: it reads the same order and answers the same few paths.

``server_args["behaviour"]`` makes it fail: crash, killed, mute (answers without a token), deaf (never listens),
stubborn (ignores SIGTERM).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

ORDER = json.loads(sys.stdin.read())
ARGS = ORDER["server_args"]
BEHAVIOUR = ARGS.get("behaviour", "well")


class Handler(BaseHTTPRequestHandler):
    """Answers ``/health`` and one-token chats for those who know the key."""

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {ARGS['api_key']}":
            return self._answer(401, {"error": "no key"})
        return self._answer(200, {"usage": {"completion_tokens": 0 if BEHAVIOUR == "mute" else 1}})

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Behave."""
    print("fake engine: the last words", flush=True)
    if BEHAVIOUR == "crash":
        sys.exit(3)
    if BEHAVIOUR == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if BEHAVIOUR == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])  # a child, as SGLang has
    if BEHAVIOUR == "deaf":
        signal.pause()
    HTTPServer((ARGS["host"], ARGS["port"]), Handler).serve_forever()


main()
