"""A stack for tests that read like a user's own program: no beat, no Flower, a simulated GPU, a tiny CLIP and VLM."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from singletrack_ops.stack import Stack


@contextmanager
def small_stack(folder: Path, tiny_clip: Path, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Start one, whatever the environment says; skips, with the reason, where no Ollama can be had."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SINGLETRACK_")}
    with Stack.start(
        folder,
        environ=clean | {"SINGLETRACK_CLIP_WEIGHTS": f"local-dir:{tiny_clip}"},
        gpu="simulated",
        own_ollama=False,
        allow_sandbox=True,
        with_beat=False,
        with_flower=False,
        extra_env=settings,
    ) as running:
        if running.ollama is None:
            pytest.skip(running.ollama_problem)
        yield running
