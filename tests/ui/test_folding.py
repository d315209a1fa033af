"""Which nodes stand for a run: as many as can be drawn, and always the same as if it were folded at once."""

from __future__ import annotations

import random

import pytest

from agentrt.events import GraphChange, GraphEdited, RunResumed, StepAdded
from agentrt.types import StepId
from agentrt.ui.folds.folded import WINDOW, FoldEdge
from agentrt.ui.folds.folding import LIMIT, MOST, Folding
from tests.ui.conftest import RUN, Story


def folded(story: Story) -> Folding:
    """The run as it is folded by itself."""
    folding = Folding(story.view)
    folding.update()
    return folding


def counts(folding: Folding, name: str) -> tuple[dict[str, int], dict[str, int]]:
    """What a node stands for, and what it hides."""
    node = folding.nodes[name]
    return ({str(key): n for key, n in some.items() if n} for some in (node.counts, node.within))  # type: ignore[return-value]


def ends(folding: Folding) -> set[tuple[str, str]]:
    """The edges."""
    return set(folding.edges)


def fan(story: Story, width: int, name: str = "search") -> Story:
    """So many steps that a last one needs."""
    for number in range(width):
        story.add(f"{name}#{number + 1}", kind="tool")
    return story.add("write#1", inputs=[f"{name}#{number + 1}" for number in range(width)])


def agents(story: Story, many: int, rounds: int) -> Story:
    """So many agents of so many rounds, each of a turn and a tool call."""
    for number in range(1, many + 1):
        story.add(f"seek#{number}", kind="agent")
    for number in range(1, many + 1):
        for turn in range(1, rounds + 1):
            before = [f"seek#{number}/look#{turn - 1}"] if turn > 1 else []
            story.add(f"seek#{number}/seek.turn#{turn}", parent=f"seek#{number}", inputs=before)
            story.add(
                f"seek#{number}/look#{turn}",
                kind="tool",
                parent=f"seek#{number}",
                inputs=[f"seek#{number}/seek.turn#{turn}"],
            )
    return story


def test_what_fits_is_shown_step_by_step(story: Story) -> None:
    """Up to sixty steps are sixty nodes, with the edges that they have."""
    folding = folded(fan(story, MOST - 1))
    assert len(folding.nodes) == MOST
    assert ends(folding) == {(f"search#{number + 1}", "write#1") for number in range(MOST - 1)}


def test_what_does_not_fit_is_folded_by_name(story: Story) -> None:
    """Many steps of one name are one node with their states, and their edges are counted."""
    fan(story, 1204)
    for number in range(1, 1181):
        story.start(f"search#{number}").end(f"search#{number}")
    for number in range(1181, 1201):
        story.start(f"search#{number}")
    for number in range(1201, 1205):
        story.start(f"search#{number}").end(f"search#{number}", status="failed")
    folding = folded(story)
    group = folding.nodes["\tsearch"]
    assert (group.total, group.status, group.step) == (1204, "running", None)
    assert group.counts == {"done": 1180, "running": 20, "failed": 4}
    assert folding.edges == {("\tsearch", "write#1"): FoldEdge(1204, 0)}


def test_joins_are_looked_through(story: Story) -> None:
    """A join is no node; who takes what it gathers comes after what it gathers, also when that is folded."""
    story.add("a#1").add("b#1").add("join#1", kind="join", inputs=["a#1", "b#1"])
    story.add("join#2", kind="join", inputs=["join#1"]).add("c#1", inputs=["join#2"])
    folding = folded(story)
    assert ends(folding) == {("a#1", "c#1"), ("b#1", "c#1")}
    for number in range(300):
        story.add(f"d#{number}")
    story.add("join#3", kind="join", inputs=[f"d#{number}" for number in range(300)]).add("e#1", inputs=["join#3"])
    folding.update()
    assert folding.edges["\td", "e#1"] == FoldEdge(300, 0)


