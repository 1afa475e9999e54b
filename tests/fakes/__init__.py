"""In-memory siblings of the parts around the manager, for tests: faults on demand, and a history to check against.

They pass the conformance tests of the real parts. What they record is what was done to them, whatever the manager
thinks that it did.
"""

from tests.fakes.clip import (
    CLIP_MODEL,
    DIMENSION,
    IMAGE_SIZE,
    ClipFaults,
    FakeClip,
    reference_embedding,
)
from tests.fakes.clock import FakeClock
from tests.fakes.history import Deed, History, Scene
from tests.fakes.hold import FakeHold
from tests.fakes.instances import minimal_instance
from tests.fakes.judge import FakeJudge
from tests.fakes.stores import (
    MemoryAnswers,
    MemoryBlobs,
    MemoryCancellations,
    MemoryState,
    MemoryStores,
    MemoryVectorCache,
    RecordingPublisher,
    RecordingTelemetry,
)
from tests.fakes.vlm import FakeVlm, VlmFaults

__all__ = [
    "CLIP_MODEL",
    "DIMENSION",
    "IMAGE_SIZE",
    "ClipFaults",
    "Deed",
    "FakeClip",
    "FakeClock",
    "FakeHold",
    "FakeJudge",
    "FakeVlm",
    "History",
    "MemoryAnswers",
    "MemoryBlobs",
    "MemoryCancellations",
    "MemoryState",
    "MemoryStores",
    "MemoryVectorCache",
    "RecordingPublisher",
    "RecordingTelemetry",
    "Scene",
    "VlmFaults",
    "minimal_instance",
    "reference_embedding",
]
