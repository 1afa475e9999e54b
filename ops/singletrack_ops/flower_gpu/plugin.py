"""Adds the GPU page to a Flower that has not started yet: routes, templates and an item in its navigation."""

from flower.urls import handlers, settings
from tornado.web import url

from singletrack_ops.flower_gpu.handlers import (
    BrokerHandler,
    GpuApiHandler,
    GpuPageHandler,
    MetricsHandler,
    QueuesApiHandler,
    ResultHandler,
)
from singletrack_ops.flower_gpu.templates import GpuLoader

# Before Flower's own: the first route that matches wins.
_ROUTES = (
    url(r"/gpu", GpuPageHandler, name="gpu"),
    url(r"/gpu/api", GpuApiHandler),
    url(r"/metrics", MetricsHandler),
    url(r"/api/task/result/(.+)", ResultHandler),
    url(r"/broker", BrokerHandler, name="broker"),
    url(r"/api/queues/length", QueuesApiHandler),
)


def add_gpu_page() -> None:
    """Add the page; calling it again does nothing."""
    if _ROUTES[0] not in handlers:
        handlers[:0] = _ROUTES
    settings["template_loader"] = GpuLoader(settings["template_path"])
