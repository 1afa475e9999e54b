"""Request handlers: the GPU page, its JSON, and Flower's own handlers that tell too much or find no queue."""

from typing import Any

from flower.api.tasks import GetQueueLengths as _FlowersQueues
from flower.utils.broker import Broker
from flower.views import BaseHandler as _FlowersHandler
from flower.views.broker import BrokerView as _FlowersBroker
from flower.views.monitor import Metrics as _FlowersMetrics
from tornado.web import HTTPError, authenticated

from singletrack_ops.flower_gpu.page import Page
from singletrack_ops.flower_gpu.track_watcher import TrackWatcher

# Flower publishes no types.
_Handler: Any = _FlowersHandler
_Metrics: Any = _FlowersMetrics
_Broker: Any = _FlowersBroker
_Queues: Any = _FlowersQueues
_watcher = TrackWatcher()


class GpuPageHandler(_Handler):  # type: ignore[misc] # see above
    """The page; with `?live=1` only the part that changes, which the page fetches every few seconds."""

    @authenticated
    async def get(self) -> None:
        """Show the track; the page says what could not be read."""
        live = self.get_argument("live", default=False, type=bool)
        page = Page.of(await _watcher.look())
        self.set_header("Cache-Control", "no-store")
        self.render("gpu_live.html" if live else "gpu.html", page=page)


class GpuApiHandler(_Handler):  # type: ignore[misc] # see above
    """The page's facts as JSON."""

    @authenticated
    async def get(self) -> None:
        """Write status, events and timeline; `problem` says what could not be read."""
        look = await _watcher.look()
        self.set_header("Cache-Control", "no-store")
        self.write(look.dump())


class MetricsHandler(_Metrics):  # type: ignore[misc] # see above
    """Flower's metrics, behind the password if there is one: Flower itself would show them to anybody."""

    @authenticated
    async def get(self) -> None:
        """Write them in Prometheus's text format."""
        await super().get()


class ResultHandler(_Handler):  # type: ignore[misc] # see above
    """Whole results, which contain answers: they are nobody's business but the caller's."""

    @authenticated
    async def get(self, task_id: str) -> None:
        """Refuse."""
        raise HTTPError(403, "Results are not shown here: they contain answers. Read them with singletrack.Client.")


class _OnRedis:
    """Flower chooses a broker's client by the transport, and does not know ours: here the URL decides."""

    def get_broker(self: Any) -> Any:
        """Return Flower's client for the track's Redis; 404 if Flower has none for the URL."""
        conf = self.capp.conf
        try:
            return Broker(
                conf.broker_url, broker_options=conf.broker_transport_options, broker_use_ssl=conf.broker_use_ssl
            )
        except (NotImplementedError, ValueError) as error:
            raise HTTPError(404, "Flower cannot look into this Redis. The GPU page shows what is waiting.") from error


class BrokerHandler(_OnRedis, _Broker):  # type: ignore[misc] # see above
    """The queue and its length."""


class QueuesApiHandler(_OnRedis, _Queues):  # type: ignore[misc] # see above
    """The queue's length as JSON."""
