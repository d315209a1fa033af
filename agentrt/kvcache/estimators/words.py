"""The first word of a shell command: what a tool that runs commands really runs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

_QUIET: Final = frozenset(
    {"cd", "pushd", "popd", "export", "set", "unset", "source", ".", "true", ":", "echo", "umask", "local"}
)
"""What follows them tells more; when nothing does, they are the answer."""

_WRAPPERS: Final = {
    "command": "",
    "doas": "uC",
    "env": "uCS",
    "eval": "",
    "exec": "a",
    "ionice": "cn",
    "nice": "n",
    "nohup": "",
    "stdbuf": "ioe",
    "sudo": "ugpChrtT",
    "time": "fo",
    "timeout": "sk",
    "xargs": "InLPdsEa",
}
"""They run another command, which is the answer; beside each, its one-letter options that take a value."""

_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
_RUNNERS: Final = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch"})
_KEYWORDS: Final = frozenset(
    {"if", "then", "else", "elif", "while", "until", "do", "done", "fi", "esac", "{", "}", "!"}
)
_HEADS: Final = frozenset({"for", "case", "select", "function"})
"""They begin a stretch that is no command: the name in ``for name in ...``."""

_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
_SUBSTITUTION: Final = re.compile(r"\$\([^()]*\)|`[^`]*`")
_WORDS: Final = re.compile(
    r"""(?P<end>[;&|()\n]+)|(?P<word>(?:[^\s;&|()'"\\]+|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)|['"\\]""", re.DOTALL
)
"""The end of a command, or a word with its quotes, or a quote that is never closed."""

_QUOTED: Final = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)""", re.DOTALL)
_DEPTH: Final = 4


def first_word(command: str) -> str:
    """The program that a shell command line runs, without its folder: ``cd a && env B=1 pytest -q`` gives ``pytest``.

    Looks through ``cd x &&``, assignments, ``sudo``, ``env``, ``timeout``, ``bash -c "..."``, ``python -m`` and the
    like; of several commands it names the first that does something. Empty when there is none. Never raises.
    """
    return _first_word(command[:4096], _DEPTH)


def _first_word(command: str, depth: int) -> str:
    fallback = ""
    for words in _commands(command):
        word = _program(words, depth)
        if word and word not in _QUIET:
            return word
        fallback = fallback or word
    return fallback


def _commands(command: str) -> Iterator[list[str]]:
    """Cut a line into simple commands, each a list of words."""
    plain = command
    if "$(" in plain or "`" in plain:
        plain = _SUBSTITUTION.sub("$_", _SUBSTITUTION.sub("$_", plain))
    words: list[str] = []
    for found in _WORDS.finditer(plain.replace("\\\n", " ")):
        if found["word"]:
            words.append(_unquoted(found["word"]))
        elif found["end"] and words:
            yield words
            words = []
    if words:
        yield words


def _unquoted(word: str) -> str:
    if "'" in word or '"' in word or "\\" in word:
        return _QUOTED.sub(lambda part: next(one for one in part.groups() if one is not None), word)
    return word


def _program(words: list[str], depth: int) -> str:
    """The program of one simple command."""
    at = 0
    while at < len(words) and (_ASSIGNMENT.match(words[at]) or words[at] in _KEYWORDS):
        at += 1
    if at == len(words) or words[at] in _HEADS or words[at].startswith("#"):
        return ""
    word, rest = words[at].rstrip("/").rpartition("/")[2], words[at + 1 :]
    inner = _inner(word, rest, depth - 1) if depth and rest else ""
    return inner or word


def _inner(word: str, rest: list[str], depth: int) -> str:
    """What a program that runs another one runs; empty if it is no such program."""
    if word in _SHELLS:
        return _first_word(_after(rest, "c"), depth)
    if word.startswith("python"):
        return _after(rest, "m")
    if word in _RUNNERS and rest[0] == "run":
        return _program(rest[1:], depth)
    if word in _WRAPPERS:
        return _program(_wrapped(word, rest), depth)
    return ""


def _after(arguments: list[str], letter: str) -> str:
    """What stands behind a one-letter option (alone, or as in ``-lc``) before the first plain argument."""
    for option, value in itertools.pairwise(arguments):
        if not option.startswith("-"):
            break
        if not option.startswith("--") and option.endswith(letter):
            return value
    return ""


def _wrapped(wrapper: str, arguments: list[str]) -> list[str]:
    """What a wrapper runs: its own options, assignments and (for ``timeout``) duration dropped."""
    valued = _WRAPPERS[wrapper]
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if len(word) == 2 and word[0] == "-" and word[1] in valued:
            at += 2
        elif word.startswith("-") or _ASSIGNMENT.match(word):
            at += 1
        else:
            break
    return arguments[at + (wrapper == "timeout") :]
