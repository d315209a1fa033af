"""The page: one file that is safe to open, of a bounded size, with all that a colleague asks."""

from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256

import pytest

from agentrt.events import Event, KvSampled, RunEnded, StepAdded
from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.report.page import page_of
from agentrt.ui.report.reading import Report
from agentrt.ui.report.steps import MOST_LISTED, Cutter, listed, story_html
from tests.ui.report.conftest import HOSTILE, HOSTILE_NAME, RUN, a_lot, parsed, ran, report_of


def page(report: Report, stories: dict[StepId, str] | None = None) -> str:
    """A page with these stories."""
    return "".join(page_of(report, listed(report), stories or {}, Cutter(1)))


def story(step: str, *entries: tuple[str, object], messages: tuple[dict[str, object], ...] = ()) -> StepStory:
    """A story of these entries."""
    told = [{"seq": seq, "at": 0.0, "kind": kind, "data": data} for seq, (kind, data) in enumerate(entries, 1)]
    return StepStory(StepId(step), told, (), messages, (), ())


@pytest.fixture(scope="module")
def lots() -> str:
    """The page of a run with everything."""
    return page(report_of(a_lot(5)))


def test_it_needs_nothing_else(lots: str) -> None:
    """Nothing is loaded from anywhere: no link leads out of the page, and its policy forbids the rest."""
    found = parsed(lots)
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", lots)
    (policy,) = [one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_its_policy_lets_its_own_script_run_and_no_other(lots: str) -> None:
    """The script of the page is the only one, and has the hash that the policy names."""
    (script,) = re.findall(r"<script>(.*?)</script>", lots, re.DOTALL)
    named = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src &#x27;sha256-{named}&#x27;" in lots
    assert lots.count("<script") == 1


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_its_script_is_javascript(lots: str) -> None:
    """The script has no mistake of syntax."""
    (script,) = re.findall(r"<script>(.*?)</script>", lots, re.DOTALL)
    subprocess.run(["node", "--check", "-"], input=script, text=True, check=True)


def test_whatever_a_run_holds_stays_text() -> None:
    """Names, inputs, errors, prompts and results that would be markup, or steer a terminal, are read as they are."""
    step = f"{HOSTILE_NAME}#1"
    events = [*ran(step, 0, 1, status="failed", error=HOSTILE, kind="llm"), *ran("b#1", 1, 2, inputs=(step,))]
    report = report_of([*events, RunEnded(RUN, 2.0, "failed", HOSTILE)], program=HOSTILE)
    report.view.inputs = {HOSTILE: [HOSTILE]}
    report.error = {"type": HOSTILE, "message": HOSTILE, "step": step, "story": [HOSTILE]}
    report.output = {HOSTILE: HOSTILE}
    call = [["id", HOSTILE, HOSTILE]]
    message = {"role": HOSTILE, "content": HOSTILE, "tool_calls": call}
    one = story(
        step,
        ("called", {"args": [[HOSTILE], {HOSTILE: HOSTILE}]}),
        ("asked", {"question": {"text": HOSTILE, "form": HOSTILE, "who": HOSTILE}, "context": HOSTILE}),
        ("answered", {"by": HOSTILE, "problem": HOSTILE}),
        ("retried", {"error": HOSTILE, "delay": 1.0}),
        ("ended", {"status": "failed", "error": HOSTILE, "value": {"$": "error", "c": HOSTILE, "text": HOSTILE}}),
        messages=(message,),
    )
    told = story_html(report, report.view.steps[StepId(step)], one, Cutter(1))
    text = page(report, {StepId(step): told})
    text.encode()
    found = parsed(text)
    assert not found.all("img")
    assert len(found.all("script")) == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "␛[31m⟨U+202E⟩evil" in found.text()
    assert all("onerror" not in attributes for _, attributes in found.elements)


def test_the_head_answers_first() -> None:
    """What ran, how it stands, what went wrong, how long it took: above everything else."""
    report = report_of([*ran("a#1", 0, 2, status="failed", error="boom"), RunEnded(RUN, 2.0, "failed", "boom")])
    report.status = "failed"
    report.error = {"type": "ValueError", "message": "step 'a#1' failed: boom", "step": "a#1", "story": ["at line 3"]}
    head = parsed(page(report).partition("<main>")[0] + "</main></body></html>".replace("</main>", "")).text()
    assert "✗ failed" in head
    assert "step 'a#1' failed: boom" in head
    assert "at line 3" in head
    assert "2.0 s" in parsed(page(report)).text()


def test_a_run_that_goes_on_says_so() -> None:
    """The page of a live run tells which moment it shows."""
    text = parsed(page(report_of(ran("a#1", 1, 2)[:2], live=True, wall=5.0))).text()
    assert "Still running: this is how it stood after 5.0 s." in text
    assert "So far" in text


def test_a_run_without_steps() -> None:
    """There is a page of a run that called nothing."""
    text = parsed(page(report_of([RunEnded(RUN, 0.1, "done", None)]))).text()
    assert "No step was called." in text


def test_every_step_has_a_line_and_its_numbers(lots: str) -> None:
    """The lines can be sorted by what stands in them: state, start, time, tokens."""
    report = report_of(a_lot(5))
    lines = [one for _, one in parsed(lots).elements if "step" in (one.get("class") or "").split()]
    assert [one["data-id"] for one in lines] == [step.id for step in report.view.walk()]
    turn = next(one for one in lines if one.get("data-prompt"))
    assert (turn["data-prompt"], turn["data-cached"], turn["data-new"]) == ("100", "0.600", "7")


def test_a_large_run_stays_small() -> None:
    """Of 10,000 steps the page has those that are asked for first, says what it left out, and is below 5 MB."""
    events: list[Event] = []
    for number in range(10_000):
        failed = number == 9_000
        events += ran(f"fetch#{number}", number / 100, number / 100 + 0.5, status="failed" if failed else "done")
    report = report_of([*events, RunEnded(RUN, 101.0, "done", None)])
    text = page(report)
    assert len(text.encode()) < 2_000_000
    assert f"{MOST_LISTED:,} of 10,000 steps are listed" in text
    assert 'data-id="fetch#9000"' in text
    assert "all but the line of 2,000 steps" in text


def test_long_texts_lose_their_middle() -> None:
    """Of a long text the beginning and the end are shown, with how much is not; the page says so at its foot."""
    cutter = Cutter(1_000)
    shown = cutter.pre("a" * 1_000 + "b" * 100_000 + "c" * 300)
    assert len(shown) < 3_000
    assert shown.startswith("<pre>aaa")
    assert shown.endswith("ccc</pre>")
    assert "characters left out" in shown
    assert cutter.left_out > 90_000
    report = report_of(ran("a#1", 0, 1))
    assert f"{cutter.left_out:,} characters of long texts" in "".join(page_of(report, listed(report), {}, cutter))


@pytest.mark.parametrize("cached", [0, 4, 50, 1_150, 200_000])
def test_the_cached_part_of_a_text_is_marked(cached: int) -> None:
    """What came from the cache stands inside a mark, also where the text was cut."""
    text = "x" * 200_000
    shown = parsed(f"<pre>{Cutter(1_000).cut(text, cached)}</pre>")
    marked = sum(len(text) for tag, text in shown.texts if tag == "mark")
    unmarked = sum(len(text) for tag, text in shown.texts if tag == "pre")
    assert marked == min(cached, 1_125) + (375 if cached == 200_000 else 0)
    assert marked + unmarked == 1_500


def test_interest_comes_before_order() -> None:
    """When not all can be listed, what failed and what runs is, wherever it stands."""
    events = [event for number in range(30) for event in ran(f"a#{number}", 0, 1)]
    events += ran("late#1", 2, 3, status="failed")
    events += ran("open#1", 2, 3)[:2]
    steps = [step.id for step in listed(report_of(events), most=5)]
    assert {"late#1", "open#1"} <= set(steps)
    assert len(steps) == 5


def test_steps_that_never_started_are_there() -> None:
    """A step that waits, and one that was skipped, have a line without times."""
    events: list[Event] = [StepAdded(RUN, 0.0, StepId("w#1"), "w", "python", None, (), ())]
    text = page(report_of(events))
    assert 'data-id="w#1" data-state="pending">' in text


def test_the_cache_is_told_by_who_said_it(lots: str) -> None:
    """Tiers and counts are the engine's where it tells; where none does, the page says that only the turns do."""
    assert "Device tier of m, 104 tokens" in lots
    assert "Host tier of m, 50 tokens" in lots
    assert re.search(r"60% of [\d,]+ prompt tokens came from the cache", lots)
    silent = [event for event in a_lot(5) if not isinstance(event, KvSampled)]
    text = page(report_of(silent))
    assert "has said nothing of its cache" in text
    assert "Device tier" not in text
    assert 'id="kv"' not in page(report_of(ran("a#1", 0, 1)))
