"""Answers questions in a grader's environment: ``python serve.py WORKER.py MEMORY`` calls the worker's functions.

A question is a JSON line ``{"ask": NAME, "with": {...}, "alone": SECONDS}`` on standard input; the answer is a JSON
line ``{"answer": ...}`` or ``{"error": ...}`` on what was standard output. What the official package prints goes to
standard error. With ``alone`` the function runs in a process of its own, forked from this one and killed after so many
seconds: global state and endless loops end with it. ``MEMORY`` is the most bytes that one process may take.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from types import ModuleType
from typing import Any

PR_SET_PDEATHSIG = 1
CHUNK = 1 << 20


def main() -> None:
    """Answer until the questions end."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what is printed is no answer
    contain(int(sys.argv[2]))
    module = loaded(sys.argv[1])
    for line in sys.stdin:
        question = json.loads(line)
        reply = answer(module, question) if question.get("alone") is None else answer_alone(module, question)
        write(answers, reply + b"\n")


def contain(memory: int) -> None:
    """End with who started us, leave no core files, and take no more than ``memory`` bytes."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def die_with_parent() -> None:
    """Be killed when the parent ends, however it ends; where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def loaded(path: str) -> ModuleType:
    """The worker's module."""
    spec = importlib.util.spec_from_file_location("worker", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["worker"] = module
    spec.loader.exec_module(module)
    return module


def answer(module: ModuleType, question: dict[str, Any]) -> bytes:
    """Call the function. What goes wrong is an answer too: one line of it, the rest is in the log."""
    try:
        found = getattr(module, question["ask"])(**question["with"])
        return json.dumps({"answer": found}, default=str).encode()
    except Exception as error:  # noqa: BLE001 - an official package runs on what a model wrote
        traceback.print_exc()
        return json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()


def answer_alone(module: ModuleType, question: dict[str, Any]) -> bytes:
    """The same, in a process of its own."""
    seconds = float(question["alone"])
    there, here = os.pipe()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        be_child(module, question, here)
    os.close(here)
    with suppress(OSError):  # the child has done so itself
        os.setpgid(child, child)
    try:
        reply = read(there, time.monotonic() + seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(there)
    if reply is None:
        return json.dumps({"error": f"no answer within {seconds:g} s"}).encode()
    return reply or json.dumps({"error": "the process that was to answer died"}).encode()


def be_child(module: ModuleType, question: dict[str, Any], pipe: int) -> None:
    """Answer one question and end."""
    try:
        os.setpgid(0, 0)
        die_with_parent()
        write(pipe, answer(module, question))
    finally:
        os._exit(0)


def write(descriptor: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read(descriptor: int, deadline: float) -> bytes | None:
    """All there is until it is closed; ``None`` when that takes too long."""
    found: list[bytes] = []
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        chunk = os.read(descriptor, CHUNK)
        if not chunk:
            return b"".join(found)
        found.append(chunk)


if __name__ == "__main__":
    main()
