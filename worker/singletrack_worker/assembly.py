"""Assembles a worker from its configuration."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version

import redis

from singletrack_tasks.events import TaskPutBack, WorkerStarted, WorkerStopped
from singletrack_tasks.ollama_address import server_name
from singletrack_tasks.status import GPUResourceStatus, WorkerInfo
from singletrack_worker.gpu.clip.manager import CLIPManager
from singletrack_worker.gpu.clip.process import COMMAND
from singletrack_worker.gpu.clock import Clock, SystemClock
from singletrack_worker.gpu.flight_recorder import FlightRecorder
from singletrack_worker.gpu.hold import Hold, Undisputed
from singletrack_worker.gpu.judging.judge_process import JudgeProcess
from singletrack_worker.gpu.kept_thread import Troubles
from singletrack_worker.gpu.manager import GPUResourceManager
from singletrack_worker.gpu.ollama.manager import OllamaManager, OllamaTimeouts
from singletrack_worker.gpu.snapshots import Identity
from singletrack_worker.gpu.stores import Stores, Telemetry
from singletrack_worker.gpu.tenants import Tenants, Vlm, Vram
from singletrack_worker.gpu.vram.simulated import SimulatedGpu, SimulatedVlm
from singletrack_worker.gpu.vram.vram_monitor import NoGpu, VRAMMonitor
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.sight.flights import Flights
from singletrack_worker.sight.telemetry import Fanout
from singletrack_worker.store.answers import RedisAnswers
from singletrack_worker.store.callers import RedisCancellations, RedisRecordings
from singletrack_worker.store.connection import read_time
from singletrack_worker.store.neighbours import RedisNeighbours
from singletrack_worker.store.payloads import RedisBlobs, RedisVectorCache
from singletrack_worker.store.publisher import RedisPublisher
from singletrack_worker.store.state import RedisMemory
from singletrack_worker.store.writer import Writer
from singletrack_worker.tenure.tenure import Tenure

# How late a cancellation is noticed that came while the worker's remote control was disconnected.
LOOK_EVERY_S = 1.0
# How often the worker looks which tracks use its Ollama server.
LOOK_ROUND_EVERY_S = 10.0


class Worker:
    """A manager with all its dependencies, ready to be started."""

    def __init__(
        self,
        config: GPUResourceConfig,
        client: redis.Redis,
        vram: Vram,
        writer: Writer,
        *,
        telemetry: Telemetry,
        tenure: Tenure | None = None,
    ) -> None:
        """Raises `RedisUnavailable`; without a tenure there is no lease, and nobody can overtake the worker."""
        self._hold: Hold = Undisputed() if tenure is None else tenure
        # Read before every status: one that is dated by a clock that was set since would be taken for an old one.
        self._clock = SystemClock(lambda: read_time(client))
        self._clock.refresh()
        self._look_again_s = self._look_round_s = 0.0
        self._info = _describe(self._clock)
        self._server = server_name(config.ollama_url, self._info.host)
        # A simulated GPU is for trials, and without one nobody loses room on it.
        shares = vram.gpu is not None and not vram.gpu.simulated
        self._neighbours = RedisNeighbours(client, writer, config.track, self._server) if shares else None
        troubles = Troubles() if tenure is None else tenure.troubles
        self._publisher = RedisPublisher(config.keys, writer, troubles)
        self.recorder = FlightRecorder(
            config.track,
            vram,
            self._clock,
            write=Flights(config.flight_dir, config.track).write,
            deliver=RedisRecordings(config.keys, writer).put,
            troubles=troubles,
        )
        self.manager = GPUResourceManager(
            config,
            build_tenants(config, self._clock, vram),
            self._stores(config, client, writer, Fanout((self.recorder, telemetry)), troubles),
            self._clock,
            Identity(self._info, lambda: None if tenure is None else tenure.lease),
            JudgeProcess(),
        )

    def start(self, *, after_a_death: bool = False) -> None:
        """Publish from the first moment on, then observe the GPU and repair what is wrong.

        With `after_a_death`, a worker died with an operation in flight, and Ollama may still be working on it.
        """
        at, host, pid = self._clock.time(), self._info.host, self._info.pid
        self._publisher.emit(WorkerStarted(at_unix_s=at, host=host, pid=pid))
        self._publisher.publish(self.manager.status)
        self._publisher.start(self._snapshot)
        self.recorder.start(self.manager.sample)
        if after_a_death:
            self.manager.settle()
        self.manager.start_in_background()

    def stop(self) -> None:
        """Stop the encoders, and emit `WorkerStopped`."""
        self.recorder.stop()
        self.manager.stop()
        self._publisher.stop()
        if self._neighbours is not None:
            with suppress(redis.RedisError):  # it is forgotten by itself
                self._neighbours.leave()
        at, host, pid = self._clock.time(), self._info.host, self._info.pid
        self._publisher.emit(WorkerStopped(at_unix_s=at, host=host, pid=pid))

    def put_back(self, job_id: str) -> None:
        """Tell that a message in hand was put back since nothing ran it."""
        self._publisher.emit(TaskPutBack(at_unix_s=self._clock.time(), job_id=job_id))

    def _stores(
        self, config: GPUResourceConfig, client: redis.Redis, writer: Writer, telemetry: Telemetry, troubles: Troubles
    ) -> Stores:
        return Stores(
            blobs=RedisBlobs(client, config.keys),
            cache=RedisVectorCache(client, config.keys),
            memory=RedisMemory(client, config.keys, writer),
            publisher=self._publisher,
            cancellations=RedisCancellations(client, config.keys),
            answers=RedisAnswers(config.keys, writer),
            telemetry=telemetry,
            hold=self._hold,
            troubles=troubles,
        )

    def _snapshot(self) -> GPUResourceStatus:
        """Take a snapshot, and do the periodic work that is due."""
        now_s = time.monotonic()
        if now_s >= self._look_again_s:
            self._look_again_s = now_s + LOOK_EVERY_S
            self.manager.look_for_cancellation()
        if now_s >= self._look_round_s and self._neighbours is not None:
            self._look_round_s = now_s + LOOK_ROUND_EVERY_S
            with suppress(redis.RedisError):  # whatever else is done says so
                self.manager.tell_neighbours(self._server, self._neighbours.look())
        reached = self._clock.refresh()
        self.manager.look_for_checks(could_come=reached and self._hold.token > 0)
        return self.manager.status()


def build_tenants(
    config: GPUResourceConfig, clock: Clock, vram: Vram, *, encoder: Callable[[], Sequence[str]] = lambda: COMMAND
) -> Tenants:
    """Build the VLM and CLIP, real or simulated, for this GPU; `encoder` makes the command line of each encoder."""
    vlm = _build_vlm(config, clock)
    clip = CLIPManager(
        config.clip_weights,
        resize_mode=config.clip_resize_mode,
        gpu=vram.gpu,
        encode_timeout_s=config.encode_timeout_s,
        threads=config.clip_threads,
        command=encoder,
    )
    if isinstance(vram, SimulatedGpu):
        vlm = SimulatedVlm(vlm, vram, config.simulated_vlm_mb)
        taken_mb = config.simulated_clip_mb
        vram.add_tenant("clip", lambda: taken_mb if clip.pids[1] is not None else 0, pid=lambda: clip.pids[1])
    return Tenants(vram, vlm, clip)


def build_vram(config: GPUResourceConfig) -> Vram:
    """Return the configured GPU."""
    match config.gpu:
        case "auto":
            return VRAMMonitor(config.gpu_index)
        case "none":
            return NoGpu("SINGLETRACK_GPU is none: everything runs on the CPU")
        case "simulated":
            return SimulatedGpu(config.simulated_total_mb)


def _build_vlm(config: GPUResourceConfig, clock: Clock) -> Vlm:
    return OllamaManager(
        config.ollama_url,
        config.vlm_model,
        clock=clock,
        keep_alive_s=config.keep_alive_s,
        timeouts=OllamaTimeouts(config.load_timeout_s, config.answer_timeout_s, config.unload_timeout_s),
        num_ctx=config.vlm_num_ctx,
    )


def _describe(clock: Clock) -> WorkerInfo:
    return WorkerInfo(
        host=socket.gethostname(), pid=os.getpid(), release=version("singletrack"), started_unix_s=clock.time()
    )
