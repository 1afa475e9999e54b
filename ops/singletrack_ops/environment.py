"""The environment of worker, beat and Flower, and what other shells need of it as clients."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from singletrack_ops.embedded.tiny_clip import LOCAL_DIR

_REDIS_URL = "SINGLETRACK_REDIS_URL"
_TRACK = "SINGLETRACK_TRACK"
_TLS = ("SINGLETRACK_REDIS_CA_FILE", "SINGLETRACK_REDIS_CERT_FILE", "SINGLETRACK_REDIS_KEY_FILE")
_OLLAMA_URL = "SINGLETRACK_OLLAMA_URL"
_VLM_MODEL = "SINGLETRACK_VLM_MODEL"
_CLIP_WEIGHTS = "SINGLETRACK_CLIP_WEIGHTS"
_GPU = "SINGLETRACK_GPU"
_GPU_INDEX = "SINGLETRACK_GPU_INDEX"
# What `singletrack doctor` looks at, besides what a client needs.
_FOR_THE_DOCTOR = (_OLLAMA_URL, _VLM_MODEL, _CLIP_WEIGHTS, _GPU, _GPU_INDEX)
# Nothing listens on the discard port: without this, a worker that is to have no Ollama would find the user's own.
_NO_OLLAMA = "http://127.0.0.1:9"


class Environment:
    """The caller's environment with what the stack decides; `variables` is all of it."""

    def __init__(self, environ: Mapping[str, str], extra: Mapping[str, str]) -> None:
        self.caller_redis_url = environ.get(_REDIS_URL, "").strip()
        """The Redis that the caller named, '' if none."""
        # The user's settings for Celery are meant for another app: CELERY_BROKER_URL would override ours.
        self.variables = {name: value for name, value in environ.items() if not name.startswith("CELERY_")}
        self.variables.update(extra)

    @property
    def track(self) -> str | None:
        """The track, None for the default one."""
        return self.variables.get(_TRACK)

    @property
    def clip_weights(self) -> str:
        """The weights that are set for CLIP, '' if none."""
        return self.variables.get(_CLIP_WEIGHTS, "").strip()

    def use_redis(self, url: str) -> None:
        """Set the Redis server."""
        self.variables[_REDIS_URL] = url

    def use_ollama(self, url: str, model: str | None) -> None:
        """Set the Ollama server, and the model unless it is None."""
        self.variables[_OLLAMA_URL] = url
        if model is not None:
            self.variables[_VLM_MODEL] = model

    def use_no_ollama(self) -> None:
        """Keep the worker from finding an Ollama."""
        self.variables[_OLLAMA_URL] = _NO_OLLAMA

    def use_simulated_gpu(self) -> None:
        """Let the worker simulate its GPU."""
        self.variables[_GPU] = "simulated"

    def use_clip_weights(self, weights: str) -> None:
        """Set CLIP's weights, a folder by its absolute path: the worker runs in another folder."""
        if weights.startswith(LOCAL_DIR):
            folder = Path(weights.removeprefix(LOCAL_DIR).strip()).expanduser()
            weights = f"{LOCAL_DIR}{folder.absolute()}"
        self.variables[_CLIP_WEIGHTS] = weights

    def for_clients(self) -> dict[str, str]:
        """The variables that a client needs."""
        return {name: self.variables[name] for name in (_REDIS_URL, *_TLS, _TRACK) if self.variables.get(name)}

    def exports(self) -> str:
        """Shell commands that set what a client and `singletrack doctor` need."""
        shown = self.for_clients() | {n: self.variables[n] for n in _FOR_THE_DOCTOR if self.variables.get(n)}
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in shown.items())
