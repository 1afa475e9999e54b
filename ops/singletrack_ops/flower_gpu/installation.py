"""Adds the page to a Flower that has not started yet: its routes, its templates, its item in the navigation."""

from flower.urls import handlers, settings
from tornado.web import url

from singletrack_ops.flower_gpu.handlers import BrokerView, GpuApi, GpuView, MetricsView, QueuesApi, ResultView
from singletrack_ops.flower_gpu.templates import GpuLoader

# Before Flower's own, of which the first that fits counts.
_ROUTES = (
    url(r"/gpu", GpuView, name="gpu"),
    url(r"/gpu/api", GpuApi),
    url(r"/metrics", MetricsView),
    url(r"/api/task/result/(.+)", ResultView),
    url(r"/broker", BrokerView, name="broker"),
    url(r"/api/queues/length", QueuesApi),
)


def add_gpu_page() -> None:
    """Add it; calling it again does nothing."""
    if _ROUTES[0] not in handlers:
        handlers[:0] = _ROUTES
    settings["template_loader"] = GpuLoader(settings["template_path"])
