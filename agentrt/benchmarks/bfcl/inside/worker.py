"""The official package ``bfcl-eval``, asked for its entries, its tools' results and its verdicts.

Runs in its environment. The package itself is not changed, but for two things that it must not do there: import every
vendor's SDK (names stand in for those that nothing here uses), and evaluate anything that a model wrote (what reaches
its ``eval`` must be a call of one of its own functions with literal arguments, or arithmetic with numbers).
"""

from __future__ import annotations

import ast
import builtins
import copy
import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

FC, PROMPTING = "fc", "prompting"
"""The two kinds of models: function calling, and functions told in the prompt."""

KINDS = {
    FC: SimpleNamespace(is_fc_model=True, underscore_to_dot=True),
    PROMPTING: SimpleNamespace(is_fc_model=False, underscore_to_dot=False),
}


def stand_in(name: str, **members: object) -> None:
    """A module with these names, in place of one that the package imports."""
    module = ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


class Client:
    """Stands in for a vendor's client, which is made and never asked."""

    def __init__(self, **_: object) -> None:
        pass


stand_in("numpy")  # both only for the leaderboard's tables
stand_in("pandas")
stand_in("openai", OpenAI=Client, RateLimitError=type("RateLimitError", (Exception,), {}))
stand_in("bfcl_eval.constants.model_config", MODEL_CONFIG_MAPPING=KINDS)

from bfcl_eval import utils as data  # noqa: E402
from bfcl_eval.constants import default_prompts as prompts  # noqa: E402
from bfcl_eval.constants.enums import ModelStyle  # noqa: E402
from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI  # noqa: E402
from bfcl_eval.eval_checker import eval_runner  # noqa: E402
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils as tools  # noqa: E402
from bfcl_eval.model_handler import utils as models  # noqa: E402
from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler  # noqa: E402

INSTANCE = re.compile(r"\w+_instance")
HIGHEST = 1000
"""The highest exponent that is reckoned with."""
ARITHMETIC = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)

handlers = {kind: OpenAICompletionsHandler(kind, 0, kind, is_fc_model=KINDS[kind].is_fc_model) for kind in KINDS}
done: list[str] = []
"""The calls whose effects the functions' objects have now."""


# -- what must not be evaluated --------------------------------------------------------------------------------------


def only_calls(text: str) -> None:
    """Raise ``NameError`` unless it is a call of an object's public method with literals, as Python would for a name
    that is not there."""
    node = parsed(text)
    if not isinstance(node, ast.Call) or not is_method(node.func):
        raise NameError(f"name {text.partition('(')[0].strip()!r} is not defined")
    for value in (*node.args, *(one.value for one in node.keywords)):
        if isinstance(value, ast.Call):
            only_calls(ast.unparse(value))
        else:
            literal(value)


def is_method(node: ast.expr) -> bool:
    """``OBJECT_instance.method``."""
    if not isinstance(node, ast.Attribute) or node.attr.startswith("_"):
        return False
    return isinstance(node.value, ast.Name) and INSTANCE.fullmatch(node.value.id) is not None


def literal(node: ast.expr) -> None:
    """Raise ``NameError`` unless it is one."""
    try:
        ast.literal_eval(node)
    except ValueError:
        raise NameError(f"name {ast.unparse(node)!r} is not defined") from None


def only_arithmetic(text: str) -> None:
    """Raise ``NameError`` unless it is numbers and texts with operators between them, none of which runs for ever."""
    node = parsed(text)
    if not all(isinstance(one, ARITHMETIC) and not is_endless(one) for one in ast.walk(node)):
        raise NameError(f"name {text!r} is not defined")


