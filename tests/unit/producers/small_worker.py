"""A real Celery worker in a process of its own, whose GPU is a few lines: enough to answer a client.

`python -m tests.unit.producers.small_worker URL TRACK`. Prompts tell it what to do: `json:...` is answered with that
JSON, `think?` with the option of that name, one that begins with `cut` says that its answer was cut, `too big` and
`crash` fail, `wait` runs until it is cancelled. A question with `stream` is told word by word. A mode that moves CLIP
to the GPU fails at that. It notes each operation in the list `TRACK:ran`, and its CLIP's fingerprint is the value of
`TRACK:fingerprint`.
"""

import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import redis
from celery import Celery
from celery.worker.control import control_command

from singletrack_tasks.celery_tasks import register
from singletrack_tasks.errors import InvalidRequest, JobCancelled, NotEnoughVram
from singletrack_tasks.keys import QUEUE, RECORDING_TTL_S, STATUS_TTL_S, Keys
from singletrack_tasks.payload.blobs import BlobStore
from singletrack_tasks.payload.images import decode_image, prepare
from singletrack_tasks.payload.vectors import Vector, Vectors, cache_entry
from singletrack_tasks.recording import Recording
from singletrack_tasks.requests.embedding import EmbeddingResult, EmbedImages, EmbedTexts, FindClip, FindClipResult
from singletrack_tasks.requests.mode import ModeResult, SetMode
from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.requests.vlm import Ask, AskResult, Cut, LoadVlm, UnloadVlm, VlmResult
from singletrack_tasks.result import OperationResult, StepReceipt
from singletrack_tasks.status import (
    ClipModel,
    ClipStatus,
    ExecutionMode,
    GPUResourceStatus,
    ModelState,
    VlmStatus,
    WorkerInfo,
)

R = TypeVar("R", bound=OperationResult)

DIMENSION = 8
WORDS_MAX = 75
MODEL = "small-vlm"


def vector_of(sha256: str) -> Vector:
    """Give the unit vector that this worker makes of an input."""
    raw = np.frombuffer(hashlib.sha256(sha256.encode()).digest()[:DIMENSION], dtype=np.uint8).astype(np.float32) + 1
    return raw / np.linalg.norm(raw)


def clip_model(fingerprint: str) -> ClipModel:
    """Describe this worker's CLIP."""
    return ClipModel(
        name="small-clip", fingerprint=fingerprint, dimension=DIMENSION, image_size=16, context_length=77, trained=False
    )


