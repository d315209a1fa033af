"""The first word of a command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.kvcache.estimators import first_word


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("pytest -q", "pytest"),
        ("cd x && pytest", "pytest"),
        ("cd /a; source venv/bin/activate && tox -e py", "tox"),
        ("env VAR=1 make -j2", "make"),
        ("VAR=1 OTHER='a b' ./run.sh", "run.sh"),
        ("sudo -u bob -E apt-get install x", "apt-get"),
        ("timeout -k 5 30 pytest", "pytest"),
        ("time -p make", "make"),
        ("nohup nice -n 10 ./serve &", "serve"),
        ('bash -c "cd /x; python -m pytest | tail"', "pytest"),
        ("bash -lc 'npm test'", "npm"),
        ("bash script.sh", "bash"),
        ("/usr/bin/python3 x.py", "python3"),
        ("python3 -u -m mypackage.tool --flag", "mypackage.tool"),
        ("python - <<'EOF'\nprint(1)\nEOF", "python"),
        ("uv run pytest", "pytest"),
        ("cat a | grep b", "cat"),
        ("'/opt/my tool/bin' x", "bin"),
        ("(cd a; make)", "make"),
        ("if true; then ls; fi", "ls"),
        ("for f in *; do cat $f; done", "cat"),
        ("export A=$(date +%s)\npytest", "pytest"),
        ("FOO=`date` make", "make"),
        ("# don't be slow\nls -la", "ls"),
        ("git -C x status \\\n  --short", "git"),
        ("echo hi > f", "echo"),
        ("cd x", "cd"),
        ("sleep 30 && cat log", "sleep"),
        ("sudo", "sudo"),
        ("timeout 30s", "timeout"),
        ("'never closed", "never"),
        ("", ""),
        (" \n\t", ""),
        (";;&&", ""),
    ],
)
def test_the_word(command: str, word: str) -> None:
    """Each form of a command gives the program that does the work."""
    assert first_word(command) == word


@given(st.text(max_size=200) | st.text(alphabet="ab '\"\\$()`;&|\n=-#{}", max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    """Never raises, and the answer is part of no other command: it has no folder."""
    assert "/" not in first_word(text).rstrip("/")
