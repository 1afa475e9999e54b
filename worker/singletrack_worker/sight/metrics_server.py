"""Serves a worker's metrics over HTTP."""

import logging
import threading
import time
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from singletrack_tasks.status import GPUResourceStatus
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.sight.backlog import Backlog, BacklogReader
from singletrack_worker.sight.metrics import Gauges, Metrics

# Requests within this time share one reading: however many scrapers there are, the driver and Redis are asked once.
FRESH_S = 1.0
_log = logging.getLogger(__name__)


class StatusCache:
    """Reads the status and the backlog, at most once in `FRESH_S` seconds; thread-safe."""

    def __init__(
        self,
        status: Callable[[], GPUResourceStatus],
        backlog: Callable[[], Backlog | None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._status = status
        self._backlog = backlog
        self._now_s = now_s
        self._lock = threading.Lock()
        self._seen: tuple[GPUResourceStatus, Backlog | None] | None = None
        self._until_s = 0.0

    def __call__(self) -> tuple[GPUResourceStatus, Backlog | None]:
        """Return a reading that is at most `FRESH_S` seconds old."""
        with self._lock:
            if self._seen is None or self._now_s() >= self._until_s:
                self._seen = (self._status(), self._backlog())
                self._until_s = self._now_s() + FRESH_S
            return self._seen


class MetricsServer:
    """The metrics of one worker, counted from the first moment and served between `start` and `stop`."""

    def __init__(self, config: GPUResourceConfig) -> None:
        self.metrics = Metrics(config.track)
        self._config = config
        self._backlog: BacklogReader | None = None
        self._served: tuple[WSGIServer, threading.Thread] | None = None

    def start(self, status: Callable[[], GPUResourceStatus]) -> None:
        """Serve, unless the port is 0; a failure is logged, and the worker goes on without."""
        host, port = self._config.metrics_host, self._config.metrics_port
        if not port:
            return
        self._backlog = BacklogReader(self._config)
        self.metrics.registry.register(Gauges(StatusCache(status, self._backlog.read)))
        try:
            self._served = start_http_server(port, addr=host, registry=self.metrics.registry)
        except (OSError, UnicodeError) as error:  # UnicodeError: a malformed host name
            _log.warning(
                "no metrics are served: cannot listen on %s, port %d (%s). Set SINGLETRACK_METRICS_PORT to a free port "
                "(0: none), SINGLETRACK_METRICS_HOST to an address of this machine.",
                host,
                port,
                getattr(error, "strerror", None) or error,
            )
        else:
            _log.info("metrics are served on http://%s:%d/metrics", host, port)

    def stop(self) -> None:
        """Stop serving; harmless when repeated."""
        if self._served is not None:
            server, thread = self._served
            self._served = None
            server.shutdown()
            server.server_close()
            thread.join()
        if self._backlog is not None:
            self._backlog.close()
            self._backlog = None
