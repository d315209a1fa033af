"""Rules for kinds of questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agentrt.errors import ConfigError
from agentrt.semcache.category import Category, Kinds, Relax

if TYPE_CHECKING:
    from agentrt.semcache.base import Vectors


class Letters:
    """Texts as the counts of their letters."""

    name, size, quick = "letters", 26, True

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], np.float32)
        return np.asarray(rows / np.maximum(1e-9, np.linalg.norm(rows, axis=1, keepdims=True)), np.float32)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_error_rate": 1.0}, "max_error_rate is 1.0"),
        ({"confidence": -0.1}, "confidence is -0.1"),
        ({"shadow": float("nan")}, "shadow is nan"),
        ({"ttl": 0.0}, "ttl is 0.0"),
        ({"ttl": float("nan")}, "ttl is nan"),
        ({"quota": 0}, "quota 0"),
        ({"relax": Relax(max_error_rate=0.01)}, "at least the usual 0.02"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(wrong: dict[str, Any], said: str) -> None:
    """With the category, the value and what is expected."""
    with pytest.raises(ConfigError, match=f"'faq'.*{said}"):
        Category("faq", **wrong)


def test_a_busy_engine_relaxes_within_limits_and_says_so() -> None:
    """Nothing below the load that is named, everything that is allowed at full load and above, and words for it."""
    rules = Category("faq", max_error_rate=0.02, ttl=100.0, relax=Relax(above=0.5, max_error_rate=0.06, ttl=3.0))
    assert rules.under(0.5) == (rules, "")
    half, why = rules.under(0.75)
    assert (half.max_error_rate, half.ttl) == (pytest.approx(0.04), pytest.approx(200.0))
    assert "load 0.75" in why
    assert "4.0% wrong instead of 2.0%" in why
    assert rules.under(1.0)[0] == rules.under(9.0)[0]
    assert rules.under(1.0)[0].max_error_rate == pytest.approx(0.06)
    assert Category("strict").under(1.0) == (Category("strict"), "")


def test_a_question_is_of_the_kind_whose_examples_it_is_like() -> None:
    """One that is like none is of the default kind, and without an embedder all are."""
    zs, ms = Category("z", examples=("zz zebra", "zaz")), Category("m", examples=("mmm", "mama"))
    kinds = Kinds([zs, ms], Letters())
    vectors = Letters().embed(["zzz", "amma", "qqq", ""])
    assert [kinds.of(vector).name for vector in vectors] == ["z", "m", "default", "default"]
    assert Kinds([zs, ms]).of(vectors[0]).name == "default"


def test_names_of_categories_are_told_apart() -> None:
    """An unknown one is refused with those there are; two of one name are, too; the default one can be replaced."""
    with pytest.raises(ConfigError, match=r"no cache category 'fqa'; there are 'default', 'faq'"):
        Kinds([Category("faq")]).named("fqa")
    with pytest.raises(ConfigError, match="two categories have one name"):
        Kinds([Category("faq"), Category("faq")])
    assert Kinds([Category(max_error_rate=0.0)]).named("default").max_error_rate == 0.0
