"""Which tracks use an Ollama server."""

from typing import Any

from singletrack.wire.link import RedisLink
from singletrack_tasks.keys import ollama_tracks


def other_tracks(link: RedisLink, server: str) -> tuple[str, ...]:
    """Return the other tracks with a GPU whose workers use this server, named as `ollama_address.server_name` does.

    Raises the errors of `RedisLink.reaching`.
    """
    with link.reaching() as client:
        found: Any = client.zrange(ollama_tracks(server), 0, -1)
    return tuple(sorted({track.decode() for track in found} - {link.keys.track}))
