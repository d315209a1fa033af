"""Regions: who has a threshold of its own, how doubt is shared, and what closes and opens one again."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from agentrt.semcache import regions
from agentrt.semcache.base import Feedback, Shelf
from agentrt.semcache.category import Category
from agentrt.semcache.regions import Learned, taught, tuned

HERE = Shelf("tenant:a", "facts", "f1")
THERE = Shelf("tenant:a", "facts", "f2")
ELSE = Shelf("tenant:a", "code", "f1")
RULES = Category("facts", max_error_rate=0.05)


def _told(number: int, shelf: Shelf = HERE, *, right: bool | None = None, score: float = 0.0) -> Feedback:
    chance = random.Random(number)
    cosine = chance.uniform(0.7, 1.0)
    if right is None:
        right = cosine > 0.85
    asked, stored = f"where is the {chance.random()} hut", f"where is a {chance.random()} hut"
    return Feedback(shelf, number, asked, stored, cosine, score, right, "exact", float(number))


def _many(count: int, shelf: Shelf = HERE, start: int = 0, *, right: bool | None = None) -> list[Feedback]:
    return [_told(start + at, shelf, right=right) for at in range(count)]


def test_nothing_is_promised_without_feedback():
    """A judge that knows nothing scores by the cosine, and lets nothing through."""
    judge = Learned()
    assert judge.threshold(RULES, HERE) is None
    assert judge.scores("a b", [("b a", 0.8)])[0] < judge.scores("a b", [("b a", 0.9)])[0]
    judge.learn(_many(99))
    assert judge.threshold(RULES, HERE) is None


def test_feedback_opens_a_threshold():
    """With feedback enough, what is clearly right is a hit and what is clearly wrong is none."""
    judge = Learned()
    judge.learn(_many(1500))
    found = judge.threshold(RULES, HERE)
    assert found is not None
    assert judge.scores("where is the 1 hut", [("where is a 2 hut", 0.98)])[0] > found
    assert judge.scores("where is the 1 hut", [("where is a 2 hut", 0.72)])[0] < found
    assert judge.threshold(RULES, THERE) == found, "a shelf without feedback has its category's"
    assert judge.threshold(Category("code", max_error_rate=0.05), ELSE) is None, "another category's says nothing"


def test_a_shelf_of_its_own(monkeypatch):
    """A shelf with much feedback is judged by it alone, and the doubt is shared with the rest of its category."""
    monkeypatch.setattr(regions, "_OWN", 600)
    lesson = taught([*_many(700, HERE), *_many(400, THERE, 5000, right=False), *_many(300, ELSE, 9000)])
    assert set(lesson.regions) == {HERE, "facts", "code"}
    assert lesson.threshold(HERE, 0.05, 0.95) is not None
    assert lesson.threshold("facts", 0.05, 0.95) is None
    alone = regions.threshold(lesson.regions[HERE], 0.05, 0.975)
    assert lesson.threshold(HERE, 0.05, 0.95) == alone


def test_folds():
    """Every pair is in one fold, the same one whenever it is judged; each fold has about its share."""
    folds = Counter(regions._fold(told.question, told.stored, 3) for told in _many(900))
    assert all(240 < folds[fold] < 360 for fold in range(3))


def test_what_scored_a_pair_has_not_seen_it():
    """Turning all verdicts of a fold round changes no score of that fold, and those of the others."""
    feedback = [told for told in _many(600) if regions._hash(told.question, told.stored) % 8]
    folds = [regions._fold(told.question, told.stored, regions.FOLDS) for told in feedback]
    turned = [told._replace(right=told.right != (fold == 0)) for told, fold in zip(feedback, folds, strict=True)]
    before, after = (taught(some).regions["facts"] for some in (feedback, turned))
    same = [one.score == other.score for one, other in zip(before, after, strict=True)]
    assert all(same[at] for at, fold in enumerate(folds) if fold == 0)
    assert not any(same[at] for at, fold in enumerate(folds) if fold != 0)


def test_many_scores_at_once():
    """They are those of one at a time, in their order."""
    lesson = taught(_many(300))
    pairs = [(told.question, told.stored, told.cosine) for told in _many(20, start=400)]
    assert lesson.scores(pairs) == pytest.approx([lesson.score(*pair) for pair in pairs])
    assert lesson.scores([]) == []


def test_a_broken_promise_closes_and_opens_again():
    """Wrong hits close the region; the good feedback of before does not open it, good feedback of after does."""
    judge = Learned()
    judge.learn(_many(1500))
    found = judge.threshold(RULES, HERE)
    assert found is not None
    judge.learn([_told(2000 + at, right=False, score=0.999) for at in range(30)])
    assert judge.threshold(RULES, HERE) is None
    judge.learn(_many(400, start=-500))
    assert judge.threshold(RULES, HERE) is None
    judge.learn(_many(1500, start=5000))
    assert judge.threshold(RULES, HERE) is not None


def test_good_hits_leave_it_open():
    """Checked hits that were right, and wrong answers that would not have been hits, close nothing."""
    judge = Learned()
    judge.learn(_many(1500))
    judge.threshold(RULES, HERE)
    judge.learn([_told(2000 + at, right=True, score=0.999) for at in range(30)])
    judge.learn([_told(3000 + at, right=False, score=0.01) for at in range(30)])
    assert judge.threshold(RULES, HERE) is not None


def test_learning_elsewhere():
    """Learning is handed out, one at a time, and until it is done the lesson of before holds."""
    works = []
    judge = Learned(works.append)
    judge.learn(_many(600))
    judge.learn(_many(600, start=700))
    assert len(works) == 1
    assert judge.threshold(RULES, HERE) is None
    works.pop()()
    assert judge.threshold(RULES, HERE) is not None


def test_closed_while_it_learns():
    """A region that is closed while a lesson is under way is not opened by it."""
    works = []
    judge = Learned(works.append)
    judge.learn(_many(1500))
    works.pop()()
    assert judge.threshold(RULES, HERE) is not None
    judge.learn(_many(400, start=2000))
    judge.learn([_told(3000 + at, right=False, score=0.999) for at in range(30)])
    works.pop()()
    assert judge.threshold(RULES, HERE) is None


@pytest.mark.parametrize("rate", [0.05, 0.0509, 0.0500001])
def test_rates_are_rounded_down(rate):
    """A rate that load has moved has the threshold of the stricter thousandth; few are ever computed."""
    judge = Learned()
    judge.learn(_many(1500))
    assert judge.threshold(Category("facts", max_error_rate=rate), HERE) == judge.threshold(RULES, HERE)
    assert len(judge._state[1]) == 1


def test_tuned():
    """Proposals name each region, how much feedback it has, and what it would allow; a stricter bound allows less."""
    feedback = [*_many(1500), *_many(50, ELSE, 9000, right=False)]
    code, facts = tuned(feedback, 0.05)
    assert (code.region, code.feedback, code.wrong, code.threshold) == ("code", 50, 50, None)
    assert (facts.region, facts.feedback) == ("facts", 1500)
    assert facts.threshold is not None
    strict = tuned(feedback, 0.03)[1].threshold
    assert strict is None or strict.hits <= facts.threshold.hits
    assert tuned(feedback[::-1], 0.05)[1].feedback == 1500
    assert tuned([], 0.05) == []
