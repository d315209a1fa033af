"""The first word of a shell command: what a tool that runs commands really runs."""

from __future__ import annotations

import re
import shlex
from typing import Final

_BREAKS: Final = frozenset({";", "&", "&&", "|", "||", "|&", ";;", "(", ")", "{", "}", "!", "\n"})
_QUIET: Final = frozenset(
    {"cd", "pushd", "popd", "export", "set", "unset", "source", ".", "true", ":", "echo", "umask"}
)
"""They take no time worth telling; the command after them does. If nothing follows, they are the answer."""

_WRAPPERS: Final = frozenset(
    {"sudo", "env", "time", "timeout", "nice", "nohup", "xargs", "exec", "command", "stdbuf", "ionice", "doas", "eval"}
)
"""They run another command, which is the answer."""

_TAKES_VALUE: Final = {
    "sudo": frozenset("ugpChrtT"),
    "env": frozenset("uCS"),
    "timeout": frozenset("sk"),
    "nice": frozenset("n"),
    "xargs": frozenset("InLPdsEa"),
    "stdbuf": frozenset("ioe"),
    "ionice": frozenset("cn"),
    "doas": frozenset("uC"),
}
_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
_KEYWORDS: Final = frozenset({"if", "then", "else", "elif", "while", "until", "do", "for", "in", "case", "done", "fi"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
_DEPTH: Final = 4


def first_word(command: str) -> str:
    """The program that a shell command line runs, without its folder: ``cd a && env B=1 pytest -q`` gives ``pytest``.

    Looks through ``cd x &&``, assignments, ``sudo``, ``env``, ``timeout``, ``bash -c "..."`` and the like; of several
    commands it names the first that takes time. Empty when there is none. Never raises, whatever the text.
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


def _commands(command: str) -> list[list[str]]:
    """Cut a line into simple commands, each a list of words."""
    cut: list[list[str]] = [[]]
    for word in _words(command):
        if word in _BREAKS or (word and set(word) <= set(";&|()\n")):
            cut.append([])
        else:
            cut[-1].append(word)
    return [words for words in cut if words]


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that is never closed: the words up to there are still good
        return command.split()


def _program(words: list[str], depth: int) -> str:
    """The program of one simple command."""
    at = 0
    while at < len(words) and (_ASSIGNMENT.match(words[at]) or words[at] in _KEYWORDS):
        at += 1
    if at == len(words):
        return ""
    word = words[at].rstrip("/").rpartition("/")[2]
    rest = words[at + 1 :]
    if depth == 0:
        return word
    if word in _SHELLS and (script := _script(rest)) is not None:
        return _first_word(script, depth - 1) or word
    if word in _WRAPPERS and rest:
        return _program(_wrapped(word, rest), depth - 1) or word
    return word


def _script(arguments: list[str]) -> str | None:
    """The text behind ``-c`` (or ``-lc``) of a shell, ``None`` if it has no such option."""
    for at, option in enumerate(arguments[:-1]):
        if not option.startswith("-"):
            return None
        if not option.startswith("--") and "c" in option:
            return arguments[at + 1]
    return None


def _wrapped(wrapper: str, arguments: list[str]) -> list[str]:
    """What a wrapper runs: its own options, assignments and (for ``timeout``) duration dropped."""
    valued = _TAKES_VALUE.get(wrapper, frozenset())
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if word == "--":
            at += 1
            break
        if len(word) == 2 and word[0] == "-" and word[1] in valued:
            at += 2
        elif word.startswith("-") or _ASSIGNMENT.match(word):
            at += 1
        else:
            break
    return arguments[at + (wrapper == "timeout") :]
