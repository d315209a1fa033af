from __future__ import annotations

import json

import pytest

from agentrt.errors import ConfigError, GraphError
from agentrt.graph.analysis_template import template_steps
from agentrt.graph.compile import read_template
from agentrt.graph.template import Template, TemplateId
from tests.graph.reading import HEAD, REPORT, read

LOOP = (
    "for a in await search(topic):\n    x1 = await writer(a)\n    x2 = await editor(x1)\n"
    "    clean((x1, x2))\nreturn helper(1)"
)


def ahead(template: Template, *running: str) -> dict[str, int]:
    """Steps to execution of the template's steps by id."""
    found = template_steps(template, [TemplateId(one) for one in running])
    return {str(node.id): found[node.id] for node in template.nodes if node.is_step and node.id in found}


def test_round_trip():
    """A template survives its JSON."""
    template = read_template(REPORT, "report.py")
    assert Template.from_json(json.loads(template.dumps())) == template


@pytest.mark.parametrize("data", [{}, {"program": "x"}, [], {"program": 1, "place": {}, "nodes": [], "edges": []}])
def test_not_a_template(data: object):
    """JSON of something else is refused by name."""
    with pytest.raises(ConfigError, match="not the JSON of a step template"):
        Template.from_json(data)  # type: ignore[arg-type]


def test_find():
    """A step of a run is found in the template by its name and the line that calls it."""
    template = read_template(REPORT, "report.py")
    assert [node.id for node in template.find("search")] == ["search#1", "writer#1/search#1"]
    assert [node.id for node in template.find("search", 12)] == ["search#1"]


def test_tool_is_one_step_from_the_next_turn():
    """While an agent's tool runs, the model turn that asked for it is one step away, and what follows two."""
    found = ahead(read_template(REPORT, "report.py"), "writer#1/search#1")
    assert found["writer#1/writer.turn#1"] == 1
    assert found["editor#1"] == 2


def test_holder_is_not_counted_beside_what_it_holds():
    """Naming the running agent beside its running tool changes nothing."""
    template = read_template(REPORT, "report.py")
    assert ahead(template, "writer#1", "writer#1/search#1")["writer#1/writer.turn#1"] == 1


def test_past_the_frontier():
    """Steps that a run has not made yet are as far away as the source says: the loop may have no round."""
    found = ahead(read_template(REPORT, "report.py"), "planner#1")
    assert found["planner#1"] == 0
    assert found["writer#1/writer.turn#1"] == 1
    assert found["editor#1"] == 1
    assert "search#1" not in found  # it is done, and never runs again


def test_next_round():
    """In a loop, earlier steps of the body are as far as the rest of this round; later ones count this round only."""
    found = ahead(read(LOOP), "editor#1")
    assert found["clean#1"] == 1  # it needs x1 too, which is done in this round
    assert found["writer#1"] == 1  # of the next round
    assert found["helper#1/helper.turn#1"] == 1
    assert "search#1" not in found


def test_nested_loops_use_the_inner_way_back():
    """The next round of the inner loop does not wait for the outer one's."""
    body = (
        "for a in topic:\n    u = await search(a)\n    for b in u:\n        writer((u, b))\n"
        "        await editor(b)\nreturn 1"
    )
    found = ahead(read(body), "editor#1")
    assert found["writer#1"] == 1
    assert found["search#1"] == 1


def test_join_of_all_and_any():
    """A step that takes two values waits for the later, one behind an ``if`` for the nearer way."""
    both = ahead(read("a = search(1)\nb = clean(writer(2))\nreturn editor((a, b))"), "search#1", "writer#1")
    assert both["editor#1"] == 2
    either = ahead(
        read("s = await search(1)\nif s:\n    x = clean(writer(2))\nelse:\n    x = writer(3)\nreturn editor(x)"),
        "search#1",
    )
    assert either["editor#1"] == 2


def test_exceptions_are_no_short_cut():
    """What comes after a ``try`` is as far away as when nothing goes wrong; handlers are in sight all the same."""
    body = (
        "try:\n    a = await search(1)\n    b = await writer(a)\n    c = await editor(b)\n"
        "except ValueError:\n    c = await clean('')\nreturn helper(c)"
    )
    found = ahead(read(body), "search#1")
    assert found["helper#1/helper.turn#1"] == 3
    assert found["clean#1"] == 1


def test_session_turns():
    """Turns of one session are steps apart."""
    found = ahead(read("c = writer.session()\na = c(1)\nb = c(2)\nreturn c(3)"), "writer#1")
    assert found == {"writer#1": 0, "writer#2": 1, "writer#3": 2}


def test_subprogram_steps():
    """Steps inside a sub-program are in sight from outside."""
    head = HEAD + "@program\nasync def inner(q):\n    x = await search(q)\n    return writer(x)\n"
    found = ahead(read("return editor(inner(clean(topic)))", head), "clean#1")
    assert found == {"clean#1": 0, "inner#1": 1, "inner#1/search#1": 1, "inner#1/writer#1": 2, "editor#1": 3}


def test_unknown_id():
    """An id that is not in the template is named."""
    with pytest.raises(GraphError, match="'nope#1' is not in the template of 'main'"):
        template_steps(read("return 1"), [TemplateId("nope#1")])
