"""What can go wrong while the stack is brought up, each error saying what to do."""

from singletrack_tasks.errors import PermanentError


class OpsError(PermanentError):
    """A part of the stack could not be brought up, used or ended."""


class RedisNotInstalled(OpsError):
    """No Redis server can be started here."""


class OllamaUnavailable(OpsError):
    """No Ollama server answers here and none can be started."""


class SandboxUnavailable(OllamaUnavailable):
    """The Ollama sandbox cannot be built or run on this machine."""


class PartEnded(OpsError):
    """A part of the stack that ended by itself while it was needed."""


class AlreadyServed(OpsError):
    """A worker that serves the track already: a second one would only wait for the first to end."""
