"""What is known of a run's KV cache, from its turns, its hints and its engine's samples."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from agentrt.events import Event, HintsSent, KvSampled, RunEnded, RunResumed, StepEnded, StepText, TurnMoved, TurnSent
from agentrt.types import RunId, SessionId, StepId, Usage
from agentrt.ui.drawing.kv_drawing import (
    EVICTABLE,
    FREE,
    IN_USE,
    KEPT,
    Curve,
    bar,
    columns,
    drawn,
    growth,
    summary,
)
from agentrt.ui.drawing.kv_table import ORDERS, contexts, heading, layout, row
from agentrt.ui.drawing.kv_words import answer, silence
from agentrt.ui.drawing.pieces import Piece, fitted
from agentrt.ui.folds.kv import ContextView, KvView, Standing
from agentrt.ui.folds.kv_engine import MOST_POINTS, EnginePoint, Series

RUN = RunId("run-1")


class Run:
    """A run's events, as short as they can be written, in the view that takes them."""

    def __init__(self) -> None:
        self.kv = KvView()
        self._steps = 0

    def tell(self, event: Event) -> Run:
        self.kv.apply(event)
        return self

    def send(self, session: str | None = "writer~1", at: float = 0.0) -> StepId:
        """A turn goes to the engine."""
        self._steps += 1
        step = StepId(f"turn#{self._steps}")
        name = None if session is None else SessionId(f"{RUN}/{session}")
        self.tell(TurnSent(RUN, at, step, "default", "writer", name))
        return step

    def turn(self, prompt: int, cached: int, said: int = 10, session: str | None = "writer~1", at: float = 1.0) -> Run:
        """A turn is sent and answered."""
        step = self.send(session, at)
        return self.tell(StepEnded(RUN, at, step, "done", None, Usage(prompt, cached, said)))

    def hint(self, name: str = "writer~1", at: float = 0.0, **fields: Any) -> Run:
        return self.tell(HintsSent(RUN, at, "default", ({"subject": ["session", f"{RUN}/{name}", ""], **fields},)))

    def sample(self, at: float, *subjects: Mapping[str, Any], **state: Any) -> Run:
        return self.tell(KvSampled(RUN, at, "default", {**state, "subjects": list(subjects)}))

    def context(self, name: str = "writer~1") -> ContextView:
        return self.kv.contexts["session", f"{RUN}/{name}"]


def shown(name: str = "writer~1", **fields: Any) -> dict[str, Any]:
    """A session as an engine shows it."""
    return {"subject": ["session", f"{RUN}/{name}", ""], "class": "unhinted", "device": 0, "host": 0, **fields}


def full(locked: int = 10, kept: int = 20, evictable: int = 30, free: int = 40, **counts: Any) -> dict[str, Any]:
    """What an engine says of a device tier of 100 tokens."""
    device = {"locked": locked, "kept": kept, "evictable": evictable, "free": free}
    return {"pool": 100, "host": 0, "budget": 0.9, "tiers": {"device": device}, "counts": counts}


# -- turns -------------------------------------------------------------------------------------------------------------


def test_what_an_earlier_turn_had_and_is_computed_again_is_regenerated() -> None:
    """It counts up to what the turn before left: its prompt and its answer, of which the last token never was there."""
    run = Run().turn(100, 0, said=20)
    assert run.context().regenerated == 0, "a first turn has nothing before it"
    run.turn(150, 119, said=20)
    assert run.context().regenerated == 0, "a perfect cache"
    run.turn(200, 64)
    assert run.context().regenerated == 169 - 64
    assert run.kv.total[1:] == (3, 450, 183, 105)


def test_a_conversation_made_shorter_counts_up_to_its_new_length() -> None:
    """What the program has cut off is not asked for again, and is not missed."""
    run = Run().turn(1000, 0).turn(200, 150)
    assert run.context().regenerated == 50


def test_sessions_do_not_miss_what_others_had() -> None:
    """The first turn of a session has lost nothing, whatever came before it elsewhere; nor has one of no session."""
    run = Run().turn(1000, 0).turn(1000, 0, session="writer~2").turn(1000, 0, session=None)
    assert run.kv.total.regenerated == 0
    assert [one.turns for one in run.kv.contexts.values()] == [1, 1]
    assert run.kv.total.turns == 3


