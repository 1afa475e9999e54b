"""An agent with a Celery app of its own, and a client at module level: `celery -A tests.unit.producers.agent_app`."""

import os

from celery import Celery

from singletrack.client import Client

REDIS_URL = os.environ["SINGLETRACK_REDIS_URL"]

app = Celery("agent", broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(
    broker_transport_options={"global_keyprefix": "agent:"},
    result_backend_transport_options={"global_keyprefix": "agent:"},
    broker_connection_retry_on_startup=True,
)
gpu = Client()


@app.task
def ask(prompt: str) -> tuple[int, str]:
    """Ask from a process of the pool; returns its id and the answer."""
    return os.getpid(), gpu.ask(prompt, timeout_s=60).text
