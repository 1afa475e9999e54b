"""The models of the stand-in: which are loaded, for how long, and what happens to them."""

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from singletrack_ops.errors import OpsError
from singletrack_ops.stand_in.held import HeldMemory, Short
from singletrack_ops.stand_in.holder import OUT_OF_MEMORY
from singletrack_ops.stand_in.memory import MemorySource

RUNNER_NAME = "llama-server"
_MIB = 1024 * 1024
_KEEP_ALIVE_S = 300.0
_EXPIRY_POLL_S = 0.2
_EXPIRES_AT = "2100-01-01T00:00:00Z"


@dataclass
class Behaviour:
    """What the server does, and what it is told to do otherwise.

    A model leaves the list `off_list_s` after the answer to its unload, as with Ollama, and its process ends
    `free_after_s` after that. A load takes `load_s` beside the allocation. `short` is what a load does without room:
    as Ollama, it puts a part on the GPU. `failing_loads` loads fail with `failure`. The first question makes a model
    take `growth_mb` (MiB) more. An answer without a schema has `words`, each piece of an answer takes `piece_s`.
    """

    off_list_s: float = 0.003
    free_after_s: float = 0.0
    load_s: float = 0.0
    short: Short = "partial"
    failing_loads: int = 0
    failure: str = OUT_OF_MEMORY
    growth_mb: int = 0
    words: int = 8
    piece_s: float = 0.005


class LoadRefused(OpsError):
    """A model that could not be loaded."""


class LoadedModel:
    """A model in its process."""

    def __init__(self, memory: HeldMemory) -> None:
        self.memory = memory
        self.until_s = 0.0
        self.questions = 0
        self.has_grown = False

    @property
    def is_over(self) -> bool:
        """Whether nobody wants it any more, and it answers nobody."""
        return self.questions == 0 and time.monotonic() >= self.until_s


class Models:
    """The models by name, with their sizes (MiB); thread-safe. `behaviour` may be changed at any time."""

    def __init__(self, sizes_mb: Mapping[str, int], source: MemorySource) -> None:
        self.behaviour = Behaviour()
        self._sizes_mb = {_full(name): size_mb for name, size_mb in sizes_mb.items()}
        self._source = source
        self._lock = threading.RLock()
        self._loaded: dict[str, LoadedModel] = {}
        self._stopped = threading.Event()
        threading.Thread(target=self._expire, name="stand-in-expiry", daemon=True).start()

    @property
    def pids(self) -> dict[str, int]:
        """The processes of the loaded models, by name."""
        with self._lock:
            return {name: model.memory.pid for name, model in self._loaded.items()}

    def known(self, name: str) -> str | None:
        """Return the full name of a model, None if there is no such model."""
        return _full(name) if _full(name) in self._sizes_mb else None

    def tags(self) -> list[dict[str, Any]]:
        """List all models, in Ollama's words."""
        return [_entry(name) | {"size": size_mb * _MIB} for name, size_mb in self._sizes_mb.items()]

    def listed(self) -> list[dict[str, Any]]:
        """List the loaded models, in Ollama's words."""
        with self._lock:
            return [
                _entry(name)
                | {
                    "size": model.memory.wanted_mb * _MIB,
                    "size_vram": model.memory.had_mb * _MIB,
                    "expires_at": _EXPIRES_AT,
                }
                for name, model in self._loaded.items()
            ]

    def load(self, name: str, keep_alive_s: float | None) -> LoadedModel:
        """Load a model unless it is; raises `LoadRefused`."""
        with self._lock:
            model = self._loaded.get(name)
            if model is not None and not model.memory.alive:
                self._loaded.pop(name).memory.end()
                model = None
            if model is None:
                model = self._loaded[name] = self._load(name)
            model.until_s = time.monotonic() + (_KEEP_ALIVE_S if keep_alive_s is None else keep_alive_s)
            return model

    @contextmanager
    def answering(self, name: str, keep_alive_s: float | None) -> Iterator[LoadedModel]:
        """Have a model for a question: it is not unloaded meanwhile; raises `LoadRefused`."""
        with self._lock:
            model = self.load(name, keep_alive_s)
            model.questions += 1
            if not model.has_grown and self.behaviour.growth_mb:
                model.has_grown = True
                model.memory.grow(self.behaviour.growth_mb)
        try:
            yield model
        finally:
            with self._lock:
                model.questions -= 1

    def send_away(self, name: str) -> None:
        """Unload a model soon after this returns, or once it has answered."""
        with self._lock:
            model = self._loaded.get(name)
            if model is None:
                return
            model.until_s = time.monotonic()
        if model.questions == 0:
            threading.Thread(target=self._end_soon, args=(name, model), daemon=True).start()

    def stop(self) -> None:
        """End all processes."""
        self._stopped.set()
        with self._lock:
            for model in self._loaded.values():
                model.memory.end()
            self._loaded.clear()

    def _load(self, name: str) -> LoadedModel:
        time.sleep(self.behaviour.load_s)
        if self.behaviour.failing_loads > 0:
            self.behaviour.failing_loads -= 1
            raise LoadRefused(self.behaviour.failure)
        try:
            return LoadedModel(HeldMemory(self._source, RUNNER_NAME, self._sizes_mb[name], short=self.behaviour.short))
        except OpsError as error:
            raise LoadRefused(error.message) from error

    def _end_soon(self, name: str, model: LoadedModel) -> None:
        time.sleep(self.behaviour.off_list_s)
        self._end(name, model)

    def _end(self, name: str, model: LoadedModel) -> None:
        late_s = self.behaviour.free_after_s
        with self._lock:
            if self._loaded.get(name) is not model or not model.is_over:
                return
            if not late_s:
                model.memory.end()  # as Ollama does: first ended, then off the list
            del self._loaded[name]
        if late_s:
            self._stopped.wait(late_s)
            model.memory.end()

    def _expire(self) -> None:
        while not self._stopped.wait(_EXPIRY_POLL_S):
            with self._lock:
                over = [(name, model) for name, model in self._loaded.items() if model.is_over]
            for name, model in over:
                self._end(name, model)


def _full(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _entry(name: str) -> dict[str, Any]:
    return {"name": name, "model": name, "digest": hashlib.sha256(name.encode()).hexdigest()}
