"""Run ThunderAgent's proxy with a key for its engine, as a script: ``thunderagent_main.py OPTION...``.

It knows no keys. The one that it is to send is the first line of standard input; its HTTP client carries it from then
on, and nothing else about it is changed.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any


def main() -> None:
    """Give every ``httpx.AsyncClient`` made from now on the key, then run the module as ``python -m`` does."""
    import httpx

    key = sys.stdin.readline().strip()
    plain = httpx.AsyncClient.__init__

    def with_key(self: httpx.AsyncClient, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("headers", {"authorization": f"Bearer {key}"})
        plain(self, *args, **kwargs)

    httpx.AsyncClient.__init__ = with_key  # type: ignore[method-assign]
    runpy.run_module("ThunderAgent", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
