"""A folder in which workers of an app of a test's own come and go, and a client of them."""

import os
import sys
from pathlib import Path

from singletrack import Client
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import read_status
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import worker_environ

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0


class AppSite:
    """Workers of the app in that module, without a GPU, Ollama and CLIP."""

    def __init__(self, folder: Path, redis_url: str, app: str) -> None:
        self.folder = folder
        self.track = app.rpartition(".")[2].replace("_", "-")
        self.client = Client(redis_url, self.track, worker_grace_s=LIMIT_S)
        self._argv = [sys.executable, "-m", "celery", "-A", app, "worker", "--loglevel=INFO"]
        settings = {"clip_weights": "local-dir:/nowhere", "gpu": "none", "lock_dir": folder / "locks"}
        self._environ = worker_environ(redis_url, self.track, None, **settings)
        self._environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._workers: list[Child] = []

    def start(self, **more: str) -> Child:
        """Start a worker."""
        name = f"worker-{len(self._workers)}"
        environ, log = self._environ | more, self.folder / f"{name}.log"
        child = Child.start(name, self._argv, env=environ, cwd=self.folder, log_path=log)
        self._workers.append(child)
        return child

    def worker(self, **more: str) -> Child:
        """Start a worker, and wait until it serves."""
        child = self.start(**more)
        wait_for(lambda: self._serves(child), "the worker serves", LIMIT_S)
        return child

    def left(self, ending: str) -> list[Path]:
        """The files beside the lock that end so."""
        return list((self.folder / "locks").glob(f"*.{ending}"))

    def close(self) -> None:
        """End what was started."""
        self.client.close()
        for worker in self._workers:
            worker.stop(5)

    def _serves(self, child: Child) -> bool:
        assert child.alive, child.log_tail()
        status = read_status(self.client)
        return status is not None and status.worker.pid == child.pid
