"""The parts of the control way that need no engine: the desk, envelopes, the pulse, the exporter."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from agentrt.kvcache.hints import Hint, Subject
from agentrt.kvcache.sglang import envelope
from agentrt.kvcache.sglang.counts import Counts
from agentrt.kvcache.sglang.desk import Answer, Desk
from agentrt.kvcache.sglang.ledger import Ledger
from agentrt.kvcache.sglang.metrics import Exporter
from agentrt.kvcache.sglang.pulse import PERIOD, TICKS_PER_LOOK, Pulse

SALT = "3f9c-secret"


def hint(name: str = "a", generation: int = 1, **fields: Any) -> Hint:
    return Hint(subject=Subject("session", name), generation=generation, **fields)


def message(kind: str, now: float = 100.0, hints: tuple[Hint, ...] = (), tenant: str | None = "") -> SimpleNamespace:
    return SimpleNamespace(kind=kind, now=now, hints=list(hints), tenant=tenant)


def scheduler(core: object) -> SimpleNamespace:
    """As much of SGLang's scheduler as the desk looks at, over a tree with ``core``."""
    return SimpleNamespace(
        tree_cache=SimpleNamespace(tree_core=core),
        server_args=SimpleNamespace(radix_eviction_policy="slru"),
        enable_priority_scheduling=True,
        enable_session_radix_cache=False,
    )


def empty(kind: type[Ledger]) -> Ledger:
    """A ledger over a tree that holds nothing."""
    return kind(pool=3000, host=12000, sizes=lambda node: (0, 0), find=lambda tenant, prefix: (None, False))


@pytest.fixture
def ledger() -> Ledger:
    return empty(Ledger)


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(scheduler(SimpleNamespace(ledger=ledger, prefetcher=SimpleNamespace(able=True))))


def action(payload: dict[str, Any], kind: str = "agentrt.hint", version: str = "1") -> SimpleNamespace:
    return SimpleNamespace(action_id="1", action_type=kind, action_version=version, payload=payload)


def request(*actions: SimpleNamespace, salt: str | None = None) -> SimpleNamespace:
    hints = SimpleNamespace(protocol_version="1", message_id="m", actions=list(actions))
    return SimpleNamespace(kv_hints=hints, cache_salt=salt)


# -- desk ----------------------------------------------------------------------------------------------------


def test_hints_are_tallied(desk: Desk) -> None:
    """A batch is applied in order, and the answer counts what became of it."""
    answer = desk.take(message("hints", hints=(hint("a"), hint("b"), hint("a", 1))))
    assert answer is not None
    assert (answer.status, answer.body["accepted"], answer.body["ignored"]) == (200, 2, 1)


def test_a_tick_moves_the_clock_and_is_not_answered(desk: Desk, ledger: Ledger) -> None:
    """The time alone lets a hint expire, and nothing goes back for it."""
    desk.take(message("hints", now=100.0, hints=(hint(keep=5.0),)))
    assert desk.take(message("tick", now=104.0)) is None
    assert ledger.live
    assert desk.take(message("tick", now=105.5)) is None
    assert not ledger.live


def test_a_look_says_whether_hints_are_left(desk: Desk) -> None:
    """The clock may stop when the last hint has expired, and not before."""
    desk.take(message("hints", now=100.0, hints=(hint(keep=5.0),)))
    assert desk.take(message("look", now=101.0)) == Answer(200, {"live": True})
    assert desk.take(message("look", now=106.0)) == Answer(200, {"live": False})


def test_capability_tells_tiers_and_policy(desk: Desk) -> None:
    """A hinted engine says its protocol, its tiers in tokens and what orders the unhinted."""
    answer = desk.take(message("capability"))
    assert answer is not None
    told = {name: answer.body[name] for name in ("protocol", "pool", "host", "prefetch", "priority", "salt", "policy")}
    assert told == {
        "protocol": 1,
        "pool": 3000,
        "host": 12000,
        "prefetch": True,
        "priority": True,
        "salt": True,
        "policy": "slru",
    }