def test_a_turn_sent_again_is_one_turn() -> None:
    """Attempts of one step leave nothing at the engine when the step has ended."""
    run = Run()
    step = run.send()
    run.tell(TurnSent(RUN, 1.0, step, "default", "writer", SessionId(f"{RUN}/writer~1")))
    assert (run.kv.sent, run.context().running) == (1, 1)
    run.tell(StepEnded(RUN, 2.0, step, "failed", "refused", Usage()))
    assert (run.context().running, run.context().turns) == (0, 0)


# -- how a context stands ----------------------------------------------------------------------------------------------


def test_a_context_stands_as_was_told_and_said() -> None:
    """From the first turn to the end each voice is heard: turns, hints, and the engine's own word last of all."""
    run = Run()
    states: list[Standing] = []

    def note(now: float) -> None:
        states.append(run.context().state(now))

    step = run.send()
    note(0.0)
    run.tell(TurnMoved(RUN, 0.5, step, "queued"))
    note(0.5)
    run.tell(TurnMoved(RUN, 0.6, step, "prefill")).tell(StepEnded(RUN, 1.0, step, "done", None, Usage(100, 0, 10)))
    note(1.0)
    run.hint(at=1.0, keep=30.0, steps=2, remaining=12.0)
    note(1.5)
    run.sample(2.0, shown(**{"class": "hinted"}, protected=True, device=110))
    note(2.0)
    run.sample(4.0, shown(**{"class": "hinted"}, protected=True, clipped=True, device=110))
    note(4.0)
    run.sample(6.0, shown(device=110))
    note(6.0)
    run.sample(8.0, shown())
    note(8.0)
    run.hint(at=9.0, ended=True)
    note(9.0)
    assert states == ["in use", "held back", "", "hinted", "protected", "partly", "evictable", "evicted", "ended"]


def test_time_left_counts_down() -> None:
    """What was told to be twelve seconds away is five away seven seconds later, then due, then unknown."""
    run = Run().hint(at=1.0, keep=30.0, remaining=12.0)
    assert [run.context().left(now) for now in (1.0, 8.0, 20.0, 31.5)] == [12.0, 5.0, 0.0, None]


def test_what_is_needed_now_is_not_overdue() -> None:
    """Told to be needed at once it shows so; when its time has gone by it is overdue; at the engine it is there."""
    run = Run().hint("a~1", at=1.0, remaining=0.0).hint("b~1", at=1.0, remaining=2.0)
    run.send("c~1")
    table = layout(run.kv, 80)
    rows = ["".join(text for text, _ in row(one, 4.0, table)) for one in contexts(run.kv, "by name")]
    assert [line.split()[-1] for line in rows] == ["now", "overdue", "now"]


def test_fixed_prompts_are_contexts_too() -> None:
    """A hint on an agent's prompt shows how long it is, and what the engine holds of it."""
    subject = ["agent", "writer", str(RUN)]
    run = Run().tell(HintsSent(RUN, 0.0, "default", ({"subject": subject, "prefix_tokens": 64, "steps": 1},)))
    run.tell(KvSampled(RUN, 1.0, "default", {"subjects": [{"subject": subject, "class": "hinted", "device": 64}]}))
    one = run.kv.contexts["agent", "writer"]
    assert (one.kind, one.tokens, one.steps, one.device) == ("agent", 64, 1, 64)


def test_a_run_that_ended_holds_nothing_back() -> None:
    """At the end every context has ended; a run that goes on again asks anew."""
    run = Run()
    run.send()
    run.tell(RunEnded(RUN, 3.0, "cancelled", None))
    assert (run.kv.over, run.context().state(3.0), run.context().running) == (True, "ended", 0)
    run.tell(RunResumed(RUN, 4.0, 0.0, ()))
    run.send(at=5.0)
    assert (run.kv.over, run.context().state(5.0)) == (False, "in use")


# -- engines -----------------------------------------------------------------------------------------------------------


