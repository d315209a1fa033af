"""Errors and hits on pairs of questions: the arithmetic, and that unseen pairs are unseen."""

from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pytest

from agentrt.benchmarks.semcache import quality
from agentrt.benchmarks.semcache.quality import Outcome, Pair, Split, measure, noise, read, split
from agentrt.errors import ConfigError

SAME = [("good", "fine"), ("fast", "quick"), ("big", "large")]
OTHER = [("good", "bad"), ("fast", "slow"), ("big", "small")]


def _pairs(count: int) -> list[Pair]:
    chance = random.Random(1)
    found = []
    for _ in range(count):
        same = chance.random() < 0.5
        one, other = chance.choice(SAME if same else OTHER)
        thing = "".join(chance.choice("bdfgklmnprst") + chance.choice("aeiou") for _ in range(3))
        found.append(Pair(f"Where is a {one} {thing}?", f"Where is a {other} {thing}?", same))
    return found


def test_a_file_of_pairs(tmp_path):
    """Pairs are read from JSON lines, compressed or not; what is none is named."""
    line = json.dumps({"text_a": "a?", "text_b": "b?", "label": 1}) + "\n"
    (tmp_path / "p.jsonl").write_text(line * 2)
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    assert read(tmp_path / "p.jsonl") == [Pair("a?", "b?", True)] * 2
    assert read(tmp_path / "p.jsonl.gz") == [Pair("a?", "b?", True)]
    (tmp_path / "bad.jsonl").write_text('{"text_a": 1}')
    for bad in ("bad.jsonl", "none.jsonl", "p.jsonl/x"):
        with pytest.raises(ConfigError, match="no question pairs in"):
            read(tmp_path / bad)


def test_noise():
    """Pairs that differ in nothing but signs show how far labels can be trusted."""
    pairs = [
        Pair("Is it so?", "is it so ?", True),
        Pair("Is it so?", "Is it SO", False),
        Pair("Is it?", "Was it?", False),
    ]
    assert noise(pairs) == (2, 1)


def test_the_verifier_learns_what_a_cosine_cannot():
    """Where the cosine says nothing, no threshold on it keeps a bound, and the verifier hits half of all, rightly."""
    pairs = _pairs(1600)
    chance = random.Random(2)
    (found,) = split(pairs, [chance.uniform(0.9, 1.0) for _ in pairs], 0, bounds=[0.05])
    assert found.cosine.hits == 0
    assert found.verifier.hits / found.verifier.of > 0.4
    assert found.verifier.error <= 0.05
    assert 300 < found.verifier.of < 500


def test_the_limit_of_a_threshold():
    """With the truth in hand the lowest threshold within the bound is found, and equal cosines are not parted."""
    cosine = np.array([0.9, 0.8, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, True, True])
    assert quality._best(cosine, right, 0.0) == Outcome(1, 0, 5)
    assert quality._best(cosine, right, 0.26) == Outcome(5, 1, 5)
    assert quality._best(cosine, ~right, 0.1) == Outcome(0, 0, 5)


def test_questions_apart():
    """Pairs that share a question, by way of others too, are on one side."""
    pairs = [Pair(f"q{at}?", f"Q{at + 1} ?", True) for at in range(9)] + [Pair("x?", "y?", True)]
    groups = quality._groups(pairs)
    assert len(set(groups[:9])) == 1
    assert groups[9] not in groups[:9]
    for seed in range(5):
        assert len(set(quality._unseen(pairs, seed, apart=True)[:9].tolist())) == 1


def test_what_splits_come_to():
    """Splits without a hit kept their bound; hit rates are means, the error is that of all hits together."""
    none = Outcome(0, 0, 100)
    splits = [
        [Split(0.1, Outcome(20, 1, 100), none, none)],
        [Split(0.1, Outcome(10, 2, 100), none, none)],
        [Split(0.1, none, none, none)],
    ]
    (found,) = measure(splits)
    side = found.verifier
    assert (found.splits, side.worst, side.error) == (3, 0.2, 0.1)
    assert (side.promised, side.kept, side.hit_rate) == pytest.approx((2 / 3, 2 / 3, 0.1))
    assert found.cosine.kept == 1.0
    assert quality.as_json([found])[0]["bound"] == 0.1
