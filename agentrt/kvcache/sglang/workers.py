"""The server's app for SGLang's tokenizer workers, which import it by name and load no plugins of their own."""

from __future__ import annotations

from sglang.srt.plugins import load_plugins

load_plugins()  # before the app is made, as in the process that starts them

from sglang.srt.entrypoints.http_server import app  # noqa: E402

__all__ = ["app"]
