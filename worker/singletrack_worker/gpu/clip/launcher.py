"""Launches encoder processes with what they may see, and ends them all for good."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence

from singletrack_tasks.errors import EncoderFailure
from singletrack_tasks.status import GpuInfo
from singletrack_worker.gpu.clip.encoder import Encoder, EncoderSettings
from singletrack_worker.gpu.cuda_visibility import VISIBLE, seeing

# What the CPU's encoder has loaded once lies in the cache: no later load waits for a network or gets other weights.
_CACHED = {"HF_HUB_OFFLINE": "1"}


class EncoderLauncher:
    """Launches the encoders of one worker until it is stopped; safe from any thread.

    `command` makes the command line of each new encoder process.
    """

    def __init__(self, settings: EncoderSettings, command: Callable[[], Sequence[str]]) -> None:
        self._settings = settings
        self._command = command
        # Held to launch an encoder: `stop` either sees it or keeps it from being launched.
        self._launching = threading.Lock()
        self._launched: set[Encoder] = set()
        self._stopped = False

    def launch_for_cpu(self, *, cached: bool) -> Encoder:
        """Launch an encoder that sees no GPU, so that it takes no memory there; `cached` weights need no network.

        Raises `EncoderFailure`, after a `stop` too.
        """
        return self._launch({VISIBLE: "", **(_CACHED if cached else {})})

    def launch_for_gpu(self, gpu: GpuInfo) -> Encoder:
        """Launch an encoder that sees this GPU alone, as `cuda:0`; raises as `launch_for_cpu` does."""
        return self._launch({**seeing(gpu), **_CACHED})

    def running_pids(self) -> set[int]:
        """Return the process ids of the encoders that run."""
        return {encoder.pid for encoder in self._launched if encoder.alive}

    def stop(self) -> None:
        """End all encoders, breaking off what they do, and launch none any more; harmless when repeated."""
        with self._launching:
            self._stopped = True
            encoders = list(self._launched)
        for encoder in encoders:
            encoder.end()

    def _launch(self, environment: Mapping[str, str]) -> Encoder:
        # What the worker itself inherited decided which GPU is its own; this one or none is the encoder's.
        environment = {**os.environ, **environment}
        with self._launching:
            if self._stopped:
                raise EncoderFailure("CLIP has been stopped: restart the worker to have it again", {"kind": "ended"})
            encoder = Encoder(self._settings, self._command(), environment)
            self._launched = {earlier for earlier in self._launched if earlier.alive} | {encoder}
        return encoder
