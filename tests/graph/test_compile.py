from __future__ import annotations

from pathlib import Path

import pytest

from agentrt.errors import GraphError, ProgramError
from agentrt.graph.compile import read_template
from agentrt.graph.template import Template
from tests.graph.reading import FIRST, HEAD, REPORT, into, read, source, steps


def test_report():
    """The example of the documentation: two steps side by side, a loop of agents behind one, a join before the last."""
    template = read_template(REPORT, "report.py")
    assert template.program == "report"
    assert str(template.place) == "report.py:11"
    assert steps(template) == [
        "search#1",
        "planner#1",
        "writer#1",
        "writer#1/writer.turn#1",
        "writer#1/search#1",
        "editor#1",
    ]
    assert into(template, "search#1") == {"start#1": "control"}
    assert into(template, "planner#1") == {"start#1": "control"}
    assert into(template, "loop#1") == {"planner#1": "control"}
    assert into(template, "writer#1") == {"search#1": "data", "loop#1": "body", "writer#1/search#1": "back"}
    (join,) = into(template, "editor#1")
    assert into(template, join) == {"loop#1": "exit", "writer#1/writer.turn#1": "data"}
    assert [step.id for step in template.known] == ["search#1", "planner#1"]


def test_agent_is_a_loop_of_turns_and_tools():
    """An agent with tools is a turn, the tools behind it side by side, and the way back to the turn."""
    template = read("return Agent('a', tools=[search, fetch])(topic)", HEAD + "@tool\ndef fetch(url): ...\n")
    assert into(template, "a#1/a.turn#1") == {"a#1": "body"}
    assert into(template, "a#1/search#1") == into(template, "a#1/fetch#1") == {"a#1/a.turn#1": "then"}
    assert into(template, "a#1") == {"start#1": "control", "a#1/search#1": "back", "a#1/fetch#1": "back"}
    assert into(template, "end#1") == {"a#1/a.turn#1": "data"}


def test_await_makes_control_edges():
    """What is called behind an await comes after what was awaited, and after nothing that this implies."""
    template = read("a = search(topic)\nb = await writer(a)\nreturn await editor('x')")
    assert into(template, "editor#1") == {"writer#1": "control"}
    assert into(template, "end#1") == {"editor#1": "control"}


def test_two_awaits_join():
    """Behind two awaited steps of which none needs the other, a step comes after both."""
    template = read("a, b = search(topic), writer(topic)\nawait a\nawait b\nreturn clean('x')")
    assert into(template, "clean#1") == {"search#1": "control", "writer#1": "control"}


@pytest.mark.parametrize(
    "body",
    [
        "x = search(topic)\nreturn writer(x)",
        "x = [search(topic)]\nreturn writer(x[0])",
        "x, y = search(topic), 3\nreturn writer(x)",
        "x = {'a': search(topic)}\nreturn writer(x['a'])",
        "x = []\nx.append(search(topic))\nreturn writer(x)",
        "x = []\nx += [search(topic)]\nreturn writer(x)",
        "x = {}\nx['k'] = search(topic)\nreturn writer(x)",
        "return writer(*[search(topic)])",
        "return writer(q=search(topic))",
        "return writer((y := search(topic)))",
        "x = [search(topic), *()]\nreturn writer(x)",
        "x = dict(a=search(topic))\nreturn writer(x)",
        "class R: ...\nreturn writer(R(facts=search(topic)))",
        "f = lambda q: search(q)\nreturn writer(f(topic))",
        "def f(q):\n    return search(q)\nreturn writer(f(topic))",
        "x = search.with_(timeout=3)(topic)\nreturn writer.with_(retries=1)(x.ref)",
        "return writer(list(zip([search(topic)], [1])))",
        "return writer(search(topic) if True else search(topic)) if False else writer(search(topic))",
    ][:-1],
)
def test_handles_are_followed(body: str):
    """A handle is followed through names, containers, helpers and arguments."""
    assert into(read(body), "writer#1") == {"search#1": "data"}


def test_branch():
    """The ways of an ``if`` start at its branch, and a value that either way gives is a join of any."""
    template = read("if n:\n    x = search(topic)\nelse:\n    x = writer(topic)\nreturn editor(x)")
    assert into(template, "search#1") == {"branch#1": "then"}
    assert into(template, "writer#1") == {"branch#1": "else"}
    (join,) = (name for name, kind in into(template, "editor#1").items() if kind == "data")
    assert into(template, join) == {"search#1": "data", "writer#1": "data"}
    assert next(node for node in template.nodes if node.id == join).join == "any"


