"""The pure parts: what models are shown, edits, scripts, recipes, command lines, and what the report says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.benchmarks.harness.entries import Measures, Outcome
from agentrt.benchmarks.swebench import predictions
from agentrt.benchmarks.swebench.containers import arguments
from agentrt.benchmarks.swebench.edits import lines_replaced, replaced
from agentrt.benchmarks.swebench.environments import Recipe
from agentrt.benchmarks.swebench.evaluate import Evaluated, Evaluator
from agentrt.benchmarks.swebench.figures import figures
from agentrt.benchmarks.swebench.instances import Instance
from agentrt.benchmarks.swebench.official import Official, Report, read_report
from agentrt.benchmarks.swebench.solver import Effort
from agentrt.benchmarks.swebench.texts import numbered, shortened
from agentrt.errors import ConfigError, ExecutorError, ToolError
from tests.benchmarks.swebench.tiny import tiny

TEXT = "one\ntwo\nthree\ntwo\n"


@given(st.text(max_size=3_000), st.integers(200, 1_000))
def test_outputs_are_cut_to_size(text: str, most: int) -> None:
    """What is shown is never much longer than asked for, and what is short enough has all of its lines."""
    shown = shortened(text, most)
    assert len(shown) <= most + 60
    if len("\n".join(text.splitlines())) <= most and all(len(line) <= 400 for line in text.splitlines()):
        assert shown == "\n".join(text.splitlines())


def test_the_end_of_an_output_is_kept() -> None:
    """The last lines of a test run say how it ended, so they are shown whatever is left out."""
    shown = shortened("\n".join(f"line {n}" for n in range(10_000)) + "\n3 failed", 1_000)
    assert shown.startswith("line 0\n")
    assert shown.endswith("line 9999\n3 failed")
    assert "characters left out" in shown


def test_lines_are_shown_with_their_numbers() -> None:
    """A part of a file says which part it is, and one beyond the end how long the file is."""
    assert numbered(TEXT, 2, 2, 500) == "    2  two\n    3  three\n(lines 2 to 3 of 4)"
    assert numbered(TEXT, 9, 2, 500) == "(the file has 4 lines)"
    assert numbered(TEXT, 1, 4, 12) == "    1  one\n(lines 1 to 1 of 4)"


def test_text_is_replaced_where_it_stands_once() -> None:
    """An exact replacement changes that text alone and tells its line."""
    assert replaced("a.py", TEXT, "three", "3") == ("one\ntwo\n3\ntwo\n", 3)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("two", "2", "2 times, at lines 2, 4"),
        ("thre", "thre", "are the same"),
        ("three \n", "3", r"At line 3 there is something like it:\none\ntwo\nthree"),
        ("zebra", "3", "Read the file first"),
        ("", "3", "old is empty"),
    ],
)
def test_an_edit_that_does_not_fit_teaches(old: str, new: str, says: str) -> None:
    """A model is told what stands there instead, and that nothing was changed."""
    with pytest.raises(ToolError, match=says):
        replaced("a.py", TEXT, old, new)


@given(st.lists(st.sampled_from(["a", "b", ""]), max_size=8), st.data())
def test_lines_are_replaced_exactly(lines: list[str], data: st.DataObject) -> None:
    """What stands before and after the replaced lines stays as it was."""
    text = "".join(f"{line}\n" for line in lines)
    start = data.draw(st.integers(1, len(lines) + 1))
    end = data.draw(st.integers(start - 1, len(lines)))
    assert lines_replaced("a", text, start, end, "new").splitlines() == [*lines[: start - 1], "new", *lines[end:]]


def test_lines_that_are_not_there_are_not_replaced() -> None:
    """A range outside of the file is refused with the file's length."""
    with pytest.raises(ToolError, match="has 4 lines: expected 1 <= start <= 5"):
        lines_replaced("a", TEXT, 7, 8, "new")


def test_the_script_is_the_official_one_from_the_tests_on(tmp_path: Path) -> None:
    """Installing and activating are left out, the exit status is told, and the patch is tried as the official way."""
    row = tiny(tmp_path).row
    instance = Instance.from_row(row)
    script = instance.testing("/tree", patched=True)
    assert "pip install" not in script
    assert (
        script.index("git apply --verbose") < script.index(f"git checkout {instance.base} tests") < script.index("-rA")
    )
    assert script.endswith("tested=$?\n: '>>>>> End Test Output'\necho \">>>>> Test Exit Code: $tested\"\n")
    assert "git apply --verbose" not in instance.testing("/tree", patched=False)
    whole = instance.contained("/candidate", patched=True)
    assert "pip install -e ." in whole
    assert whole.rstrip().endswith(f"git checkout {instance.base} tests/test_counting.py")


def test_a_script_of_another_shape_is_refused(tmp_path: Path) -> None:
    """An instance whose script cannot be read says so instead of testing something else."""
    row = tiny(tmp_path).row | {"eval_script": "make test"}
    with pytest.raises(ConfigError, match="run it in a container"):
        Instance.from_row(row).testing("/tree", patched=True)


