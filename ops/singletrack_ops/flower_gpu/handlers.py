"""The routes: the page, the same as JSON, two of Flower's that tell too much, and two that find no queue."""

from typing import Any

from flower.api.tasks import GetQueueLengths as _FlowersQueues
from flower.utils.broker import Broker
from flower.views import BaseHandler as _FlowersHandler
from flower.views.broker import BrokerView as _FlowersBroker
from flower.views.monitor import Metrics as _FlowersMetrics
from tornado.web import HTTPError, authenticated

from singletrack_ops.flower_gpu.page import Page
from singletrack_ops.flower_gpu.watch import Watch

# Flower publishes no types.
_Handler: Any = _FlowersHandler
_Metrics: Any = _FlowersMetrics
_Broker: Any = _FlowersBroker
_Queues: Any = _FlowersQueues
_watch = Watch()


class GpuView(_Handler):  # type: ignore[misc] # see above
    """The page; with `?live=1` only the part that changes, which the page fetches every few seconds."""

    @authenticated
    async def get(self) -> None:
        """Show the track; what cannot be read is said on the page."""
        live = self.get_argument("live", default=False, type=bool)
        page = Page.of(await _watch.look())
        self.set_header("Cache-Control", "no-store")
        self.render("gpu_live.html" if live else "gpu.html", page=page)


class GpuApi(_Handler):  # type: ignore[misc] # see above
    """The same as JSON."""

    @authenticated
    async def get(self) -> None:
        """Tell status, events and timeline; `problem` says what could not be read."""
        look = await _watch.look()
        self.set_header("Cache-Control", "no-store")
        self.write(look.dump())


class MetricsView(_Metrics):  # type: ignore[misc] # see above
    """Flower's metrics, which it would show to anybody: behind the password, where there is one."""

    @authenticated
    async def get(self) -> None:
        """Write them in Prometheus's text format."""
        await super().get()


class ResultView(_Handler):  # type: ignore[misc] # see above
    """Whole results, which hold answers: they are between the worker and whoever asked."""

    @authenticated
    async def get(self, task_id: str) -> None:
        """Refuse."""
        raise HTTPError(403, "Results are not shown here: they hold answers. Ask with singletrack.Client.")


class _OnRedis:
    """Flower tells a broker by its transport, and does not know ours: on Redis it is what the URL says."""

    def get_broker(self: Any) -> Any:
        """Return Flower's client for the Redis of the track; a URL that it has none for is 404."""
        conf = self.capp.conf
        try:
            return Broker(
                conf.broker_url, broker_options=conf.broker_transport_options, broker_use_ssl=conf.broker_use_ssl
            )
        except (NotImplementedError, ValueError) as error:
            raise HTTPError(404, "Flower cannot look into this Redis. The page GPU shows what waits.") from error


class BrokerView(_OnRedis, _Broker):  # type: ignore[misc] # see above
    """The queue and its length."""


class QueuesApi(_OnRedis, _Queues):  # type: ignore[misc] # see above
    """The same as JSON."""