def is_endless(node: ast.AST) -> bool:
    """Whether it may grow without bounds: ``9**9**9``, ``1<<10**9``."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Pow, ast.LShift)):
        return False
    by = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    return not (isinstance(by, ast.Constant) and isinstance(by.value, (int, float)) and abs(by.value) <= HIGHEST)


def parsed(text: str) -> ast.expr:
    """The expression. Raises ``SyntaxError``."""
    return ast.parse(text.strip(), mode="eval").body


def guard(module: ModuleType, check: Callable[[str], None]) -> None:
    """Let a module evaluate only what ``check`` accepts."""

    def evaluated(text: str) -> Any:
        check(text)
        return builtins.eval(text, vars(module))  # noqa: S307 - it was checked

    vars(module)["eval"] = evaluated


guard(tools, only_calls)
guard(models, only_arithmetic)


# -- what can be asked -----------------------------------------------------------------------------------------------


def about() -> dict[str, Any]:
    """Its version, the categories of each of its collections, and how many calls one turn may take."""
    return {
        "version": metadata.version("bfcl-eval"),
        "collections": data.TEST_COLLECTION_MAPPING,
        "steps": prompts.MAXIMUM_STEP_LIMIT,
    }


def entries(categories: Sequence[str], kind: str) -> dict[str, Any]:
    """The entries as a model is asked them: ``tools`` are all there are, entries name theirs by number."""
    pool: dict[str, int] = {}
    found = [
        entry_of(entry, category, kind, pool) for category in categories for entry in data.load_dataset_entry(category)
    ]
    return {"tools": [json.loads(one) for one in pool], "entries": found}


def entry_of(entry: dict[str, Any], category: str, kind: str, pool: dict[str, int]) -> dict[str, Any]:
    """One of them: ``turns`` with what the user says and the tools that come with it, ``scenario`` for those whose
    calls are executed."""
    missed = {int(turn): functions for turn, functions in entry.get("missed_function", {}).items()}
    turns = [
        {
            "messages": held_out(missed[turn], kind) if turn in missed else said,
            "tools": told(missed.get(turn, []), kind, pool),
        }
        for turn, said in enumerate(entry["question"])
    ]
    turns[0]["tools"] = told(entry["function"], kind, pool)
    if kind == PROMPTING:
        first = copy.deepcopy(turns[0]["messages"])
        turns[0]["messages"] = models.system_prompt_pre_processing_chat_model(first, entry["function"], entry["id"])
    return {"id": entry["id"], "category": category, "turns": turns, "scenario": scenario_of(entry)}


def held_out(functions: list[dict[str, Any]], kind: str) -> list[dict[str, str]]:
    """What the user says when functions come that were missing."""
    if kind == FC:
        return [{"role": "user", "content": prompts.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC}]
    text = prompts.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_PROMPTING.format(functions=functions)
    return [{"role": "user", "content": text}]


def told(functions: list[dict[str, Any]], kind: str, pool: dict[str, int]) -> list[int]:
    """Numbers of the functions as tools; none for a model that is told of them in its prompt."""
    if kind == PROMPTING:
        return []
    made = models.convert_to_tool(functions, GORILLA_TO_OPENAPI, ModelStyle.OPENAI_COMPLETIONS)
    return [pool.setdefault(json.dumps(one["function"]), len(pool)) for one in made]


def scenario_of(entry: dict[str, Any]) -> dict[str, Any] | None:
    """What is needed to execute an entry's calls."""
    if "involved_classes" not in entry:
        return None
    category = data.extract_test_category_from_id(entry["id"])
    return {
        "test_entry_id": entry["id"],
        "initial_config": entry.get("initial_config", {}),
        "involved_classes": entry["involved_classes"],
        "long_context": "long_context" in category or "composite" in category,
    }


def truths(categories: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The ground truth by entry, ``None`` where there is none to compare with, and the functions as documented."""
    found = {}
    for category in categories:
        asked = data.load_dataset_entry(category, include_language_specific_hint=False)
        compared = not data.is_relevance_or_irrelevance(category)
        answers = data.load_ground_truth_entry(category) if compared else [{"ground_truth": None}] * len(asked)
        for entry, answer in zip(asked, answers, strict=True):  # ids of answers may differ, their order does not
            held = [one for functions in entry.get("missed_function", {}).values() for one in functions]
            found[entry["id"]] = {"truth": answer["ground_truth"], "functions": [*entry["function"], *held]}
    return found


def decode(result: Any, kind: str) -> list[str]:
    """A reply as calls to execute; none when it has no calls, or none that can be read."""
    try:
        calls = handlers[kind].decode_execute(result, has_tool_call_tag=False)
    except Exception:  # noqa: BLE001 - whatever it is, it is no call: so do the official handlers
        return []
    return [] if tools.is_empty_execute_response(calls) else list(calls)


def execute(scenario: Mapping[str, Any], before: Sequence[str], call: str) -> str:
    """The result of a call, after those ``before`` it: where this process has not seen them, they are made first."""
    if done != before:
        forget()
        for one in before:
            run(scenario, one)
    return run(scenario, call)


def run(scenario: Mapping[str, Any], call: str) -> str:
    """One call, with effects."""
    done.append(call)
    results, _ = tools.execute_multi_turn_func_call([call], model_name=FC, **scenario)
    return str(results[0])


def forget() -> None:
    """Drop the functions' objects, with all that calls have done to them."""
    done.clear()
    for name in [name for name in vars(tools) if INSTANCE.fullmatch(name)]:
        del vars(tools)[name]


def judge(category: str, results: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """What the official score file of these results says of those that are wrong: its lines but for the first."""
    results = sorted(results, key=data.sort_key)
    with tempfile.TemporaryDirectory() as folder:
        eval_runner.evaluate_task(category, None, Path(folder), results, kind, handlers[kind], {}, allow_missing=True)
        (file,) = Path(folder).rglob("*_score.json")
        header, *wrong = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if header["correct_count"] != len(results) - len(wrong):
        raise ValueError(f"{category}: the score file says {header}, and has {len(wrong)} wrong of {len(results)}")
    return wrong