def test_recipes_keep_the_official_pins() -> None:
    """A pinned package takes the place of the same one without a version; commands that install are refused."""
    told = {"python": "3.9", "packages": "mpmath flake8", "pip_packages": ["mpmath==1.3.0"]}
    assert Recipe.read("a/b", "1", told).packages == ("flake8", "mpmath==1.3.0")
    files = Recipe.read("a/b", "1", {**told, "packages": "requirements.txt", "requirements": ["dev.txt"]})
    assert (files.files, files.packages) == (("dev.txt",), ("mpmath==1.3.0",))
    with pytest.raises(ConfigError, match="more than Python packages"):
        Recipe.read("a/b", "1", {**told, "pre_install": ["apt-get install x"]})
    with pytest.raises(ConfigError, match="no recipe"):
        Recipe.read("a/b", "1", None)


def test_a_container_has_limits_and_reads_alone(tmp_path: Path) -> None:
    """The command line limits memory, processes and cores, mounts the candidate read-only, and cleans up."""
    line = " ".join(arguments("agentrt-1", tmp_path, "image:latest"))
    for part in (
        "--rm",
        "--memory=4g",
        "--memory-swap=4g",
        "--pids-limit=",
        "--cpus=",
        ",readonly",
        "--name=agentrt-1",
    ):
        assert part in line
    assert line.endswith("image:latest bash /candidate/run.sh")


def test_the_official_report_in_one_line() -> None:
    """What did not pass is named, and so is a patch that does not apply."""
    base = {"patch_exists": True, "patch_successfully_applied": True, "resolved": False}
    tests = {"FAIL_TO_PASS": {"success": [], "failure": ["a"]}, "PASS_TO_PASS": {"success": ["b"], "failure": []}}
    assert read_report({**base, "tests_status": tests}).why == "FAIL_TO_PASS 0 of 1 (not a); PASS_TO_PASS 1 of 1"
    assert "does not apply" in read_report({**base, "patch_successfully_applied": False}).why
    assert read_report({**base, "resolved": True}).resolved


def test_predictions_are_in_the_official_format(tmp_path: Path) -> None:
    """Each line has the three names that the official harness reads."""
    predictions.write(tmp_path / "p.jsonl", "model", {"a": "diff", "b": ""})
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert lines[0] == {"instance_id": "a", "model_name_or_path": "model", "model_patch": "diff"}
    assert len(lines) == 2


def test_the_report_tells_what_calls_took() -> None:
    """Peak memory, CPU time and calls that a limit ended are counted over all entries."""
    call = {"tool": "bash", "what": "x", "code": 0, "seconds": 2.0, "cpu_s": 1.0, "peak_memory": 2**20, "killed_by": ""}
    output = {"patch": "d", "submitted": True, "calls": [call, {**call, "killed_by": "memory", "peak_memory": 2**21}]}
    told = figures([Outcome("a", "c", "r", "done", output, None, Measures(1.0))], {"a": "d"})
    assert {name.strip(): value for name, value, _ in told} == {
        "patches": "1 of 1",
        "tool calls": "2",
        "in the sandbox p50, p95": "2 s, 2 s",
        "peak memory p50, most": "1 MiB, 2 MiB",
        "CPU of them": "2 s",
        "ended by a limit": "1",
    }


def test_outputs_and_replies_fit_the_window() -> None:
    """A small window gets small outputs and replies, a large one not more than a reader takes."""
    small, large = Effort(window=2_048), Effort(window=1_000_000)
    assert (small.shown, small.tokens) == (614, 256)
    assert (large.shown, large.tokens) == (10_000, 1_024)
    assert len(small.told("x\n" * 50_000)) < 2_048


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("instance_id", "../../home"),
        ("instance_id", 7),
        ("repo", "../counting"),
        ("version", "../../x"),
        ("base_commit", "--upload-pack=touch x;"),
        ("environment_setup_commit", "HEAD"),
        ("image", "--privileged"),
    ],
)
def test_a_row_that_would_lead_us_astray_is_refused(tmp_path: Path, column: str, value: object) -> None:
    """What becomes part of a path or a command line of ours has the shape that it has in the official datasets."""
    with pytest.raises(ConfigError, match=f"its {column} is "):
        Instance.from_row(tiny(tmp_path).row | {column: value})


class NotGrading(Official):
    """An official package that cannot read what tests wrote."""

    def __init__(self) -> None:
        """It asks nobody."""

    async def grade(self, instance: Instance, patch: str, log: Path) -> Report:
        """Fail."""
        raise ExecutorError("grader: grade: IndexError")


class Wrote:
    """Tests that wrote something."""

    async def test(self, instance: Instance, patch: str, within: float) -> str:
        """See ``Way``."""
        return "PASSED"


async def test_what_the_grader_cannot_read_is_unresolved(tmp_path: Path) -> None:
    """Tests may write anything; one candidate's do not stop the others, and are tested anew the next time."""
    instance = Instance.from_row(tiny(tmp_path).row)
    found = await Evaluator(tmp_path / "evaluations", Wrote(), NotGrading(), lambda: 0.0).evaluate(instance, "x")
    assert found == Evaluated(False, "not graded: grader: grade: IndexError", 0.0)
    assert not (tmp_path / "evaluations" / instance.id / "report.json").exists()


async def test_instances_of_ones_own_have_each_its_recipe(tmp_path: Path) -> None:
    """Two of one version may take other packages."""
    row = tiny(tmp_path).row
    other = row | {"recipe": {"python": "3.12", "pip_packages": ["attrs==25.3.0"]}}
    official = NotGrading()
    recipes = [await official.recipe(Instance.from_row(one)) for one in (row, other)]
    assert [one.packages for one in recipes] == [("pytest==8.4.2",), ("attrs==25.3.0",)]
