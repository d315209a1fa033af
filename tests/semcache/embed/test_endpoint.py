"""The embedder on a server: what it asks, and what it says when the answer is none."""

from __future__ import annotations

import socket
from contextlib import closing

import numpy as np
import pytest

from agentrt.errors import ConfigError, Refused, Unreachable
from agentrt.semcache.embed import embedder
from agentrt.semcache.embed.endpoint import KEY_VARIABLE, Endpoint
from tests.semcache.embed.server import SIZE, plain, serving

KEY = "sk-secret-of-mine"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    """The user's own key is none of the tests'."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_it_asks_as_openai_is_asked(ending):
    """One POST to /v1/embeddings with model, texts and key."""
    with serving() as server, closing(Endpoint(server.url + ending, "letters", api_key=KEY, size=SIZE)) as embed:
        embed.embed(["ab", "cd"])
    ((path, headers, body),) = server.asked
    assert path == "/v1/embeddings"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {"model": "letters", "input": ["ab", "cd"], "encoding_format": "float"}


def test_rows_stand_in_the_order_of_their_texts():
    """The server may answer in any order: ``index`` counts."""
    with serving() as server, closing(Endpoint(server.url, "letters")) as embed:
        texts = [chr(97 + one) * (one + 1) for one in range(SIZE)]
        assert np.array_equal(embed.embed(texts), np.eye(SIZE, dtype=np.float32))


def test_many_texts_go_in_several_requests_and_blank_ones_not_at_all():
    """At most 128 a request, none of them empty; nothing is asked where all are blank."""
    with serving() as server, closing(Endpoint(server.url, "letters", size=SIZE)) as embed:
        embed.embed(["", " "])
        assert server.asked == []
        rows = embed.embed([*["a", ""] * 150])
    assert [len(body["input"]) for *_, body in server.asked] == [128, 22]
    assert rows[:, 0].tolist() == [1.0, 0.0] * 150


def test_its_size_is_asked_for_once():
    """Where it is not given, one short text tells it."""
    with serving() as server, closing(embedder(f"{server.url}?model=letters")) as embed:
        assert (embed.size, embed.size) == (SIZE, SIZE)
    assert len(server.asked) == 1


def test_its_key_may_stand_in_the_environment(monkeypatch):
    """Where none is given, and only in the variable for this server."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with serving() as server, closing(Endpoint(server.url, "letters")) as embed:
        embed.embed(["a"])
    assert server.asked[0][1]["authorization"] == f"Bearer {KEY}"


def test_no_key_is_no_header():
    """A server that wants none gets none."""
    with serving() as server, closing(Endpoint(server.url, "letters")) as embed:
        embed.embed(["a"])
    assert "authorization" not in server.asked[0][1]


def told(embed, kind: type[Exception]) -> str:
    """What it says when it is asked for two vectors."""
    with pytest.raises(kind) as caught:
        embed.embed(["a", "b"])
    return str(caught.value)


def changed(**change):
    """An answer whose rows are other than they should be."""

    def answer(body):
        status, said = plain(body)
        return status, said | {"data": [row | change for row in said["data"]]}

    return answer


def short_by_one(body):
    """An answer without the last text's vector."""
    status, said = plain(body)
    return status, said | {"data": said["data"][1:]}


def uneven(body):
    """An answer with vectors of different sizes."""
    return 200, {"data": [{"index": at, "embedding": [1.0] * (at + 1)} for at in range(len(body["input"]))]}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (short_by_one, "1 vectors; expected 2"),
        (changed(index=0), "'index'"),
        (changed(index=[]), "'index'"),
        (changed(embedding=None), "expected"),
        (changed(embedding="AAAA"), "expected"),
        (changed(embedding=[]), "without numbers"),
        (changed(embedding=[1.0, None]), "expected"),
        (changed(embedding=[1e60] * SIZE), "finite"),
        (changed(embedding=[1.0] * (SIZE - 1)), f"{SIZE - 1} numbers; expected {SIZE}"),
        (uneven, "not equally many"),
        (lambda _: (200, {"data": "no"}), "'data'"),
        (lambda _: (200, ["data"]), "'data'"),
        (lambda _: (200, {"data": [1, 2]}), "'data'"),
        (lambda _: (200, b"<html>"), "not JSON"),
        (lambda _: (200, b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1]}]}'), "finite"),
    ],
)
def test_what_is_no_vector_is_no_answer(answer, words):
    """A server that answers something else is as good as none, and the message says what came."""
    with serving(answer) as server, closing(Endpoint(server.url, "letters", size=SIZE)) as embed:
        message = told(embed, Unreachable)
    assert f"the embedder 'letters' at {server.url} answered with " in message
    assert words in message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 302])
def test_a_refusal_is_told_without_the_key(status):
    """The server's own words are passed on, less the key that some of them repeat."""

    def answer(body):
        return status, {"error": f"no use of {KEY}"}

    with serving(answer) as server, closing(Endpoint(server.url, "letters", api_key=KEY, size=SIZE)) as embed:
        message = told(embed, Refused)
    assert f"answered {status}: " in message
    assert "no use of ***" in message
    assert (KEY_VARIABLE in message) == (status in {401, 403})
    assert KEY not in message + repr(embed)


def test_a_server_that_is_not_there_is_told():
    """Nobody listens: the address is named, the key is not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with closing(Endpoint(f"http://127.0.0.1:{port}", "letters", api_key=KEY)) as embed:
        message = told(embed, Unreachable)
    assert f"127.0.0.1:{port} cannot be reached" in message
    assert KEY not in message


def test_a_server_that_says_nothing_is_left():
    """After the time limit the caller goes on without it."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with closing(Endpoint(url, "letters", timeout=0.05)) as embed:
            assert "did not answer within 0.05 s" in told(embed, Unreachable)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://here:1/v1", "model=NAME"),
        ("http://here:1/v1?model=", "model=NAME"),
        ("http://here:1/v1?model=a&size=0", "model=NAME"),
        ("http://here:1/v1?model=a&size=many", "model=NAME"),
        (f"http://here:1/v1?model=a&api_key={KEY}", KEY_VARIABLE),
        (f"http://me:{KEY}@here:1/v1?model=a", KEY_VARIABLE),
        (f"http://{KEY}@here:1/v1?model=a", KEY_VARIABLE),
        ("http://?model=a", "no address"),
        ("http://here:99999?model=a", "no address"),
        ("http://[here?model=a", "no address"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_what_is_secret_in_it(url, words):
    """What is missing is named, and a key in the address is refused and not repeated."""
    with pytest.raises(ConfigError, match=words) as caught:
        embedder(url)
    assert KEY not in str(caught.value)


def test_zeros_from_a_server_stay_zeros():
    """The server of these tests counts letters, so a text without any is zeros."""
    with serving() as server, closing(Endpoint(server.url, "letters")) as embed:
        assert not embed.embed(["123"]).any()