def test_what_happened_counts_from_the_first_sample() -> None:
    """An engine has counted since it started; what the run sees begins with its first sample, restarts included."""
    run = Run()
    for at, evicted in enumerate((1000, 1030, 1070, 5, 15)):
        run.sample(float(at), **full(evicted={"device": {"unhinted": evicted}}))
    points = run.kv.engines["default"].series.points
    assert [point.evicted for point in points] == [0, 30, 70, 75, 85]


def test_schedulers_add_up() -> None:
    """Two replicas are one engine of twice the size."""
    run = Run().sample(1.0, **full()).sample(1.0, replica=1, **full(locked=20, free=30))
    engine = run.kv.engines["default"]
    assert (engine.pool, len(engine.series.points)) == (200, 1)
    assert engine.now is not None
    assert engine.now[:5] == (1.0, 30, 40, 60, 70)


def test_nonsense_does_not_stop_the_fold() -> None:
    """Journals and recordings are files; what is in one may be of another shape."""
    run = Run()
    run.tell(HintsSent(RUN, 0.0, "default", ({"subject": 7}, {"subject": ["ship", "x"]}, {"keep": "long"})))
    run.hint(keep="long", remaining="soon", steps="two", tool=7)
    run.sample(1.0, {"subject": []}, {}, pool="large", tiers=[], counts={"evicted": 3})
    run.tell(KvSampled(RUN, 2.0, "default", {"subjects": 5}))
    assert run.kv.engines["default"].pool == 0
    assert run.kv.hints == 1
    assert summary(run.kv, 3.0, 80, 24)


def test_series_stay_small() -> None:
    """A hundred thousand samples leave some hundreds of points, from the first to the very last, evenly apart."""
    series: Series[EnginePoint] = Series()
    for at in range(100_000):
        series.add(EnginePoint(float(at), *[at] * 15))
    assert MOST_POINTS / 4 < len(series.points) <= MOST_POINTS
    assert series.points[-1].at == 99_999
    assert series.points[0].at < 1000
    steps = [after.at - before.at for before, after in zip(series.points, series.points[1:], strict=False)]
    assert max(steps) < 4 * 100_000 / len(series.points)


def test_events_of_others_cost_next_to_nothing() -> None:
    """A piece of text is turned away in microseconds, so that the fold is free where nothing is said of caches."""
    kv, event = KvView(), StepText(RUN, 0.0, StepId("writer#1"), "word")
    began = time.thread_time()
    for _ in range(20_000):
        kv.apply(event)
    assert (time.thread_time() - began) / 20_000 < 20e-6


# -- words -------------------------------------------------------------------------------------------------------------


def test_the_answer_is_one_sentence() -> None:
    """How much came from the cache, how much was computed twice, and what fetching ahead was good for."""
    run = Run()
    assert answer(run.kv) == "No model has been asked."
    step = run.send()
    assert "No turn has been answered" in answer(run.kv)
    run.tell(StepEnded(RUN, 1.0, step, "done", None, Usage(1000, 500, 10)))
    assert answer(run.kv) == "50% of 1,000 prompt tokens came from the cache; none was computed twice."
    run.turn(1000, 0).sample(1.0, **full(prefetched=5)).sample(2.0, **full(prefetched=75, prefetched_in_vain=7))
    assert answer(run.kv) == (
        "25% of 2,000 prompt tokens came from the cache; 1,000 had been there before and were computed again; "
        "70 were fetched ahead, 7 of them in vain."
    )


def test_silence_has_a_reason() -> None:
    """Where no engine tells of its cache it is said why; where one does, or none was asked, nothing is."""
    run = Run()
    assert silence(run.kv) == ""
    run.turn(10, 0)
    assert "--kv none" in silence(run.kv)
    assert "--enable-cache-report" in answer(run.kv)
    run.hint()
    assert "sent hints" in silence(run.kv)
    assert silence(run.sample(1.0).kv) == ""


# -- drawing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(1, 0, 0, 10**6), (5, 5, 5, 5), (0, 0, 0, 7), (10**6, 1, 1, 1), (3, 2, 1, 94)])
def test_a_bar_is_as_wide_as_it_should_be(parts: tuple[int, ...]) -> None:
    """Every column is drawn, and what is there at all is seen."""
    drawn_ = bar(list(zip(parts, (IN_USE, KEPT, EVICTABLE, FREE), strict=True)), 40)
    text = "".join(piece for piece, _ in drawn_)
    assert len(text) == 40
    assert {fill for fill, _ in drawn_ for fill in fill} == {
        fill for amount, (fill, _) in zip(parts, (IN_USE, KEPT, EVICTABLE, FREE), strict=True) if amount
    }