def test_early_return():
    """An early return is one more way into the end."""
    template = read("f = await search(topic)\nif not f:\n    return None\nreturn writer(f)")
    assert into(template, "end#1") == {"branch#1": "then", "writer#1": "data"}


def test_elif_nests():
    """An ``elif`` is a branch in the else of the one before."""
    template = read("if n == 1:\n    search(1)\nelif n == 2:\n    writer(2)\nelse:\n    editor(3)\nreturn 1")
    assert into(template, "branch#2") == {"branch#1": "else"}
    assert into(template, "editor#1") == {"branch#2": "else"}


def test_match():
    """Each case of a ``match`` is a way, with its pattern as the label."""
    template = read("match n:\n    case 1:\n        search(1)\n    case _:\n        writer(2)\nreturn 1")
    labels = {edge.target: edge.label for edge in template.edges if edge.kind == "case"}
    assert labels == {"search#1": "1", "writer#1": "_"}


def test_choice_without_steps_leaves_no_trace():
    """A condition or loop that touches no step is not in the template."""
    body = "t = 0\nfor i in range(n):\n    if i:\n        t += i\n    else:\n        continue\nreturn writer(t)"
    assert [node.kind for node in read(body).nodes] == ["start", "llm", "end"]


def test_value_carried_round_a_loop():
    """A name that each round hands to the next is a join at the loop's head: what was before, or the last round's."""
    template = read("text = writer(topic)\nfor _ in range(n):\n    text = editor(text)\nreturn text")
    assert into(template, "text#1") == {"writer#1": "data", "editor#1": "back"}
    assert into(template, "editor#1") == {"text#1": "data", "loop#1": "body"}


def test_sequential_loop():
    """A loop that awaits goes back from what it awaited last, and is left from there or without a round."""
    template = read("for x in topic:\n    await search(x)\nreturn writer(1)")
    assert into(template, "loop#1") == {"start#1": "control", "search#1": "back"}
    (out,) = into(template, "writer#1")
    assert into(template, out) == {"loop#1": "exit", "search#1": "exit"}


def test_while_true_is_left_by_break_only():
    """An endless loop is left through its break, never without a round."""
    template = read("while True:\n    x = await search(topic)\n    if x:\n        break\nreturn writer(x)")
    assert into(template, "writer#1") == {"branch#1": "then"}
    assert into(template, "loop#1") == {"start#1": "control", "branch#1": "back"}


def test_try():
    """A handler comes after what its body awaited, by an edge of its own kind."""
    template = read("try:\n    x = await search(topic)\nexcept ValueError:\n    x = await clean('a')\nreturn editor(x)")
    assert into(template, "clean#1") == {"search#1": "except"}
    (join,) = into(template, "editor#1")
    assert into(template, join) == {"search#1": "control", "clean#1": "control"}


def test_finally_when_all_ways_leave():
    """What ``finally`` calls is in the template even where every way through the body returns."""
    template = read("try:\n    return await search(topic)\nfinally:\n    clean('x')")
    assert into(template, "clean#1") == {"search#1": "control"}


def test_gather_keeps_branches_apart():
    """Coroutines side by side depend on their own awaits only, and what follows depends on all of them."""
    body = (
        "async def one(x):\n    return await writer(await search(x))\n"
        "r = await asyncio.gather(one(1), one(2))\nreturn editor(r)"
    )
    template = read(body)
    assert into(template, "writer#2") == {"search#2": "control"}
    assert into(template, "search#2") == {"start#1": "control"}
    assert into(template, "editor#1") == {"writer#1": "control", "writer#2": "control"}


def test_task_group_waits_at_its_end():
    """What follows a task group comes after everything that was started in it."""
    body = (
        "async def one():\n    await search(1)\nasync with asyncio.TaskGroup() as group:\n"
        "    group.create_task(one())\n    group.create_task(one())\nreturn editor(1)"
    )
    assert into(read(body), "editor#1") == {"search#1": "control", "search#2": "control"}


def test_first_completed_is_a_join_of_any():
    """Waiting for the first of several is a join that needs one of them."""
    body = (
        "a, b = writer(1), editor(2)\n"
        "await asyncio.wait([a, b], return_when=asyncio.FIRST_COMPLETED)\nreturn clean('x')"
    )
    template = read(body)
    assert into(template, "clean#1") == {"first#1": "control"}
    assert next(node for node in template.nodes if node.id == "first#1").join == "any"


def test_session_turns_follow_each_other():
    """Each turn of a session comes after the one before, also across rounds of a loop."""
    template = read("chat = writer.session()\nfor q in topic:\n    chat(q)\nreturn chat('last')")
    joins = into(template, "writer#1")
    (carried,) = (name for name in joins if name.startswith("session"))
    assert into(template, carried)["writer#1"] == "back"


