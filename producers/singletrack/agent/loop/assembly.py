"""The loop as it is usually put together."""

from singletrack.agent.loop.execution_loop import ExecutionLoop
from singletrack.agent.loop.parts import Desk, Eyes, Pace, Surroundings
from singletrack.agent.loop.worker_use import OnDemandChooser, WorkerUse
from singletrack.agent.recorder import Recorder
from singletrack.agent.resolver import Resolver
from singletrack.agent.resolver.ranking import ClipRanker
from singletrack.agent.vlm_chooser.chooser import VlmChooser
from singletrack.agent.words.engines import default_reader
from singletrack.client import Client


def standard_loop(
    desk: Desk, client: Client | None, *, pace: Pace | None = None, surroundings: Surroundings | None = None
) -> ExecutionLoop:
    """Make a loop with the default OCR, and the track's VLM where a target needs it.

    Raises `MissingExtra` without an OCR engine.
    """
    worker = WorkerUse(client, pace)
    resolver = Resolver()
    if client is not None:
        resolver = Resolver(OnDemandChooser(VlmChooser(client), worker), ClipRanker(client))
    return ExecutionLoop(desk, Eyes(default_reader(), resolver), worker, pace=pace, surroundings=surroundings)


def standard_recorder() -> Recorder:
    """Make a recorder with the default OCR; raises `MissingExtra` without one."""
    return Recorder(Resolver(), default_reader())