def test_a_stock_tree_says_why_hints_do_nothing() -> None:
    """Over a tree that is not ours the protocol is 0, hints are refused, and both say why."""
    desk = Desk(scheduler(object()))
    probed, refused = desk.take(message("capability")), desk.take(message("hints", hints=(hint(),)))
    assert probed is not None
    assert refused is not None
    assert probed.body["protocol"] == 0
    assert "tree core" in probed.body["why"]
    assert (refused.status, refused.body) == (501, {"error": probed.body["why"]})


def test_a_tree_that_gave_its_hints_up_says_so() -> None:
    """Over our own tree after a fault the answer sends people to the log, not to the setting that they have made."""
    probed = Desk(scheduler(SimpleNamespace(ledger=None))).take(message("capability"))
    assert probed is not None
    assert probed.body["protocol"] == 0
    assert "fault" in probed.body["why"]
    assert "start it with" not in probed.body["why"]


def test_a_failing_ledger_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What the ledger throws is answered as an error and logged once, without the values it names."""

    class Broken(Ledger):
        def apply(self, *_: Any) -> Any:
            raise KeyError(SALT)

    desk = Desk(scheduler(SimpleNamespace(ledger=empty(Broken))))
    with caplog.at_level(logging.WARNING):
        answers = [desk.take(message("hints", hints=(hint(tenant=SALT),))) for _ in range(3)]
    assert {answer.status for answer in answers if answer} == {500}
    assert caplog.text.count("failed with KeyError") == 1
    assert SALT not in caplog.text
    assert SALT not in str(answers)


# -- envelopes -----------------------------------------------------------------------------------------------


def test_an_envelope_holds_our_actions_in_order() -> None:
    """Our actions are read in order; those of other types are not ours to judge."""
    opened = envelope.read(
        request(
            action(hint("a").to_wire()),
            action({"anything": 1}, kind="other.pin"),
            action(hint("b", steps=2).to_wire()),
        ).kv_hints,
        None,
    )
    assert opened == envelope.Opened((hint("a"), hint("b", steps=2)), ())


def test_a_request_speaks_for_its_own_tenant() -> None:
    """Whatever tenant a payload names, the hint is for the request's salt; without a salt, for nobody's."""
    forged = request(action(hint(tenant="another").to_wire()))
    assert [one.tenant for one in envelope.read(forged.kv_hints, SALT).hints] == [SALT]
    assert [one.tenant for one in envelope.read(forged.kv_hints, None).hints] == [""]


def test_malformed_payloads_are_faults() -> None:
    """A payload that is no hint and a version of tomorrow are told apart from the good one beside them."""
    opened = envelope.read(
        request(action({"bogus": 1}), action(hint().to_wire(), version="2"), action(hint().to_wire())).kv_hints, SALT
    )
    assert opened.hints == (hint(tenant=SALT),)
    assert len(opened.faults) == 2


def test_envelopes_are_timed_by_the_last_message(desk: Desk, ledger: Ledger) -> None:
    """An envelope's hint holds from the last message's time on, and expires by the same clock."""
    desk.take(message("tick", now=100.0))
    desk.open(request(action(hint(keep=5.0).to_wire())))
    assert ledger.counts.accepted == 1
    desk.take(message("tick", now=104.0))
    assert ledger.live
    desk.take(message("tick", now=106.0))
    assert not ledger.live


def test_envelopes_without_a_clock_are_ignored(desk: Desk, ledger: Ledger) -> None:
    """Hints that nothing would ever let expire are not taken."""
    desk.open(request(action(hint().to_wire())))
    assert (ledger.counts.accepted, ledger.counts.ignored, ledger.live) == (0, 1, False)


def test_malformed_envelopes_cost_a_count_and_one_line(
    desk: Desk, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """Each unreadable hint is counted as ignored; the log tells of it once, the request goes on."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            desk.open(request(action({"bogus": 1}), salt=SALT))
    assert ledger.counts.ignored == 3
    assert caplog.text.count("cannot be read") == 1


# -- pulse ---------------------------------------------------------------------------------------------------


