"""A stock Celery app with one task that does nothing: what a round trip costs without Singletrack."""

import os

from celery import Celery

URL_VARIABLE = "BENCHMARK_REDIS_URL"
QUEUE = "stock"

app = Celery("stock", broker=os.environ.get(URL_VARIABLE), backend=os.environ.get(URL_VARIABLE))
app.conf.task_default_queue = QUEUE


@app.task(name="stock.nothing")
def nothing() -> None:
    """Do nothing."""
