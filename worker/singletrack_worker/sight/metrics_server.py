"""Serves a worker's metrics over HTTP, to Prometheus and to whoever looks with a browser."""

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

# Whoever asks more often than this is told the same: no number of scrapers reaches the driver or Redis.
FRESH_S = 1.0
_log = logging.getLogger(__name__)


class StatusCache:
    """Looks at the status and the backlog, at most once in `FRESH_S` seconds; safe from any thread."""

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
        """Return what there is, or what there was a moment ago."""
        with self._lock:
            if self._seen is None or self._now_s() >= self._until_s:
                self._seen = (self._status(), self._backlog())
                self._until_s = self._now_s() + FRESH_S
            return self._seen


class MetricsServer:
    """The metrics of one worker, counted from the first moment on, and served between `start` and `stop`."""

    def __init__(self, config: GPUResourceConfig) -> None:
        self.metrics = Metrics(config.track)
        self._config = config
        self._backlog: BacklogReader | None = None
        self._served: tuple[WSGIServer, threading.Thread] | None = None

    def start(self, status: Callable[[], GPUResourceStatus]) -> None:
        """Serve, unless the port is 0; where that cannot be, it is logged and the worker goes on without."""
        host, port = self._config.metrics_host, self._config.metrics_port
        if not port:
            return
        self._backlog = BacklogReader(self._config)
        self.metrics.registry.register(Gauges(StatusCache(status, self._backlog.read)))
        try:
            self._served = start_http_server(port, addr=host, registry=self.metrics.registry)
        except (OSError, UnicodeError) as error:  # the latter of a host that is no name at all
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
        """Serve no more; harmless when repeated."""
        if self._served is not None:
            server, thread = self._served
            self._served = None
            server.shutdown()
            server.server_close()
            thread.join()
        if self._backlog is not None:
            self._backlog.close()
            self._backlog = None