def test_after_option():
    """``with_(after=...)`` is a control edge."""
    assert into(read("a = search(1)\nreturn clean.with_(after=[a])('x')"), "clean#1") == {"search#1": "control"}


def test_each_is_a_loop():
    """``each(step, items)`` is a loop over the step, and its values come after it."""
    template = read("out = [p async for p in each(writer, topic, at_once=8)]\nreturn editor(out)")
    assert into(template, "writer#1") == {"loop#1": "body"}
    assert into(template, "loop#1") == {"start#1": "control", "writer#1": "back"}
    (join,) = into(template, "editor#1")
    assert into(template, join) == {"loop#1": "exit", "writer#1": "exit"}


def test_agents_in_a_list_are_told_apart():
    """A loop over agents that the source spells out is read agent by agent."""
    template = read("return clean([a(topic) for a in (writer, editor)])")
    assert into(template, "clean#1") == {"writer#1": "data", "editor#1": "data"}


def test_agent_chosen_by_key():
    """An agent looked up by a computed key is a branch between all of them."""
    template = read("agents = {'w': writer, 'e': editor}\nreturn agents[n](topic)")
    assert into(template, "writer#1") == into(template, "editor#1") == {"branch#1": "case"}


def test_subprogram_is_expanded():
    """A program called inside another one holds its own steps, and what takes its value comes after its end."""
    head = HEAD + "@program\nasync def inner(q):\n    x = await search(q)\n    return writer(x)\n"
    template = read("return editor(inner(topic))", head)
    assert into(template, "inner#1/search#1") == {"inner#1": "body"}
    assert into(template, "inner#1/writer#1") == {"inner#1/search#1": "control"}
    assert into(template, "editor#1") == {"inner#1/writer#1": "data"}


def test_recursive_program_stays_one_node():
    """A program that calls itself is one node there, and one whose helper calls itself is read all the same."""
    template = read("def f(k):\n    return f(k - 1) if k else writer(k)\nx = f(3)\nreturn editor(x, main(topic))")
    assert "main#1" in steps(template)


def test_steps_that_call_steps():
    """The steps that a step's own code calls are inside it."""
    head = HEAD + "@step\nasync def both(q):\n    return await search(q) + await search(q)\n"
    assert steps(read("return both(topic)", head)) == ["both#1", "both#1/search#1", "both#1/search#2"]


def test_names_by_any_import():
    """The decorators are known under every name that an import gives them."""
    text = (
        "import agentrt as rt\nfrom agentrt import tool as t, program\n@t(name='find', retries=2)\n"
        "def s(q): ...\nw = rt.Agent('w', tools=[s])\n@rt.program(siblings='finish')\n"
        "async def main(x):\n    return w(s(x))\n"
    )
    assert steps(read_template(text, "p.py")) == ["find#1", "w#1", "w#1/w.turn#1", "w#1/find#1"]


def test_files_beside_are_followed(tmp_path: Path):
    """Steps imported from a file in the same folder are steps, by every form of import."""
    (tmp_path / "tools.py").write_text("from agentrt import tool\n@tool\ndef search(q): ...\n")
    for text in ("from tools import search", "from tools import *", "import tools\nsearch = tools.search"):
        main = f"{text}\nfrom agentrt import program\n@program\nasync def main(q):\n    return search(q)\n"
        assert steps(read_template(main, str(tmp_path / "main.py"))) == ["search#1"]


def test_files_beside_that_import_each_other(tmp_path: Path):
    """Files that import each other in a circle are read once each."""
    (tmp_path / "a.py").write_text("import b\nfrom main import nothing\n")
    (tmp_path / "b.py").write_text("import a\n")
    main = "import a\nfrom agentrt import program\n@program\nasync def main(): ...\n"
    assert steps(read_template(main, str(tmp_path / "main.py"))) == []


def test_nothing_is_run(tmp_path: Path):
    """Reading a program neither runs nor imports anything of it."""
    mark = tmp_path / "ran"
    touch = f"open({str(mark)!r}, 'w')\n"
    (tmp_path / "beside.py").write_text(touch + "raise SystemExit(3)\n")
    read_template(f"{touch}import beside\n{source('return writer(1)')}", str(tmp_path / "p.py"), "main")
    assert not mark.exists()


# -- known beforehand ----------------------------------------------------------------------------------------


def known(template: Template) -> dict[str, list[str]]:
    return {str(step.id): [str(one) for one in step.inputs] for step in template.known}


