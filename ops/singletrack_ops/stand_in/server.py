"""A running stand-in for Ollama, in this process; its models are processes of their own."""

import sys
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from typing import Self

from singletrack_ops.local.loopback import LOOPBACK
from singletrack_ops.stand_in.http_api import OllamaApi
from singletrack_ops.stand_in.memory import MemorySource
from singletrack_ops.stand_in.models import Behaviour, Models
from singletrack_ops.stand_in.replies import Answerer


class StandInOllama:
    """Serves models of these sizes (MiB) on a free loopback port until it is stopped.

    By default nothing is held anywhere: a worker with a simulated GPU counts the memory itself. Answers have no meaning
    unless an `answerer` thinks of them.
    """

    def __init__(
        self, sizes_mb: Mapping[str, int], source: MemorySource | None = None, answerer: Answerer | None = None
    ) -> None:
        self.models = models = Models(sizes_mb, source or MemorySource())

        class Api(OllamaApi):
            pass

        Api.models, Api.answerer = models, answerer
        self._server = _Server((LOOPBACK, 0), Api)
        self._thread = threading.Thread(target=self._server.serve_forever, name="stand-in-ollama", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    @property
    def behaviour(self) -> Behaviour:
        """What the server does; it may be changed at any time."""
        return self.models.behaviour

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of the models that are listed as loaded."""
        return tuple(self.models.pids)

    def stop(self) -> None:
        """End the server and the models' processes; harmless when repeated."""
        self._server.shutdown()
        self._server.server_close()
        self.models.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that come and go."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # what it gets is what it passes on
