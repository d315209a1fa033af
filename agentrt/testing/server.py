"""A model server without a model: speaks HTTP for real, answers from a script, and remembers what it was asked.

    async with ScriptedServer([say("Hello."), call("search", query="tea")]) as server:
        executor = OpenAIExecutor(server.url)

``python -m agentrt.testing.server`` runs one that echoes, to try programs without an engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal, Self
from urllib.parse import parse_qsl

from agentrt.kvcache.hints import Capability, Hint, batch_from_wire
from agentrt.testing import answers
from agentrt.testing.script import Asked, Reply, Script, echo, in_order
from agentrt.testing.tokens import PrefixCache, Vocabulary, render
from agentrt.testing.wire import HttpRequest, Link

_MODEL_PATHS = {"/v1/chat/completions", "/generate"}


class ScriptedServer:
    """A server for tests, on a free port of this machine.

    ``script`` answers each model request: a function of what was asked, or a list of replies used in order;
    without one it echoes. ``kind`` says whether it also has SGLang's own endpoints. ``context`` is the
    longest prompt in words; ``api_key`` is demanded when given. Tokens are words, and cached tokens are
    counted as a radix cache would: the longest beginning shared with an earlier prompt and its reply.

    With ``takes`` it also takes hints, as an engine with our plugin of that capability; ``hints`` holds those that
    came, in order. ``deaf`` makes it refuse them with that status. With ``tells`` it says of its KV cache what that
    function gives for the programs that were asked for, as one scheduler.

    ``requests`` holds the model requests in order of arrival, ``cancelled`` those whose client left before
    the end; ``in_flight`` and ``peak`` count those being answered, now and at most.
    """

    def __init__(
        self,
        script: Script | Sequence[Reply] | None = None,
        *,
        model: str = "scripted",
        api_key: str | None = None,
        context: int | None = None,
        kind: Literal["sglang", "openai"] = "sglang",
        takes: Capability | None = None,
        tells: Callable[[list[str]], Mapping[str, Any]] | None = None,
        port: int = 0,
    ) -> None:
        self.hints: list[Hint] = []
        self.deaf: int | None = None
        self.requests: list[Asked] = []
        self.cancelled: list[Asked] = []
        self.in_flight = 0
        self.peak = 0
        self.model = model
        self._script = echo if script is None else script if callable(script) else in_order(script)
        self._api_key = api_key
        self._context = context
        self._kind = kind
        self._takes = takes
        self._tells = tells
        self._port = port
        self._cache = PrefixCache()
        self._vocabulary = Vocabulary()
        self._tokenized: dict[tuple[int, ...], Mapping[str, Any]] = {}
        self._links: set[asyncio.Task[Any]] = set()
        self._waiting: list[tuple[Callable[[ScriptedServer], bool], asyncio.Future[None]]] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``; the same after the server has closed."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, backlog=4096)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop listening and drop every connection, as a server does that dies; twice is fine."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await server.wait_closed()

    async def until(self, true: Callable[[ScriptedServer], bool]) -> None:
        """Wait until ``true(server)``; asked again whenever something arrives, ends or is cancelled."""
        if not true(self):
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((true, arrived))
            await arrived

    def forget(self) -> None:
        """Empty the prefix cache."""
        self._cache.clear()

    @classmethod
    @contextmanager
    def in_thread(cls, script: Script | Sequence[Reply] | None = None, **options: Any) -> Iterator[Self]:
        """The server in a thread of its own, for code without an event loop. Gates do not work across threads."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="scripted-server", daemon=True)
        thread.start()
        server = cls(script, **options)
        try:
            asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A plain function, since asyncio before 3.12 logs the cancelling of a task that it made itself."""
        task = asyncio.ensure_future(self._serve(Link(reader, writer)))
        self._links.add(task)
        task.add_done_callback(self._links.discard)

    async def _serve(self, link: Link) -> None:
        try:
            while (request := await link.next()) is not None:
                await self._exchange(request, link)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left in the middle of a request or of its answer
        finally:
            await link.close()

    async def _exchange(self, request: HttpRequest, link: Link) -> None:
        if (refused := self._refusal(request)) is not None:
            await link.send_json({"error": refused[1]}, refused[0])
        elif request.path in _MODEL_PATHS:
            await self._model_request(request, link)
        else:
            await self._other(request, link)

    def _refusal(self, request: HttpRequest) -> tuple[int, str] | None:
        wanted = f"Bearer {self._api_key}"
        if self._api_key and request.headers.get("authorization") != wanted and request.path != "/health":
            return 401, "Unauthorized"
        known = {"/v1/models", "/health", "/v1/chat/completions"}
        if self._kind == "sglang":
            known |= {"/generate", "/model_info", "/server_info", "/tokenize", "/v1/tokenize"}
        if self._takes is not None:
            known |= {"/agentrt/capability", "/agentrt/hints"}
        if self._tells is not None:
            known.add("/agentrt/kv")
        return None if request.path in known else (404, "Not Found")

    async def _other(self, request: HttpRequest, link: Link) -> None:
        """Everything but model requests."""
        match request.path:
            case "/v1/models":
                await link.send_json({"object": "list", "data": [{"id": self.model, "object": "model"}]})
            case "/model_info":
                await link.send_json({"model_path": self.model, "is_generation": True})
            case "/server_info":
                await link.send_json({"version": "scripted", "enable_priority_scheduling": True})
            case "/agentrt/capability":
                await link.send_json(asdict(self._takes or Capability()))
            case "/agentrt/kv" if self._tells is not None:
                programs = [value for name, value in parse_qsl(request.query) if name == "program"]
                await link.send_json({"schedulers": [self._tells(programs)]})
            case "/agentrt/hints":
                await self._take_hints(request, link)
            case "/tokenize" | "/v1/tokenize":
                await link.send_json(self._tokenize(json.loads(request.body)))
            case _:
                await link.send(b"")

    async def _take_hints(self, request: HttpRequest, link: Link) -> None:
        if self.deaf is not None:
            await link.send_json({"error": "not now"}, self.deaf)
            return
        try:
            hints = batch_from_wire(json.loads(request.body))
        except ValueError as error:
            await link.send_json({"error": str(error)}, 400)
            return
        self.hints += hints
        await link.send_json({"accepted": len(hints)})
        self._changed()

    def _tokenize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        numbers = self._vocabulary.encode(render(body.get("messages") or (), body.get("tools") or ()))
        self._tokenized[tuple(numbers)] = body
        return {"tokens": numbers, "count": len(numbers), "max_model_len": self._context or -1}

    async def _model_request(self, request: HttpRequest, link: Link) -> None:
        """Answer from the script, unless the client leaves first."""
        asked = self._read(request)
        self.requests.append(asked)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self._changed()
        answer = asyncio.ensure_future(self._answer(asked, link))
        left = asyncio.ensure_future(link.client_left())
        try:
            await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() or isinstance(answer.exception(), ConnectionError):
                self.cancelled.append(asked)
        finally:
            await _end(answer, left)
            self.in_flight -= 1
            self._changed()
        if not answer.cancelled():
            answer.result()

    def _read(self, request: HttpRequest) -> Asked:
        body = json.loads(request.body)
        told = body
        if request.path == "/generate":
            numbers = body.get("input_ids") or self._vocabulary.encode(str(body.get("text") or "").split())
            told = self._tokenized.get(tuple(numbers), {})
            prompt = self._vocabulary.decode(numbers)
            given = (body.get("sampling_params") or {}).get("json_schema")
            schema = json.loads(given) if given else None
        else:
            prompt = render(body.get("messages") or (), body.get("tools") or ())
            schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        messages, tools = told.get("messages") or (), told.get("tools") or ()
        return Asked(request.path, request.headers, body, prompt, messages, tools, schema)

    async def _answer(self, asked: Asked, link: Link) -> None:
        if self._context is not None and len(asked.prompt) >= self._context:
            await link.send_json(_too_long(len(asked.prompt), self._context), 400)
            return
        cached = self._cache.match(asked.prompt)
        self._cache.add(asked.prompt)
        reply = await self._scripted(asked)
        if reply.status != 200:
            error = {"object": "error", "message": reply.message, "type": "scripted", "code": reply.status}
            await link.send_json(error, reply.status)
            return
        await self._speak(answers.Speech(asked, reply, cached, _most(asked)), link)

    async def _scripted(self, asked: Asked) -> Reply:
        """What the script says; its own mistakes are told to the client, where a test will show them."""
        try:
            made = self._script(asked)
            return await made if isinstance(made, Awaitable) else made
        except Exception as error:  # noqa: BLE001  (it runs what a test wrote)
            return Reply(status=500, message=f"the script failed: {error!r}")

    async def _speak(self, speech: answers.Speech, link: Link) -> None:
        if speech.asked.path == "/generate":
            await answers.generate(link, speech)
        elif speech.asked.body.get("stream"):
            await answers.stream_chat(link, speech, self.model)
        else:
            await answers.whole_chat(link, speech, self.model)
        self._cache.add((*speech.asked.prompt, *speech.words))

    def _changed(self) -> None:
        still = []
        for true, arrived in self._waiting:
            if arrived.done():
                continue
            if true(self):
                arrived.set_result(None)
            else:
                still.append((true, arrived))
        self._waiting = still


def _most(asked: Asked) -> int | None:
    sampling = asked.body.get("sampling_params") or {}
    most = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens")
    limit = most or sampling.get("max_new_tokens")
    return limit if isinstance(limit, int) else None


def _too_long(length: int, limit: int) -> dict[str, Any]:
    said = f"The input ({length} tokens) is longer than the model's context length ({limit} tokens)."
    return {"object": "error", "message": said, "type": "BadRequestError", "param": None, "code": 400}


async def _end(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with ScriptedServer(model=arguments.model, api_key=arguments.api_key, port=arguments.port) as server:
        print(server.url, flush=True)
        await stop.wait()


def main() -> None:
    """Run an echoing server and print its address; Ctrl-C ends it."""
    parser = argparse.ArgumentParser(prog="python -m agentrt.testing.server", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--model", default="scripted", help="the name it gives its model")
    parser.add_argument("--api-key", help="a key to demand")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
