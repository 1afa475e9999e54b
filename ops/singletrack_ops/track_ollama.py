"""The environment in which a track's Ollama is looked for and started: on the track's GPU, and its own."""

import os
import platform
import shutil
from collections.abc import Callable, Mapping

from singletrack.reading.neighbours import other_tracks
from singletrack.wire.link import RedisLink
from singletrack.wire.settings import load_settings
from singletrack_ops.embedded.ollama_server import find_ollama
from singletrack_ops.errors import OllamaUnavailable
from singletrack_ops.local.loopback import LOOPBACK, free_port
from singletrack_tasks.ollama_address import server_name
from singletrack_worker.gpu.cuda_visibility import seeing
from singletrack_worker.gpu.vram.cards import INDEX
from singletrack_worker.gpu.vram.vram_monitor import VRAMMonitor

_GPU = "SINGLETRACK_GPU"


def for_track(
    environ: Mapping[str, str], redis_url: str, track: str | None, say: Callable[[str], None]
) -> dict[str, str]:
    """Return the environment for the Ollama of a track whose worker has this one.

    A server that is started in it sees the track's GPU alone. One that runs at the default address and is another
    track's is passed by, if one can be started. Raises `InvalidConfiguration` for a GPU that is not there, and the
    errors of `RedisLink.reaching`.
    """
    if environ.get(_GPU, "").strip() not in ("", "auto"):
        return dict(environ)
    monitor = VRAMMonitor(environ.get(INDEX, "").strip() or None, environ)
    monitor.close()
    if monitor.gpu is None:
        return dict(environ)
    own = {**environ, **seeing(monitor.gpu)}
    others = _sharing(environ, redis_url, track)
    if not others:
        return own
    named = ", ".join(others)
    if shutil.which("ollama", path=environ.get("PATH", os.defpath)) is None:
        say(f"the Ollama that runs serves {named} as well, and there is no `ollama` to start another one with")
        return own
    say(f"the Ollama that runs is that of {named}: this track gets its own")
    return {**own, "OLLAMA_HOST": f"{LOOPBACK}:{free_port()}"}


def _sharing(environ: Mapping[str, str], redis_url: str, track: str | None) -> tuple[str, ...]:
    """Return the other tracks of the server that would be taken because it runs, and not because it is named."""
    try:
        endpoint = find_ollama(environ, allow_sandbox=True)
    except OllamaUnavailable:
        return ()
    if endpoint.source != "running" or endpoint.url is None:
        return ()
    link = RedisLink(load_settings(redis_url, track))
    try:
        return other_tracks(link, server_name(endpoint.url, platform.node()))
    finally:
        link.close()