def test_a_curve_holds_between_its_points() -> None:
    """A column shows what was so at its end; before the first point nothing is known."""
    points = [EnginePoint(at, *[int(at)] * 15) for at in (2.5, 5.0, 9.9)]
    values = columns(points, 10, 10.0, lambda one: float(one.locked))
    assert values == [None, None, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0]
    assert growth(values) == [None, None, 2.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 4.0]
    assert drawn(Curve("x", [None, 0.0, 0.01, 5.0, 10.0], 10.0, ""), 1) == ["  ▁▄█"]
    assert drawn(Curve("x", [None, 0.0, 0.01, 5.0, 10.0], 10.0, ""), 2) == ["    █", "  ▁██"]


def busy(sessions: int) -> KvView:
    """A run with many sessions, of which an engine tells."""
    run = Run()
    for number in range(sessions):
        run.turn(100 + number, number, session=f"writer~{number}", at=number / 10)
        run.hint(f"writer~{number}", at=number / 10, steps=number % 5, remaining=number % 7, tool="search web")
    run.sample(sessions / 10, *(shown(f"writer~{number}", device=number) for number in range(200)), **full())
    return run.kv


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (40, 20)])
def test_lines_fit_the_screen(width: int, height: int) -> None:
    """No line is wider than the screen, and on a low one there is room for a table below them."""
    kv = busy(30)
    lines = summary(kv, 4.0, width, height)
    assert max(sum(len(text) for text, _ in line) for line in lines) <= width
    assert width < 80 or len(lines) <= height - 8
    table = layout(kv, width)
    assert width < 80 or all(
        sum(len(text) for text, _ in line) <= width
        for line in (heading(table), *(row(one, 4.0, table) for one in contexts(kv, "by name")))
    )


def test_the_table_is_sorted_and_filtered() -> None:
    """Each order puts first what it is named for; words are sought in names, agents, models and tools."""
    run = Run().turn(10, 0, session="a~1").turn(500, 0, session="b~2").turn(500, 0, session="b~2")
    run.turn(100, 0, session="c~3").hint("c~3", at=1.0, remaining=3.0, tool="bash make")
    firsts = [contexts(run.kv, order)[0].name.partition("/")[2] for order in ORDERS]
    assert firsts == ["a~1", "b~2", "c~3", "b~2", "a~1"]
    assert [one.name for one in contexts(run.kv, "by name", "MAKE c~")] == [f"{RUN}/c~3"]
    assert contexts(run.kv, "by name", "nothing like it") == []


def test_control_characters_of_names_are_not_drawn() -> None:
    """A tool's or a session's name cannot move the cursor of a terminal."""
    kv = Run().turn(10, 0, session="wri\x1b[2Jter~1").hint("wri\x1b[2Jter~1", tool="\x1b]0;x\x07").kv
    text = "".join(piece for one in contexts(kv, "by name") for piece, _ in row(one, 0.0, layout(kv, 160)))
    assert text.isprintable()


def test_a_line_that_is_cut_says_so() -> None:
    """Dots stand where something is missing, and only there."""
    assert fitted([Piece("abc"), Piece("def")], 6) == [Piece("abc"), Piece("def")]
    assert fitted([Piece("abc"), Piece("defg")], 6) == [Piece("abc"), Piece("de…")]
    assert fitted([Piece("abcdef"), Piece("g")], 6) == [Piece("abcde…")]


def test_ten_thousand_sessions_are_drawn_in_time() -> None:
    """All of what the screen does at once, sorting included, takes some hundredths of a second at worst."""
    kv = busy(10_000)
    began = time.thread_time()
    for order in ORDERS:
        found = contexts(kv, order, "writer")
        table = layout(kv, 160)
        assert [row(one, 1000.0, table) for one in found[:50]]
        assert summary(kv, 1000.0, 160, 50)
    assert (time.thread_time() - began) / len(ORDERS) < 0.25