def test_agents_are_folded_before_their_names_are(story: Story) -> None:
    """Where the outermost steps fit they are shown, and say how far what they hold is."""
    agents(story, 30, 4).start("seek#1/seek.turn#1").end("seek#1/seek.turn#1")
    folding = folded(story)
    assert list(folding.nodes) == [f"seek#{number + 1}" for number in range(30)]
    assert folding.nodes["seek#1"].within == {"pending": 7, "done": 1}


def test_rounds_are_marked_not_drawn(story: Story) -> None:
    """A folded name that comes after itself says so; two that come after each other have edges both ways."""
    for number in range(1, 80):
        story.add(f"turn#{number}", inputs=[f"turn#{number - 1}"] if number > 1 else [])
    folding = folded(story)
    assert (folding.nodes["\tturn"].rounds, ends(folding)) == (True, set())
    folding = folded(agents(Story(), 70, 3))
    turn, look = "\tseek\tseek.turn", "\tseek\tlook"
    assert {(turn, look), (look, turn)} <= ends(folding)
    assert not folding.nodes["\tseek"].rounds


def test_edges_are_between_what_stands_side_by_side(story: Story) -> None:
    """An edge out of what a step holds is one of the step itself; one to the step that holds it is none."""
    story.add("a#1", kind="agent").add("a#1/turn#1", parent="a#1").add("b#1", inputs=["a#1/turn#1"])
    story.add("a#1/turn#2", parent="a#1", inputs=["a#1"])
    assert ends(folded(story)) == {("a#1", "b#1")}


def test_zoom_goes_to_more_and_fewer_nodes(story: Story) -> None:
    """Each press shows more, or less, until there is nothing more or less to show; then as much as fits."""
    folding = folded(agents(story, 6, 3))
    sizes = [len(folding.nodes)]
    while folding.zoom(-1):
        sizes.append(len(folding.nodes))
    assert sizes == [42, 6, 3, 1]
    assert not folding.auto
    while folding.zoom(1):
        sizes.append(len(folding.nodes))
    assert sizes == [42, 6, 3, 1, 3, 42]
    folding.zoom(-1)
    folding.fit()
    assert (len(folding.nodes), folding.auto) == (42, True)


def test_a_group_is_opened_folded_again_and_paged_through(story: Story) -> None:
    """An opened group shows so many of its steps at a time; the others are one node before and one after."""
    folding = folded(fan(story, 200))
    assert folding.toggle("\tsearch")
    assert len(folding.nodes) == WINDOW + 2
    assert folding.nodes["\tsearch\tafter"].total == 200 - WINDOW
    assert folding.toggle("\tsearch\tafter")
    assert "search#61" in folding.nodes
    assert folding.nodes["\tsearch\tbefore"].total == WINDOW
    assert folding.edges["\tsearch\tbefore", "write#1"] == FoldEdge(WINDOW, 0)
    assert folding.fold("search#61") == "\tsearch"
    assert list(folding.nodes) == ["\tsearch", "write#1"]


def test_what_is_looked_for_comes_into_the_window(story: Story) -> None:
    """A step beyond the window is shown once it is asked for."""
    folding = folded(fan(story, 200))
    assert not folding.reveal(StepId("search#150"))
    folding.toggle("\tsearch")
    assert folding.reveal(StepId("search#150"))
    assert "search#150" in folding.nodes


def test_a_step_that_holds_others_is_closed_and_opened(story: Story) -> None:
    """A closed step shows none of what it holds; who holds nothing cannot be opened."""
    folding = folded(agents(story, 2, 2))
    assert folding.toggle("seek#1")
    assert (folding.nodes["seek#1"].closed, "seek#1/look#1" in folding.nodes) == (True, False)
    assert folding.node_of(StepId("seek#1/look#1")) is folding.nodes["seek#1"]
    assert folding.toggle("seek#1")
    assert "seek#1/look#1" in folding.nodes
    assert not folding.toggle("seek#1/look#1")
    assert folding.fold("seek#2/look#1") == "seek#2\tlook"
    assert not folding.toggle("nobody")


def test_a_run_of_very_many_names_has_one_node_for_the_last_of_them(story: Story) -> None:
    """However a program names its steps, there is a picture of them."""
    for number in range(500):
        story.add(f"name{number}#1")
    folding = folded(story)
    assert len(folding.nodes) == MOST
    rest = list(folding.nodes.values())[-1]
    assert (rest.part, rest.total) == ("rest", 500 - MOST + 1)


