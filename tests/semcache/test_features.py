"""What tells two questions apart, on pairs written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.semcache.features import MARKS, NAMES, Rarity, row, words

RARITY = Rarity(["How do I boil an egg?", "How do I fry an egg?", "What is the way to Rome?", "How do I get to Oslo?"])


def _numbers(question: str, stored: str) -> dict[str, float]:
    return dict(zip(NAMES, row(question, stored, 0.9, RARITY).dense.tolist(), strict=True))


def test_a_number():
    """Another number is seen, and so is one that both have."""
    other = _numbers("Which trains leave platform 4 at 10:30?", "Which trains leave platform 7 at 10:30?")
    assert other["numbers"] == 2
    assert other["numbers_both"] == 2
    assert _numbers("Convert 1,000 m to feet", "Convert 1,000 m to feet")["numbers"] == 0


@pytest.mark.parametrize("other", ["Is this mushroom not safe?", "Isn't this mushroom safe?"])
def test_a_negation(other):
    """A *not* is seen, however it is written."""
    assert _numbers("Is this mushroom safe?", other)["negation"] == 1


def test_a_name():
    """Names of only one side are told from those of both."""
    found = _numbers("How far is Lyon from Paris?", "How far is Nice from Paris?")
    assert (found["names"], found["names_both"]) == (2, 1)


def test_what_is_asked():
    """The question word counts, wherever it stands."""
    assert _numbers("When did the bridge open?", "Why did the bridge open?")["asks"] == 0
    assert _numbers("So why did it open?", "Why did the bridge open?")["asks"] == 1


def test_swapped_roles():
    """The same words in another order are not the same question, and the marks say so."""
    there, back = "How do I turn a list into a tuple?", "How do I turn a tuple into a list?"
    found = _numbers(there, back)
    assert found["inverted"] > 0
    assert found["in_order"] < 1
    assert (found["shared"], found["equal"]) == (1, 0)
    assert _numbers(there, there)["inverted"] == 0
    assert set(row(there, back, 1.0, RARITY).marks) != set(row(there, there, 1.0, RARITY).marks)


def test_rare_words_weigh_more():
    """What only one of them has weighs by how rare it is among the stored questions."""
    common, rare = _numbers("How do I boil?", "How do I boil an egg?"), _numbers("How do I boil?", "How do I boil yak?")
    assert common["only_rarest"] < rare["only_rarest"]
    assert RARITY.of("egg") < RARITY.of("rom") < RARITY.of("yak") == 1.0


def test_rarity_forgets():
    """A question that was let go no longer counts."""
    one, other = Rarity(["a red fox"]), Rarity(["a red fox", "a blue fox"])
    other.remove(["a blue fox"])
    assert one.of("fox") == other.of("fox")
    assert other.of("blue") == 1.0


def test_signs_are_words():
    """C, C++ and C# are three languages; a question mark is nothing."""
    assert words("What is C++?").stems != words("What is C?").stems != words("What is C#?").stems
    assert words("What is C ?").stems == words("what is c").stems


def test_spelling():
    """Other endings and spellings are seen as near."""
    assert _numbers("How does walking help?", "How does walk help?")["shared"] == 1
    assert _numbers("What colour is it?", "What color is it?")["alike"] > 0.7


def test_replaced_words_have_a_mark_of_their_own():
    """Feedback on one replacement helps another pair with the same replacement, whatever else they are about."""
    first = set(row("What is the best tea?", "What is the good tea?", 0.9, RARITY).marks)
    second = set(row("Where is the best inn?", "Where is the good inn?", 0.9, RARITY).marks)
    other = set(row("Where is the old inn?", "Where is the new inn?", 0.9, RARITY).marks)
    assert len(first & second) > len(first & other)


_TEXT = st.text(alphabet="ab cE'-7.?+ n\u4e2d\u0130", max_size=40)


@given(_TEXT, _TEXT, st.floats(-1, 1))
def test_any_text(question, stored, cosine):
    """Any two texts give finite numbers, the same each time, and the same measures the other way round."""
    one, again, back = (row(*texts, cosine, RARITY) for texts in ((question, stored),) * 2 + ((stored, question),))
    assert one.dense.dtype == np.float32
    assert one.dense.shape == (len(NAMES),)
    assert np.isfinite(one.dense).all()
    assert (one.dense == again.dense).all()
    assert (one.marks == again.marks).all()
    assert np.allclose(one.dense, back.dense)
    assert ((one.marks >= 0) & (one.marks < MARKS)).all()