class SmallGpu:
    """A GPU that does next to nothing, one operation at a time."""

    def __init__(self, client: redis.Redis, track: str) -> None:
        self.client = client
        self.keys = Keys(track)
        self.mode = ExecutionMode.IDLE
        self.cancelled: dict[str, threading.Event] = {}
        self.stopping = threading.Event()

    @property
    def fingerprint(self) -> str:
        stored: Any = self.client.get(f"{self.keys.track}:fingerprint")
        return "first" if stored is None else bytes(stored).decode()

    def begin(self, kind: str, job: JobRef) -> None:
        if self.client.exists(self.keys.cancel(job.id)):
            raise JobCancelled("cancelled before it was started")
        self.client.rpush(f"{self.keys.track}:ran", kind)

    def status(self) -> GPUResourceStatus:
        return GPUResourceStatus(
            track=self.keys.track,
            taken_unix_s=time.time(),
            worker=WorkerInfo(host="here", pid=1, release="0", started_unix_s=0),
            mode=self.mode,
            gpu=None,
            vram=None,
            vlm=VlmStatus(model=MODEL, state=ModelState.UNLOADED),
            clip=ClipStatus(model=clip_model(self.fingerprint)),
            degraded=False,
        )

    def publish(self) -> None:
        while not self.stopping.is_set():
            self.client.set(self.keys.status, self.status().model_dump_json(), ex=STATUS_TTL_S)
            self.stopping.wait(0.1)

    def run(self, request: Request[R], job: JobRef) -> R:
        doers: dict[type[Request[Any]], Any] = {
            SetMode: self.set_mode,
            Ask: self.ask,
            LoadVlm: self.load_vlm,
            UnloadVlm: self.unload_vlm,
            EmbedImages: self.embed_images,
            EmbedTexts: self.embed_texts,
            FindClip: self.find_clip,
            Tick: self.tick,
            Ping: self.ping,
        }
        result: R = doers[type(request)](request, job)
        return result

    def set_mode(self, request: SetMode, job: JobRef) -> ModeResult:
        self.begin("mode", job)
        before, self.mode = self.mode, request.mode
        failed = StepReceipt(step="promote_clip", ok=False, duration_s=0, detail="there is no GPU")
        receipts = (failed,) if request.mode is ExecutionMode.AUTOPILOT else ()
        return ModeResult(before=before, after=request.mode, receipts=receipts)

    def ask(self, request: Ask, job: JobRef) -> AskResult:
        self.begin("ask", job)
        if request.prompt == "too big":
            raise NotEnoughVram.of("the model", needed_mb=9000, free_mb=1000, freeable_mb=500, total_mb=8000)
        if request.prompt == "crash":
            raise RuntimeError("no such thing")
        if request.prompt == "wait" and self.cancelled.setdefault(job.id, threading.Event()).wait(60):
            raise JobCancelled("broken off")
        sizes = [decode_image(data).size for data in BlobStore(self.client, self.keys).get(request.images)]
        text = str(request.options.think) if request.prompt == "think?" else request.prompt.removeprefix("json:")
        value = json.loads(text) if request.json_schema else None
        if request.stream:
            self.tell(job.id, text)
        cut: Cut | None = "context" if text.startswith("cut") else None
        return AskResult(text=f"{text}{sizes or ''}", value=value, model=MODEL, truncated=cut)

    def tell(self, job_id: str, text: str) -> None:
        """Tell an answer word by word; `again:` is told twice, of `gap:` the second word is left out."""
        for _ in range(2 if text.startswith("again:") else 1):
            at = 0
            for number, word in enumerate(re.findall(r"\S+\s*", text)):
                if not (text.startswith("gap:") and number == 1):
                    self.client.xadd(self.keys.answer(job_id), {"at": at, "text": word})
                at += len(word)

    def load_vlm(self, request: LoadVlm, job: JobRef) -> VlmResult:
        self.begin("load", job)
        return VlmResult(state=ModelState.LOADED, model=MODEL)

    def unload_vlm(self, request: UnloadVlm, job: JobRef) -> VlmResult:
        self.begin("unload", job)
        return VlmResult(state=ModelState.UNLOADED, model=MODEL)

    def embed_images(self, request: EmbedImages, job: JobRef) -> EmbeddingResult:
        self.begin(f"images {len(request.images)} {request.images[0].form}", job)
        if request.fingerprint not in (None, self.fingerprint):
            raise InvalidRequest("these pixels are for another CLIP", {"fingerprint": self.fingerprint})
        model = clip_model(self.fingerprint)
        payloads = BlobStore(self.client, self.keys).get(request.images)
        pixels = [
            data if blob.form == "pixels" else prepare(decode_image(data), model)
            for blob, data in zip(request.images, payloads, strict=True)
        ]
        return self.embed([hashlib.sha256(data).hexdigest() for data in pixels])

    def embed_texts(self, request: EmbedTexts, job: JobRef) -> EmbeddingResult:
        self.begin(f"texts {len(request.texts)}", job)
        cut = [len(text.split()) > WORDS_MAX for text in request.texts]
        return self.embed([hashlib.sha256(text.encode()).hexdigest() for text in request.texts], cut)

    def embed(self, sha256s: Sequence[str], cut: Sequence[bool] = ()) -> EmbeddingResult:
        vectors = np.stack([vector_of(sha256) for sha256 in sha256s])
        for number, sha256 in enumerate(sha256s):
            entry = cache_entry(vectors[number], truncated=bool(cut) and cut[number])
            self.client.set(self.keys.vector(self.fingerprint, sha256), entry, ex=600)
        return EmbeddingResult(
            vectors=Vectors.of(vectors), device="cpu", fingerprint=self.fingerprint, truncated=tuple(cut)
        )

    def find_clip(self, request: FindClip, job: JobRef) -> FindClipResult:
        self.begin("find", job)
        return FindClipResult(device="cpu")

    def tick(self, request: Tick, job: JobRef) -> TickResult:
        self.begin("tick", job)
        return TickResult()

    def ping(self, request: Ping, job: JobRef) -> PingResult:
        self.begin("ping", job)
        return PingResult(track=self.keys.track)


def main(url: str, track: str) -> None:
    """Serve one track until SIGTERM."""
    client = redis.Redis.from_url(url)
    small = SmallGpu(client, track)
    prefix = {"global_keyprefix": small.keys.prefix}
    app = Celery("small", broker=url, backend=url)
    app.conf.update(
        broker_transport_options=prefix,
        result_backend_transport_options=prefix,
        task_default_queue=QUEUE,
        task_track_started=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
    )

    register(app, lambda: small)

    @control_command(args=[("job_id", str)])
    def gpu_cancel(state: object, job_id: str) -> None:
        small.cancelled.setdefault(job_id, threading.Event()).set()

    @control_command(args=[("request_id", str)])
    def gpu_record(state: object, request_id: str) -> None:
        recording = Recording(track=track, reason="on_demand", taken_unix_s=time.time())
        client.set(small.keys.recording(request_id), recording.pack_text(), ex=RECORDING_TTL_S)

    threading.Thread(target=small.publish, daemon=True).start()
    app.worker_main(
        ["worker", "--pool=threads", "-c1", f"-Q{QUEUE}", "--without-gossip", "--without-mingle", "-lWARNING"]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
