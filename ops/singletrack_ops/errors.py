"""What can go wrong with the stack; each error says what to do."""

from singletrack_tasks.errors import PermanentError


class OpsError(PermanentError):
    """A part of the stack could not be started, used or ended."""


class RedisNotInstalled(OpsError):
    """No Redis server can be started here."""


class OllamaUnavailable(OpsError):
    """No Ollama server answers, and none can be started here."""


class SandboxUnavailable(OllamaUnavailable):
    """The Ollama sandbox cannot be built or run on this machine."""


class PartEnded(OpsError):
    """A part of the stack ended by itself while it was needed."""


class AlreadyServed(OpsError):
    """A worker serves the track already: a second one would only wait for it to end."""