def test_known_steps_end_at_the_first_await():
    """Every step called before the first await is known, with its inputs; none behind it is."""
    template = read("a = search(topic)\nb = writer(a)\nawait a\nreturn editor(b)")
    assert known(template) == {"search#1": [], "writer#1": ["search#1"]}


def test_known_steps_of_loops_over_constants():
    """Loops whose length the source tells are unrolled."""
    template = read(
        "hs = [writer(i) for i in range(2)]\nfor x in ('a', 'b'):\n    hs.append(search(x))\nreturn editor(hs)"
    )
    assert known(template)["editor#1"] == ["writer#1", "writer#2", "search#1", "search#2"]


@pytest.mark.parametrize(
    "body",
    [
        "search(1)\nif n:\n    writer(2)\neditor(3)",
        "search(1)\nfor x in topic:\n    writer(2)\neditor(3)",
        "search(1)\nwhile n:\n    writer(2)\neditor(3)",
        "search(1)\nif n:\n    return 2\neditor(3)",
        "search(1)\nx = writer(1) if n else 3\neditor(x)",
        "search(1)\nn and writer(2)\neditor(3)",
        "search(1)\nawait asyncio.sleep(0)\neditor(3)",
        "search(1)\nasync with asyncio.TaskGroup() as g:\n    pass\neditor(3)",
        "search(1)\nasync for x in each(writer, topic):\n    pass\neditor(3)",
        "search(1)\ntry:\n    raise ValueError\nexcept ValueError:\n    writer(2)\neditor(3)",
    ],
)
def test_known_steps_end_where_it_depends(body: str):
    """What is behind a branch, an open loop or a wait is not known beforehand."""
    assert list(known(read(body))) == ["search#1"]


# -- refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("a = writer(b)\nb = editor(a)\nreturn b", 0, ["cycle", "'b' needs 'a' needs 'b'"]),
        ("for i in topic:\n    a = writer(b)\n    b = editor(a)\nreturn a", 1, ["cycle"]),
        ("a = writer(b)\nb = 3", 0, ["'b'", "before anything gives it a value", f"line {FIRST + 1}"]),
        ("h = search(1)\nif h:\n    pass", 1, ["h is a step's handle", "condition", "await h"]),
        ("h = search(1)\nwhile not h:\n    pass", 1, ["handle", "await h"]),
        ("for x in search(1):\n    pass", 0, ["handle", "loop", "await search(1)"]),
        ("return [x for x in search(1)]", 0, ["handle", "loop"]),
        ("h = search(1)\nreturn writer(f'about {h}')", 1, ["handle", "f-string"]),
        ("return search(1) + 'x'", 0, ["handle", "operator"]),
        ("return len(search(1))", 0, ["handle", "len()"]),
        ("a, b = search(1)", 0, ["handle cannot be unpacked", "a, b = await"]),
        ("return search(1)[0]", 0, ["handle", "subscript"]),
        ("return search(1) == 3", 0, ["handle", "comparison"]),
        ("x = 'a'\nx += search(1)", 1, ["handle", "operator"]),
        ("assert search(1)", 0, ["handle", "assert"]),
        ("match search(1):\n    case _:\n        pass", 0, ["handle", "match"]),
        ("return ', '.join([writer(x) for x in topic])", 0, ["handles", "gather"]),
        ("return Agent('a', tools=[serach])(1)", 0, ["unknown tool 'serach'", "known tools: search"]),
        ("return Agent('a', tools=['serach'])(1)", 0, ["unknown tool 'serach'", "known tools: search"]),
        ("return Agent('a', tools=[clean])(1)", 0, ["clean is a @step", "@tool"]),
        ("return Agent('a', tools=[writer])(1)", 0, ["writer is an agent"]),
        ("def plain(): ...\nreturn Agent('a', tools=[plain])(1)", 1, ["plain function", "@tool"]),
        ("return Agent('a', tools=[search, search])(1)", 0, ["two tools", "'search'"]),
        ("return Agent('editor')(editor(1))", 0, ["two steps", "'editor'"]),
    ],
)
def test_refused_with_the_place(body: str, line: int, words: list[str]):
    """What cannot work is refused in one line that names the place, the thing and the way out."""
    with pytest.raises(GraphError) as caught:
        read(body)
    message = str(caught.value)
    assert message.startswith(f"p.py:{FIRST + line}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "body",
    [
        "h = search(1)\nif h is None:\n    pass",
        "h = search(1)\nprint(f'{h!r}')",
        "search(1)",
        "h = search(1)\nreturn [h, h]",
        "h = search(1)\nreturn h in [h]",
        "h = None\nif n:\n    h = search(1)\nif h:\n    pass",
        "for i in topic:\n    if i:\n        writer(b)\n    b = i",
        "while 1:\n    if n:\n        break\n    b = 1\nreturn writer(b)",
        "try:\n    b = 1\nexcept ValueError:\n    pass\nreturn writer(b)",
        "with open('x') as b:\n    return writer(b)",
        "import json as b\nreturn writer(b)",
        "for b in topic:\n    pass\nelse:\n    pass\nreturn writer(b)",
        "match topic:\n    case {'k': b, **rest}:\n        writer(b, rest)\n    case [*y] as z:\n        writer(y, z)",
        "if (b := topic):\n    return writer(b)",
        "global b\nreturn writer(b)",
        "return writer([b for b in topic if b])",
        "try:\n    pass\nexcept ValueError as b:\n    return writer(b)",
        "h = search(1)\nreturn writer(str(await h))",
    ],
)
def test_not_refused(body: str):
    """What can work is not refused."""
    read(body)


