"""A text with a line for finding something in it."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from agentrt.ui.watch.panes.text import FindAsked, MatchShown, TextPane


class TextView(Vertical):
    """``pane`` shows the text; the line below it is there while something is looked for."""

    DEFAULT_CSS = """
    TextView { height: 1fr; }
    TextView #finding { display: none; height: 1; background: $surface; }
    TextView #finding.open { display: block; }
    TextView #slash { width: 2; }
    TextView #find { width: 1fr; }
    TextView #found { width: auto; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """The text, and the line."""
        yield TextPane()
        with Horizontal(id="finding"):
            yield Static("/", id="slash", markup=False)
            yield Input(placeholder="find in this part", id="find", compact=True)
            yield Static(id="found", markup=False)

    @property
    def pane(self) -> TextPane:
        """What shows the text."""
        return self.query_one(TextPane)

    @property
    def finding(self) -> bool:
        """Whether something is looked for."""
        return self.query_one("#finding").has_class("open")

    @on(MatchShown)
    def count(self) -> None:
        """Say which match is shown, of how many."""
        found = self.pane.finding
        place = f"{found.current + 1} of {len(found.matches):,}" if found.matches else "not found"
        self.query_one("#found", Static).update(Text(place if found.wanted else "", no_wrap=True))

    def stop(self) -> None:
        """Look for nothing any more."""
        self.query_one("#find", Input).value = ""
        self.query_one("#finding").remove_class("open")
        self.pane.search("")
        self.pane.focus()

    @on(FindAsked)
    def ask(self) -> None:
        """Ask for what to find."""
        self.query_one("#finding").add_class("open")
        self.query_one("#find", Input).focus()

    @on(Input.Changed, "#find")
    def search(self, event: Input.Changed) -> None:
        """Find it while it is being written."""
        self.pane.search(event.value)
        self.count()

    @on(Input.Submitted, "#find")
    def found(self) -> None:
        """Back to the text, where n and N go to the matches."""
        if self.pane.finding.wanted:
            self.pane.focus()
        else:
            self.stop()
