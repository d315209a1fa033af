"""Writes one run into the journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from agentrt.runtime.durable.conversations import Conversations
from agentrt.runtime.result import brief
from agentrt.store.codec import Unstorable, compact, digest, encode, quoted
from agentrt.store.joins import bottom_up, edges_of, is_join, join_named
from agentrt.store.rows import PROGRAM, Entry, EntryKind, RunChange, StoredStatus
from agentrt.store.writer import Writer
from agentrt.types import ModelRequest, RunId, StepId

if TYPE_CHECKING:
    from agentrt.graph.machine import Node

_log = logging.getLogger("agentrt")

INLINE: Final = 200
"""Characters up to which a text stands in its entry; a longer one is kept once, under its hash."""

_NOTHING: Final = StepId("")
"""The name of a join of which nobody knows any more what it gathered."""


class Recorder:
    """The next entry's number, and what the program has been told so far."""

    def __init__(self, writer: Writer, run: RunId, now: Callable[[], float], *, seq: int = 0, seen: int = 0) -> None:
        self.seen = seen
        self._writer = writer
        self._run = run
        self._now = now
        self._seq = seq
        self._unstorable: set[str] = set()
        self._joins: WeakKeyDictionary[Node, StepId] = WeakKeyDictionary()
        self._conversations = Conversations(partial(writer.keep, run))

    def called(self, node: Node, args: str) -> None:
        """A step is in the graph; ``args`` are its arguments as ``show_call`` shows them."""
        parts = [] if node.kind == "python" else [f'"kind":"{node.kind}"']
        if node.inputs:
            parts.append(self._edges("in", node.inputs))
        if node.after:
            parts.append(self._edges("after", node.after))
        if args:
            parts.append(self._part("args", args))
        self._put("called", node.id, _object(parts))

    def known(self, node: Node, called: Entry) -> None:
        """The journal has this call already: a join that stands for its edges keeps the name that it has there."""
        data = None
        for index, nodes in enumerate((node.inputs, node.after)):
            if len(nodes) == 1 and nodes[0].kind == "join" and nodes[0] not in self._joins:
                data = json.loads(called.data) if data is None else data
                names = edges_of(data)[index]
                if len(names) == 1 and is_join(names[0]):
                    self._joins[nodes[0]] = names[0]

    def rewired(self, nodes: Iterable[Node]) -> None:
        """An edit has changed these nodes: joins among them, and joins that gather those, stand for others now."""
        queue = list(nodes)
        for node in queue:  # grows meanwhile
            if self._joins.pop(node, None) is not None:
                queue.extend(node.dependents)

    def begun(self, node: Node, attempt: int, then: Callable[[], Any] | None = None) -> None:
        """An attempt starts; with ``then``, only once that is on disk."""
        data = "" if attempt == 1 else f'{{"attempt":{attempt}}}'
        if then is None:
            self._put("begun", node.id, data)
        else:
            self._writer.put_then(self._entry("begun", node.id, data), then)

    def retried(self, node: Node, error: BaseException, delay: float) -> None:
        """An attempt failed, another follows."""
        told: dict[str, Any] = {"error": brief(error), "delay": delay}
        if node.kind == "python" and node.attempt == 1 and node.started is not None:  # nothing else says so by then
            told["began"] = round(node.started, 6)
        self._put("retried", node.id, json.dumps(told))

    def text(self, node: Node, text: str) -> None:
        """A piece of text is handed to the program."""
        self._put("text", node.id, json.dumps(text))
        self.seen += 1

    def sent(self, node: Node, model: str, request: ModelRequest) -> None:
        """A model is sent something, for a step."""
        self._put("sent", node.id, compact({"model": model, **self._conversations.sent(request)}))

    def asked(self, node: Node, question: dict[str, Any], context: str, then: Callable[[], Any]) -> None:
        """A person is asked a question in ``then``; a long ``context`` is kept apart."""
        parts = [f'"question":{json.dumps(question, separators=(",", ":"))}']
        if context:
            parts.append(self._part("context", json.dumps(context)))
        self._writer.put_then(self._entry("asked", node.id, _object(parts)), then)

    def answered(self, node: Node, data: dict[str, Any], then: Callable[[], Any]) -> None:
        """An answer was taken, or did not fit; ``then`` is called once that is on disk."""
        self._writer.put_then(self._entry("answered", node.id, json.dumps(data, separators=(",", ":"))), then)

    def edited(self, maker: StepId, data: dict[str, Any], then: Callable[[], Any] | None = None) -> None:
        """A step changed what it called, or was refused to; ``then`` is called once that is on disk."""
        entry = self._entry("edited", maker, json.dumps(data, separators=(",", ":")))
        if then is None:
            self._writer.put(entry)
        else:
            self._writer.put_then(entry, then)
        self.seen += "document" in data and "refused" not in data

    def done(self, node: Node, value: Any, then: Callable[[], Any]) -> None:
        """The step has a result, which is handed on in ``then``."""
        used = node.usage
        usage = f',"usage":[{used.prompt},{used.cached},{used.completion}]' if used.prompt or used.completion else ""
        began = f',"began":{node.started:.6f}' if node.kind == "python" else ""
        data = f'{{"status":"done",{self._value(node, value)}{usage}{began}}}'
        self._writer.put_then(self._entry("ended", node.id, data), then)

    def failed(self, node: Node, error: BaseException, then: Callable[[], Any]) -> None:
        """The step has failed for good, which is handed on in ``then``."""
        told = f'{self._part("value", encode(error))},"error":{json.dumps(brief(error))}'
        began = f',"began":{node.started:.6f}' if node.kind == "python" and node.started is not None else ""
        data = f'{{"status":"failed",{told}{began}}}'
        self._writer.put_then(self._entry("ended", node.id, data), then)

    def dropped(self, node: Node) -> None:
        """The step ended without a result that anybody was told: it was cancelled, or skipped."""
        data = {"status": node.status} | ({"because": node.because.id} if node.because else {})
        self._put("ended", node.id, json.dumps(data, separators=(",", ":")))

    def resumed(self, wall: float, owner: str, again: Iterable[StepId], without: Iterable[StepId]) -> None:
        """This process has gone on from here: with the steps ``again`` not finished, and ``without`` some."""
        data: dict[str, Any] = {"wall": wall, "owner": owner}
        data |= {name: found for name, some in (("again", again), ("without", without)) if (found := sorted(some))}
        self._put("resumed", PROGRAM, json.dumps(data))

    def runs_again(self, owner: str) -> None:
        """This process has a run that was put aside, had failed, or was cancelled."""
        self._writer.changed(RunChange("running", self._now(), None, owner, self._run))

    def over(
        self,
        status: StoredStatus,
        value: Any,
        error: BaseException | None,
        step: StepId | None,
        then: Callable[[], Any],
    ) -> None:
        """The run has ended."""
        parts = [f'"status":"{status}"']
        if error is None:
            parts.append(self._stored(value))
        else:
            parts += [self._part("value", encode(error)), f'"error":{json.dumps(str(error))}']
        if step is not None:
            parts.append(f'"step":{json.dumps(step)}')
        text = None if error is None else str(error)
        self._writer.changed(RunChange(status, self._now(), text, None, self._run))
        self._writer.put_then(self._entry("over", PROGRAM, _object(parts)), then)

    def _edges(self, name: str, nodes: tuple[Node, ...]) -> str:
        if len(nodes) == 1 and (known := self._joins.get(nodes[0]) if nodes[0].kind == "join" else nodes[0].id):
            return f'"{name}":[{quoted(known)}]'
        text = self._names(nodes)
        return f'"{name}":{text if len(text) <= INLINE else f"[{quoted(self._join(text))}]"}'

    def _names(self, nodes: tuple[Node, ...]) -> str:
        """The names of nodes, as JSON. Joins among them, and those that these gather, are written if they are new."""
        for join in bottom_up(filter(_is_join, nodes), self._joins.__contains__, _inside):
            gathered = (*join.inputs, *join.after)  # none if a long run has let go of it
            self._joins[join] = self._join(self._names(gathered)) if gathered else _NOTHING
        names = dict.fromkeys(self._joins[node] if node.kind == "join" else node.id for node in nodes)
        return f"[{','.join(quoted(name) for name in names if name)}]"

    def _join(self, text: str) -> StepId:
        hash_ = digest(text)
        self._writer.keep(self._run, hash_, text)
        return join_named(hash_)

    # -- texts -------------------------------------------------------------------------------------------------------

    def _value(self, node: Node, value: Any) -> str:
        return '"value":null' if value is None else self._stored(value, node)

    def _stored(self, value: Any, node: Node | None = None) -> str:
        """``node`` whose result it is; the output of a run is not needed to resume it."""
        try:
            return self._part("value", encode(value))
        except Unstorable as error:
            if node is not None and node.name not in self._unstorable:
                self._unstorable.add(node.name)
                _log.warning(
                    "run %s: the result of step %r is %s, which a journal cannot hold; resumed, the run would have to "
                    "make it again; return data (numbers, texts, lists, dataclasses, pydantic models)",
                    self._run,
                    node.id,
                    error,
                )
            return f'"unstorable":{json.dumps(str(error))}'

    def _part(self, name: str, text: str) -> str:
        if len(text) <= INLINE:
            return f'"{name}":{text}'
        hash_ = digest(text)
        self._writer.keep(self._run, hash_, text)
        return f'"{"body" if name == "value" else f"{name}body"}":"{hash_}"'

    def _entry(self, kind: EntryKind, step: StepId, data: str) -> Entry:
        self._seq += 1
        return Entry(self._run, self._seq, self._writer.batch, self._now(), kind, step, self.seen, data)

    def _put(self, kind: EntryKind, step: StepId, data: str) -> None:
        self._writer.put(self._entry(kind, step, data))


def _object(parts: list[str]) -> str:
    return f"{{{','.join(parts)}}}"


def _is_join(node: Node) -> bool:
    return node.kind == "join"


def _inside(join: Node) -> Iterable[Node]:
    return filter(_is_join, (*join.inputs, *join.after))