def test_duplicate_definitions():
    """Two definitions of one name, where the second would silently replace the first, are refused."""
    with pytest.raises(GraphError, match=r"^p\.py:\d+: 'search' is defined twice, at p\.py:\d+ and here"):
        read("return search(1)", HEAD + "@tool\ndef search(q): ...\n")


def test_one_agent_with_other_options_is_no_duplicate():
    """An agent or session used with other options is still the same agent."""
    read("chat = writer.session()\nreturn writer.with_(timeout=3)(chat(1), writer(2))")


@pytest.mark.parametrize(
    ("text", "program", "words"),
    [
        ("x = 1\n", None, ["no program", "@program"]),
        ("def (:\n", None, ["p.py:1", "not valid Python"]),
        ("x = '\0'\n", None, ["p.py"]),
        (source("pass") + "@program\nasync def other(): ...\n", None, ["several", "p.py:main", "p.py:other"]),
        (source("pass"), "nope", ["no program 'nope'", "p.py:main"]),
        ("x = " + "(" * 3000 + ")" * 3000, None, ["p.py"]),
        ("x = " + "-" * 100_000 + "1", None, ["p.py"]),
        (source("return " + ".a".join(["x"] * 3000)), "main", ["nests too deeply"]),
        (source("return " + "[" * 90 + "]" * 90 + ".a" * 860), "main", ["nests too deeply"]),
    ],
)
def test_no_program(text: str, program: str | None, words: list[str]):
    """A source without the program, or that is no Python, is one clear line."""
    with pytest.raises(ProgramError) as caught:
        read_template(text, "p.py", program)
    for word in words:
        assert word in str(caught.value)


def test_long_sum_is_fine():
    """A sum of thousands of parts, which nests deeper than the stack, is read all the same."""
    read_template(source("return writer(" + "+".join(["topic"] * 900) + ")"), "p.py", "main")


def test_program_by_either_name():
    """A program goes by its name in the source and by the name it was given."""
    text = HEAD + "@program(name='given')\nasync def own(): ...\n@program\nasync def second(): ...\n"
    assert read_template(text, "p.py", "own").program == read_template(text, "p.py", "given").program == "given"


def test_what_rounds_left_is_known_behind_a_loop_that_waits():
    """A value that a round left is what follows a loop, also where the loop is left in the middle of a round."""
    template = read("a = 0\nwhile (await search(1)) != n:\n    a = writer(2)\nreturn editor(a)")
    (join,) = (name for name, kind in into(template, "editor#1").items() if kind == "data")
    assert into(template, join)["writer#1"] == "back"
    template = read("m = []\nfor x in topic:\n    if x:\n        break\n    m.append(writer(x))\nreturn editor(m)")
    assert "writer#1" in _sources(template, "editor#1")


def test_waits_in_one_way_only():
    """A loop that waits for something now and then, but calls nothing, stays in the graph."""
    template = read("a = writer(1)\nfor x in topic:\n    if x:\n        await a\nreturn editor(2)")
    assert "writer#1" in _sources(template, "editor#1")


def _sources(template: Template, node: str) -> set[str]:
    """Everything that can come before the node."""
    found = {node}
    for _ in template.edges:
        found |= {str(edge.source) for edge in template.edges if edge.target in found}
    return found - {node}


def test_alternatives_of_one_name_are_no_duplicates():
    """A step defined in one of two ways, as for an import that may be missing, is one step; so is an agent."""
    either = """
try:
    import absent
    @tool
    def find(q): ...
except ImportError:
    @tool
    def find(q): ...
"""
    read("return find(1)", HEAD + either)
    read("a = Agent('a', system='x') if topic else Agent('a', system='y')\nreturn a(1)")
