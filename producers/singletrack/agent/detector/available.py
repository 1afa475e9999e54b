"""Which models a track can be asked for now, as its status tells without waiting for the GPU."""

from dataclasses import dataclass

from singletrack.client import Client
from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.status import GPUResourceStatus, ModelState


@dataclass(frozen=True, slots=True)
class Available:
    """For each model why it cannot be asked, None if it can."""

    no_clip: str | None
    no_vlm: str | None


def available(client: Client | None) -> Available:
    """Look at a track; raises nothing."""
    if client is None:
        return Available("no client was given", "no client was given")
    try:
        status = client.status()
    except SingletrackError as error:
        why = f"{type(error).__name__}: {error.message}"
        return Available(why, why)
    return Available(_no_clip(status), _no_vlm(status))


def _no_clip(status: GPUResourceStatus) -> str | None:
    model = status.clip.model
    if model is None:
        return _reasons(status, "clip") or "the worker has no CLIP"
    return None if model.trained else f"{model.name} is untrained: its embeddings mean nothing"


def _no_vlm(status: GPUResourceStatus) -> str | None:
    if status.vlm.state in (ModelState.UNAVAILABLE, ModelState.FAILED):
        return _reasons(status, "vlm", "ollama") or f"{status.vlm.model} is {status.vlm.state}"
    return None


def _reasons(status: GPUResourceStatus, *beginnings: str) -> str:
    return " ".join(it.message for it in status.reasons if it.code.startswith(beginnings))
