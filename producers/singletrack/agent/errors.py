"""What can be wrong on the agent's side: each error says what to do, and is raised before anything is clicked."""

from singletrack_tasks.errors import PermanentError


class AgentError(PermanentError):
    """Base of the errors of the agent's side."""


class MissingExtra(AgentError, ImportError):
    """A package of an extra that is not installed."""


class InvalidScreenshot(AgentError, ValueError):
    """A picture that no target can be looked for on: none, empty, black, or of another resolution."""


class ScreenLocked(AgentError):
    """A screen that shows a lock, or that cannot be grabbed."""


class NoDesktop(AgentError):
    """No screen, mouse and keyboard to work with, or no permission to use them."""


class InputRefused(AgentError):
    """A click or a key that could not be sure to arrive where it should, and was not sent."""


class InvalidAnchor(AgentError, ValueError):
    """An anchor's file that is missing, damaged, or of another version."""


class InvalidTarget(AgentError, ValueError):
    """A target that says nothing to look for."""


class InvalidWorkflow(AgentError, ValueError):
    """A workflow that cannot be run as written."""


class InvalidDesktop(AgentError, ValueError):
    """A scripted desktop's script, or its pictures, that cannot be played."""


class ReportNotWritten(AgentError):
    """A report that could not be written to its folder."""


class InvalidState(AgentError, ValueError):
    """A screen's state that cannot be made, kept, or compared with another one."""


class InvalidMemory(AgentError, ValueError):
    """A memory of answers with settings or a question that make no sense."""
