"""Every error agentrt raises, in one tree.

AgentrtError
├── UsageError            the caller's mistake: fix the call, the program or the setting
│   ├── ProgramError      the program is missing, does not import, or is called the wrong way
│   ├── GraphError        the step graph is impossible: cycle, unknown tool, duplicate name
│   │   └── EditRefused   an edit of a running graph cannot be applied; nothing of it was
│   └── ConfigError       an option or setting has a value that cannot be used
├── StepError             one step could not give its result
│   ├── StepTimeout       it ran longer than it was allowed to
│   ├── UpstreamFailed    something it depends on failed, so it never started
│   ├── StepSkipped       it was not wanted: a condition did not hold, or an edit took it out of the graph
│   ├── ToolError         the model asked for a tool that is not there, or with arguments that do not fit
│   ├── OutputError       the model's reply does not fit the output type, after all retries
│   ├── AnswerError       the answers that a person gave do not fit the question
│   ├── PromptTooLong     the prompt does not fit the model's context
│   └── TurnLimit         an agent called tools for more turns than it may
├── ExecutorError         the world's failure while a step ran elsewhere
│   ├── Unreachable       the server cannot be reached, or the connection broke
│   ├── Refused           the server answered with an error of its own
│   └── SandboxError      nothing here can contain a command, or its sandbox could not be made
├── EngineError           the embedded engine
│   ├── SetupError        installing it or its model failed
│   ├── StartError        it did not come up, or ended by itself
│   └── NotRunning        there is none to talk to
├── JournalError          what is kept of runs cannot be read or written
│   ├── NoSuchRun         it holds no run of that name
│   ├── NoSuchAnswer      it keeps no answer of that number, or not any more
│   ├── RunTaken          another process runs it, or has taken it over
│   ├── ReplayDiffers     the program does not do again what it did before
│   └── InDoubt           a step that must not run twice may have had its effects
└── RunError              a whole run ended without a result
    ├── RunFailed         a step or the program failed
    ├── RunCancelled      somebody cancelled it
    └── RunWaiting        it was put aside until a person answers

A message names the value, what was expected, and the way out. Foreign errors are translated once, where they
enter, and kept as ``__cause__``.
"""

from __future__ import annotations

from collections.abc import Sequence


class AgentrtError(Exception):
    """The root: catch this to catch everything agentrt raises on purpose."""


class UsageError(AgentrtError):
    """The caller's mistake: the same call fails again until something is changed."""


class ProgramError(UsageError):
    """The program is missing, does not import, or is called the wrong way."""


class GraphError(UsageError):
    """The step graph is impossible: a cycle, an unknown tool, a duplicate name."""


class EditRefused(GraphError):
    """An edit of a running graph cannot be applied, and nothing of it was. ``reasons`` are all there are."""

    def __init__(self, message: str, *, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)


class ConfigError(UsageError):
    """An option or a setting has a value that cannot be used."""


class StepError(AgentrtError):
    """One step could not give its result."""


class StepTimeout(StepError):
    """A step ran longer than it was allowed to."""


class UpstreamFailed(StepError):
    """A step never started, because something it depends on failed; the cause is chained."""


class StepSkipped(StepError):
    """A step was not wanted, which is no failure: a condition did not hold, or an edit took it out of the graph."""


class ToolError(StepError):
    """The model asked for a tool that is not there, or with arguments that do not fit its schema."""


class OutputError(StepError):
    """The model's reply does not fit the output type, after all retries.

    ``reply`` is the text the model gave last.
    """

    def __init__(self, message: str, *, reply: str) -> None:
        super().__init__(message)
        self.reply = reply


class AnswerError(StepError):
    """What was answered to a question does not fit it, and nobody else is there to ask."""


class PromptTooLong(StepError):
    """The prompt does not fit the model's context."""


class TurnLimit(StepError):
    """An agent called tools for more turns than it may."""


class ExecutorError(AgentrtError):
    """The world's failure while a step ran elsewhere; trying again may help."""


class Unreachable(ExecutorError):
    """The server cannot be reached, or the connection broke before the answer was complete."""


class Refused(ExecutorError):
    """The server answered, with an error of its own. ``status`` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class SandboxError(ExecutorError):
    """Nothing on this machine can contain a command, or the sandbox for it could not be made."""


class EngineError(AgentrtError):
    """The embedded engine."""


class SetupError(EngineError):
    """Installing the engine or its model failed; running the same command again goes on where it stopped."""


class StartError(EngineError):
    """The engine did not come up, or ended by itself. ``log_tail`` holds the end of its log."""

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail


class NotRunning(EngineError):
    """There is no engine to talk to."""


class JournalError(AgentrtError):
    """What is kept of runs cannot be read or written; what was acknowledged before is there."""


class NoSuchRun(JournalError):
    """The journal holds no run of that name."""


class NoSuchAnswer(JournalError):
    """The journal keeps no answer of that number, or not any more."""


class RunTaken(JournalError):
    """Another process runs it, or has taken it over."""


class ReplayDiffers(JournalError):
    """The program does not do again what it did before; nothing was changed by finding out."""


class InDoubt(JournalError):
    """A step that must not run twice was broken off, and nobody asked for it to run again."""


class RunError(AgentrtError):
    """A whole run ended without a result."""


class RunFailed(RunError):
    """A step or the program itself failed; the first failure is chained."""


class RunCancelled(RunError):
    """Somebody cancelled the run."""


class RunWaiting(RunError):
    """Nothing was left of the run but questions to people; it was put aside, and goes on when it is resumed."""
