"""What is put to the test: the product, or the stock app beside it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import start_beat
from singletrack_tasks.keys import Keys
from tests.faults import places, stock
from tests.integration.worker_tools import clean_environ, worker_environ

TRACK = "faults"
IDLE_TIMEOUT_S = 2.0
TICK_S = 1.0
GRACE_S = 8.0


@dataclass(frozen=True)
class Subject:
    """How a worker is started, and where its messages are."""

    name: str
    app: str
    queue: str
    results: str
    good_task: str
    good_arguments: dict[str, Any]

    @property
    def ours(self) -> bool:
        """Whether it is the product."""
        return self.name == "ours"

    def environ(self, url: str, worker_url: str, ollama: EmbeddedOllama | None, folder: Path) -> dict[str, str]:
        """The environment of its clients and, with another address of Redis, of its workers."""
        if not self.ours:
            return {**clean_environ(), stock.URL: worker_url}
        return worker_environ(
            worker_url,
            TRACK,
            ollama,
            gpu="simulated",
            simulated_total_mb=8192,
            simulated_vlm_mb=7000,
            simulated_clip_mb=1100,
            clip_weights="ViT-B-32/laion2b_s34b_b79k",
            idle_timeout_s=IDLE_TIMEOUT_S,
            tick_interval_s=TICK_S,
            retry_pause_s=0.05,
            grace_s=GRACE_S,
            lock_dir=folder / "locks-a",
            flight_dir=folder / "flights",
        )

    def start_worker(self, folder: Path, environ: Mapping[str, str], log: str) -> Child:
        """Start a worker, and wait for nothing."""
        command = [sys.executable, "-m", "celery", "-A", self.app, "worker", "--loglevel=INFO"]
        if not self.ours:
            command += ["--pool=threads", "--concurrency=1"]
        return Child.start("worker", command, env=environ, cwd=folder, log_path=folder / f"{log}.log")

    def start_beat(self, folder: Path, environ: Mapping[str, str], off_s: float = 0) -> Child:
        """Start what sends the checks, on a machine whose wall clock is off by so much."""
        folder.mkdir(exist_ok=True)
        if not off_s:
            return start_beat(folder, environ)
        command = [sys.executable, "-m", "tests.integration.another_clock", str(off_s), "-A", "singletrack_worker"]
        return Child.start("beat", [*command, "beat"], env=environ, cwd=folder, log_path=folder / "beat.log")


OURS = Subject(
    name="ours",
    app="tests.faults.recorded_worker",
    queue=Keys(TRACK).queue,
    results=Keys(TRACK).result(""),
    good_task="gpu.ping",
    good_arguments={"request": {}},
)
STOCK = Subject(
    name="stock",
    app="tests.faults.stock",
    queue=stock.QUEUE,
    results="celery-task-meta-",
    good_task=stock.WORK,
    good_arguments={"kind": "ping", "duration_s": 0.0},
)


def run_environ(history: Path, run: str) -> dict[str, str]:
    """What every process of a run is told."""
    path = os.pathsep.join(filter(None, [str(places.ROOT), os.environ.get("PYTHONPATH")]))
    return {places.HISTORY: str(history), places.RUN: run, "PYTHONPATH": path}