def test_an_edit_moves_edges(story: Story) -> None:
    """Steps that take other inputs than before have other edges."""
    story.add("a#1").add("b#1").add("c#1", inputs=["a#1"])
    folding = folded(story)
    version = folding.version
    story.view.apply(GraphEdited(RUN, 1.0, 1, (GraphChange("rewire", StepId("c#1"), (StepId("b#1"),)),)))
    folding.update()
    assert ends(folding) == {("b#1", "c#1")}
    assert folding.version != version


def test_a_resumed_run_is_counted_anew(story: Story) -> None:
    """What counts as not finished any more is no longer counted as failed."""
    fan(story, 100)
    story.start("search#1").end("search#1", status="failed")
    folding = folded(story)
    assert folding.nodes["\tsearch"].counts["failed"] == 1
    story.view.apply(RunResumed(RUN, 2.0, 0.0, (StepId("search#1"),)))
    folding.update()
    assert folding.nodes["\tsearch"].counts == {"pending": 100}


def test_states_alone_change_no_structure(story: Story) -> None:
    """While steps only start and end, nothing has to be laid out anew."""
    fan(story, 20)
    folding = folded(story)
    version = folding.version
    for number in range(1, 21):
        story.start(f"search#{number}").end(f"search#{number}")
        folding.update()
    assert folding.version == version
    assert folding.nodes["search#1"].status == "done"


@pytest.mark.parametrize("seed", range(25))
def test_a_run_that_was_followed_is_folded_as_one_that_is_opened(seed: int) -> None:
    """What is kept up to date from changes alone is what goes over all steps, whatever the run and the folding."""
    chance = random.Random(seed)
    story = Story()
    folding = Folding(story.view)
    steps: list[str] = []
    for number in range(chance.choice((30, 90, 400))):
        grow(story, steps, number, chance)
        if chance.random() < 0.2:
            folding.update()
        if chance.random() < 0.02 and folding.nodes:
            chance.choice((lambda: folding.zoom(-1), lambda: folding.zoom(1), folding.fit))()
        if chance.random() < 0.02 and folding.nodes:
            folding.toggle(chance.choice(list(folding.nodes)))
    folding.update()
    followed = picture(folding)
    folding._make()  # the same choices, over all steps
    assert followed == picture(folding)
    assert len(folding.nodes) <= LIMIT + WINDOW


def grow(story: Story, steps: list[str], number: int, chance: random.Random) -> None:
    """Add a step somewhere, and let some steps start or end."""
    holders = [one for one in steps if one.rpartition("/")[2].startswith("hold")]
    parent = chance.choice(holders) if holders and chance.random() < 0.6 else None
    kind = chance.choice(("hold", "turn", "look", "join"))
    name = f"{f'{parent}/' if parent else ''}{kind}#{number}"
    inputs = tuple(StepId(one) for one in chance.sample(steps, min(len(steps), chance.randint(0, 3))))
    after = tuple(StepId(one) for one in chance.sample(steps, min(len(steps), chance.randint(0, 1))))
    above = StepId(parent) if parent else None
    step_kind = "join" if kind == "join" else "agent" if kind == "hold" else "tool"
    story.view.apply(StepAdded(RUN, 0.0, StepId(name), kind, step_kind, above, inputs, after))  # type: ignore[arg-type]
    steps.append(name)
    for one in chance.sample(steps, min(3, len(steps))):
        status = story.view.steps[StepId(one)].status
        if status == "pending":
            story.start(one, at=float(number))
        elif status == "running":
            story.end(one, at=float(number), status=chance.choice(("done", "failed")))


def picture(folding: Folding) -> object:
    """All that is drawn of a folding."""
    nodes = {
        name: (
            node.holder,
            node.rounds,
            node.started,
            node.ended,
            {status: count for status, count in node.counts.items() if count},
            {status: count for status, count in node.within.items() if count},
        )
        for name, node in folding.nodes.items()
    }
    return nodes, folding.edges
