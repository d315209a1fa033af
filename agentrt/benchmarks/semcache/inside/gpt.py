"""GPTCache with SQLite and an index in memory, asked the same questions. Runs in its environment.

Embeddings are those of the other side: wordllama's packaged vectors, so that only the caches differ.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import wordllama
from gptcache import Cache
from gptcache.adapter.adapter import adapt
from gptcache.manager import manager_factory
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation import SearchDistanceEvaluation

SIZE = 256
AT_ONCE = 1_000
PAGE = os.sysconf("SC_PAGE_SIZE")

MODEL = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
CACHE = Cache()
ASKED = [0.0]
"""When the model was asked last; 0: it was not."""


def embed(text: str, **_: object) -> Any:
    """One question's vector."""
    return MODEL.embed([text])[0]


def model(*_: object, **__: object) -> str:
    """Answers at once, and notes when it was asked."""
    ASKED[0] = time.perf_counter()
    return "An answer."


def keep(data: Any, update: Any, *_: object, **__: object) -> Any:
    """Have the cache keep what the model said."""
    update(data)
    return data


def mend(manager: Any) -> None:
    """Its hnswlib index gives ids of a numpy type that SQLite does not know: without this nothing is ever found."""
    search = manager.v.search
    manager.v.search = lambda data, top_k=-1: [(distance, int(one)) for distance, one in search(data, top_k)]


def fill(index: str, folder: str, questions: list[str], room: int) -> dict[str, Any]:
    """Keep an answer to each of these; seconds, MiB of the process, and its Python."""
    manager = manager_factory(
        f"sqlite,{index}",
        data_dir=folder,
        vector_params={"dimension": SIZE, **({"max_elements": room} if index == "hnswlib" else {})},
        eviction_params={"max_size": room},
    )
    if index == "hnswlib":
        mend(manager)
    CACHE.init(
        pre_embedding_func=get_prompt,
        embedding_func=embed,
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
    )
    embed("once before the clock runs")
    began = time.perf_counter()
    for start in range(0, len(questions), AT_ONCE):
        some = questions[start : start + AT_ONCE]
        CACHE.import_data(some, ["An answer that was given before."] * len(some))
    return {"seconds": time.perf_counter() - began, "mib": resident(), "python": sys.version.split()[0]}


def ask(questions: list[str], threshold: float) -> list[tuple[float, float, bool]]:
    """For each: seconds until the model was asked or the answer came, from then to the reply, and whether it hit."""
    CACHE.config.similarity_threshold = threshold
    return [_ask(question) for question in questions]


def _ask(question: str) -> tuple[float, float, bool]:
    ASKED[0] = 0.0
    began = time.perf_counter()
    adapt(model, lambda found: found, keep, prompt=question, cache_obj=CACHE)
    ended = time.perf_counter()
    asked = ASKED[0]
    return (asked - began, ended - asked, False) if asked else (ended - began, 0.0, True)


def alike(text: str, vector: list[float]) -> float:
    """The cosine of both sides' vectors of one text."""
    own = np.asarray(embed(text), np.float64)
    return float(own @ np.asarray(vector) / (np.linalg.norm(own) * np.linalg.norm(vector)))


def resident() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20
