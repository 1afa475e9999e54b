"""The options before the command, and those that commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from singletrack.client import Client

TimeoutOption = Annotated[float, typer.Option("--timeout-s", help="Give up after this many seconds.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]


@dataclass(frozen=True)
class TrackTarget:
    """A track and its Redis server; None means the environment's."""

    redis_url: str | None
    track: str | None

    def client(self) -> "Client":
        """Make a client; imported here so that `--help` is quick."""
        from singletrack.client import Client

        return Client(self.redis_url, self.track)


def client_of(context: typer.Context) -> "Client":
    """Make the client that the options before the command name."""
    target: TrackTarget = context.obj
    return target.client()
