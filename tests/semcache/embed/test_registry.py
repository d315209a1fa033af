"""Embedders by name, and what is told where one cannot be used."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from agentrt.errors import ConfigError
from agentrt.semcache import embed
from agentrt.semcache.embed import embedder, packaged
from agentrt.semcache.embed.static import Static


def test_a_name_that_is_none_is_told_with_those_that_are():
    """So is the one that was probably meant."""
    with pytest.raises(ConfigError, match=r"no embedder 'statik'; expected static, minilm or .* mean 'static'\?"):
        embedder("statik")


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("static", "tokenizers", "semcache"),
        ("static", "safetensors", "semcache"),
        ("static", "numpy", "semcache"),
        ("minilm", "onnxruntime", "minilm"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(monkeypatch, name, module, extra):
    """A missing package is a ConfigError with the command that installs it."""
    for one in [one for one in sys.modules if one.startswith("agentrt.semcache.embed.")]:
        monkeypatch.delitem(sys.modules, one)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'agentrt\[{extra}\]'"):
        embedder(name)


def test_a_server_too_needs_rows_to_put_its_vectors_in(monkeypatch):
    """Without numpy an embedder on a server is refused at once, not at its first answer."""
    monkeypatch.setattr(embed, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'agentrt\[semcache\]'"):
        embedder("http://localhost:1/v1?model=any")


def test_a_package_without_its_file_is_told():
    """So is a package that is not there, or has other files than it had."""
    for package, file in (("no_such_package", "a"), ("json", "no-such-file")):
        with pytest.raises(ConfigError, match=rf"'{package}' with its '{file}'.*agentrt\[semcache\]"):
            packaged.packaged(package, file, extra="semcache")


def test_static_vectors_are_those_of_the_package():
    """The package's two files read plainly give what its own code gives."""
    code = (
        "import logging, sys, numpy, wordllama; from pathlib import Path\n"
        "model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)\n"
        "numpy.save(sys.stdout.buffer, model.embed(sys.argv[1:], norm=True))"
    )
    texts = ["How do I learn to swim?", "Which tax forms does a bakery need?", "naïve 北京 🙂", "x"]
    child = subprocess.run([sys.executable, "-c", code, *texts], capture_output=True, check=True)
    header = child.stdout.index(b"\x93NUMPY")
    theirs = np.frombuffer(child.stdout[header + 128 :], np.float32).reshape(len(texts), -1)
    assert Static().embed(texts) == pytest.approx(theirs, abs=1e-5)


def test_it_leaves_the_process_as_it_was():
    """No logging is set up, no HTTP client imported, no thread started and nothing fetched."""
    code = (
        "import logging, sys, threading\n"
        "from agentrt.semcache.embed import embedder\n"
        "assert 'numpy' not in sys.modules\n"
        "embedder('static').embed(['one', 'two'] * 50)\n"
        "assert not logging.getLogger().handlers\n"
        "assert not {'requests', 'httpx', 'wordllama'} & set(sys.modules)\n"
        "assert threading.active_count() == 1\n"
        "print(len([line for line in open('/proc/self/status') if line.startswith('Threads')]))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