class Watch:
    """A clock that never waits: counts ticks and slept seconds, answers looks from a list, then no."""

    def __init__(self, *looks: bool | Exception) -> None:
        self.looks, self.ticks, self.slept = list(looks), 0, 0.0

    def tick(self) -> None:
        self.ticks += 1

    async def look(self) -> bool:
        found = self.looks.pop(0) if self.looks else False
        if isinstance(found, Exception):
            raise found
        return found

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await asyncio.sleep(0)

    async def run(self) -> Watch:
        pulse = Pulse(self.tick, self.look, self.sleep)
        pulse.wake()
        while pulse.beating:
            await asyncio.sleep(0)
        return self


async def test_ticks_end_when_no_hint_is_left() -> None:
    """Ticks go on while a look finds a hint, and end after the first that finds none."""
    watch = await Watch(True, True, False).run()
    assert watch.ticks == 3 * TICKS_PER_LOOK
    assert watch.slept == pytest.approx(watch.ticks * PERIOD)


async def test_ticks_go_on_when_nobody_answers() -> None:
    """A scheduler that does not answer in time still gets the time."""
    watch = await Watch(TimeoutError(), False).run()
    assert watch.ticks == 2 * TICKS_PER_LOOK


async def test_a_hint_that_comes_during_a_look_keeps_the_clock() -> None:
    """A hint sent while the schedulers were being asked is not forgotten by their older answer."""
    watch = Watch()

    async def woken_once() -> bool:
        if watch.ticks == TICKS_PER_LOOK:
            pulse.wake()
        return False

    pulse = Pulse(watch.tick, woken_once, watch.sleep)
    pulse.wake()
    while pulse.beating:
        await asyncio.sleep(0)
    assert watch.ticks == 2 * TICKS_PER_LOOK


async def test_a_stopped_clock_wakes_again() -> None:
    """After the ticks have ended the next hint starts them anew; waking twice does not double them."""
    watch = Watch()
    pulse = Pulse(watch.tick, watch.look, watch.sleep)
    for _ in range(2):
        pulse.wake()
        pulse.wake()
        while pulse.beating:
            await asyncio.sleep(0)
    assert watch.ticks == 2 * TICKS_PER_LOOK


# -- exporter ------------------------------------------------------------------------------------------------


class Instrument:
    """A counter or gauge that keeps its value for each set of labels, as Prometheus does."""

    def __init__(self, name: str, meaning: str, labelnames: list[str], **_: object) -> None:
        self.names, self.values = labelnames, {}

    def labels(self, **labels: object) -> Instrument:
        assert sorted(labels) == sorted(self.names)
        self._at = tuple(str(labels[name]) for name in self.names)
        return self

    def inc(self, amount: int) -> None:
        self.values[self._at] = self.values.get(self._at, 0) + amount

    def set(self, value: int) -> None:
        self.values[self._at] = value


@pytest.fixture
def client() -> SimpleNamespace:
    """As much of ``prometheus_client`` as the exporter uses, with what it made in ``made``."""
    made: dict[str, Instrument] = {}

    def make(name: str, *args: Any, **more: Any) -> Instrument:
        return made.setdefault(name, Instrument(name, *args, **more))

    return SimpleNamespace(Counter=make, Gauge=make, made=made)


def test_counters_grow_by_what_is_new(client: SimpleNamespace) -> None:
    """Exporting twice adds only the difference, under SGLang's labels and ours."""
    exporter, counts = Exporter({"tp_rank": 0}, client), Counts(accepted=3, protected=700)
    exporter.export(counts)
    counts.accepted, counts.protected = 5, 0
    counts.evicted["host"]["ended"] = 40
    exporter.export(counts)
    assert client.made["agentrt_kv_hints"].values["0", "accepted"] == 5
    assert client.made["agentrt_kv_evicted_tokens"].values["0", "host", "ended"] == 40
    assert client.made["agentrt_kv_protected_tokens"].values == {("0",): 0}


def test_it_exports_once_a_second(client: SimpleNamespace) -> None:
    """However often the scheduler's loop turns, an export is due once a second; without metrics, never."""
    exporter, off = Exporter({}, client), Exporter(None)
    assert [exporter.due(now) for now in (50.0, 50.1, 50.9, 51.0, 51.5, 52.1)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    assert not off.due(1e12)
