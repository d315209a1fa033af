"""The verifier: what it learns, what it is without feedback, and how it is kept."""

from __future__ import annotations

import random

import numpy as np
import pytest

from agentrt.errors import ConfigError
from agentrt.semcache.features import Rarity, row
from agentrt.semcache.verifier import Verifier, fit, load

THINGS = [f"{one}{other}" for one in ("ka", "lo", "mi", "nu", "pe") for other in ("rot", "sel", "tum", "vax", "wig")]
SAME = [("good", "fine"), ("fast", "quick"), ("big", "large")]
OTHER = [("good", "bad"), ("fast", "slow"), ("big", "small")]


def _pair(chance: random.Random, thing: str) -> tuple[str, str, bool]:
    right = chance.random() < 0.5
    one, other = chance.choice(SAME if right else OTHER)
    return f"Where is a {one} {thing}?", f"Where is a {other} {thing}?", right


def _feedback(count: int, seed: int = 1):
    chance = random.Random(seed)
    pairs = [_pair(chance, chance.choice(THINGS)) for _ in range(count)]
    rarity = Rarity(f"Where is a {word} dufix?" for pair in SAME + OTHER for word in pair)
    return [row(asked, stored, 0.9 + 0.1 * chance.random(), rarity) for asked, stored, _ in pairs], [
        right for *_, right in pairs
    ]


def test_without_feedback():
    """It is a rising function of the cosine, between 0 and 1, and knows nothing else."""
    rarity = Rarity()
    scores = Verifier().scores([row("a b", "b a", cosine, rarity) for cosine in (-1.0, 0.0, 0.5, 0.9, 0.95, 0.99, 1.0)])
    assert (np.diff(scores) > 0).all()
    assert scores[0] >= 0
    assert scores[-1] < 1
    assert fit([], []).scores([row("x", "y", 0.9, rarity)]) == Verifier().scores([row("a", "a", 0.9, rarity)])
    assert len(Verifier().scores([])) == 0


def test_little_feedback_keeps_the_cosine():
    """Ten verdicts leave a line that still rises."""
    rarity = Rarity()
    rows = [row(f"a{at}", f"b{at}", 0.9 + at / 100, rarity) for at in range(10)]
    learned = fit(rows, [at % 2 == 0 for at in range(10)])
    low, high = learned.scores([row("p q", "r s", cosine, rarity) for cosine in (0.5, 0.99)])
    assert low < high


def test_it_learns_which_difference_is_harmless():
    """Words that feedback called the same are the same for things that it has never seen together with them."""
    rows, right = _feedback(600)
    learned = fit(rows, right)
    rarity = Rarity(f"Where is a {word} dufix?" for pair in SAME + OTHER for word in pair)
    same = [row(f"Where is a {a} dufix?", f"Where is a {b} dufix?", 0.95, rarity) for a, b in SAME]
    other = [row(f"Where is a {a} dufix?", f"Where is a {b} dufix?", 0.95, rarity) for a, b in OTHER]
    assert learned.scores(same).min() > 0.75
    assert learned.scores(other).max() < 0.25


def test_scores_are_chances():
    """On unseen pairs half of which are right by chance alone, the mean score is near a half."""
    rows, _ = _feedback(600)
    chance = random.Random(4)
    noise = [chance.random() < 0.5 for _ in rows]
    assert fit(rows, noise).scores(_feedback(300, seed=2)[0]).mean() == pytest.approx(0.5, abs=0.06)


def test_the_same_feedback_gives_the_same_verifier():
    """There is no chance in it, and it comes back from its bytes as it was."""
    rows, right = _feedback(300)
    one, other = fit(rows, right), fit(rows, right)
    assert one.dump() == other.dump()
    assert (load(one.dump()).scores(rows) == one.scores(rows)).all()
    assert (load(Verifier().dump()).scores(rows) == Verifier().scores(rows)).all()


@pytest.mark.parametrize("verdict", [True, False])
def test_feedback_of_one_kind(verdict):
    """Nothing but right ones, or nothing but wrong ones, is learned from as well."""
    rows, _ = _feedback(200)
    mean = fit(rows, [verdict] * 200).scores(rows).mean()
    assert bool(mean > 0.9) is verdict


def test_damage_is_found():
    """What is cut, changed or of another version is refused, with the way out."""
    data = Verifier().dump()
    for bad in (b"", b"nonsense", data[: len(data) // 2]):
        with pytest.raises(ConfigError, match="learn it anew"):
            load(bad)
    with pytest.raises(ConfigError, match="2 pairs with 1 verdicts"):
        fit(_feedback(2)[0], [True])


def test_another_version(monkeypatch):
    """A verifier of other features is not used."""
    data = Verifier().dump()
    monkeypatch.setattr("agentrt.semcache.verifier.VERSION", 99)
    with pytest.raises(ConfigError, match="of version"):
        load(data)
