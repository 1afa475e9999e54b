"""A real manager in a world of fakes: clients with a queue, faults, time, and a record of what really happened."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.requests.intents import AnnounceVlm
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_tasks.result import DegradedCode, OperationResult
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, WorkerInfo
from singletrack_worker.gpu.manager import GPUResourceManager
from singletrack_worker.gpu.snapshots import Identity
from singletrack_worker.gpu.tenants import Tenants
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from singletrack_worker.gpu.vram.vram_monitor import NoGpu
from singletrack_worker.settings import GPUResourceConfig
from tests.fakes import Deed, FakeClip, FakeClock, FakeJudge, FakeVlm, History, MemoryStores, Scene

BASE_MB = 300
# The skew of the GPU's embeddings moves them by half its square.
SKEW = 1e-3
TICK_INTERVAL_S = 15.0
# No pid that a fake encoder makes up.
STRANGER_PID = 4_194_304
# Who sends the tick with which a worker starts.
STARTER = "the worker itself"

Alter = Callable[[GPUResourceManager], None]


@dataclass(frozen=True)
class Setup:
    """The machine that a world is on: sizes in MiB (`total_mb` None: no GPU), the idle timeout in seconds.

    `strangers_are_named` where the driver lists a stranger's process.
    """

    total_mb: int | None = 8192
    vlm_mb: int = 5600
    overhead_mb: int = 0
    clip_mb: int = 1100
    clip_configured_mb: int = 1100
    idle_timeout_s: float = 300.0
    foreign_models: Literal["report", "unload"] = "report"
    strangers_are_named: bool = False


@dataclass(frozen=True)
class Sent:
    """An operation in the queue."""

    client: str
    number: int
    request: Request[Any]
    job: JobRef


@dataclass
class Done:
    """An operation that ended: what came of it, and what was recorded from outside while it ran.

    `worker` counts the workers of its world.
    """

    worker: int
    sent: Sent
    mode_before: ExecutionMode
    mode: ExecutionMode
    started_s: float
    ended_s: float
    begun: int
    ended: int
    before: Scene
    after: Scene
    deeds: list[Deed]
    status: GPUResourceStatus
    statuses: list[GPUResourceStatus]
    result: OperationResult | None = None
    error: SingletrackError | None = None
    disturbed: bool = False

    @property
    def request(self) -> Request[Any]:
        """What was asked for."""
        return self.sent.request

    @property
    def ok(self) -> bool:
        """Whether it returned."""
        return self.error is None

    @property
    def undisturbed(self) -> bool:
        """Whether no tenant failed in it, and no stranger came."""
        return not self.disturbed and not any(deed.error for deed in self.deeds)

    @property
    def codes(self) -> frozenset[DegradedCode]:
        """The codes of the reasons that its result gives, or the status where it has no result."""
        reasons = self.result.reasons if self.result else self.status.reasons
        return frozenset(reason.code for reason in reasons)


@dataclass
class Use:
    """When the VLM was last wanted, as seen from outside (monotonic, seconds; None: never, or nobody can know).

    `surely_s` is the last moment at which somebody certainly wanted it, `perhaps_s` the last at which the manager
    may have thought so. `owed` is true from a change to AUTOPILOT that could not unload it until it is wanted.
    `announced_s` is the end of the last need that was announced and may still count.
    """

    surely_s: float | None = None
    perhaps_s: float = 0.0
    announced_s: float = 0.0
    unnoticed: bool = False
    owed: bool = False


@dataclass
class World:
    """One GPU, one manager at a time, any number of clients."""

    setup: Setup = field(default_factory=Setup)
    alter: Alter = lambda _: None

    def __post_init__(self) -> None:
        setup = self.setup
        self.clock = FakeClock()
        self.vram = NoGpu("no NVIDIA driver") if setup.total_mb is None else SimulatedGpu(setup.total_mb, BASE_MB)
        self.history = History(self.clock)
        self.vlm = FakeVlm(self.vram, self.clock, self.history, size_mb=setup.vlm_mb, overhead_mb=setup.overhead_mb)
        self.stores = MemoryStores()
        self.stranger_mb = 0
        self.stranger_will_have: float | None = None
        # Set for good when a stranger took or gave back memory amid a move: what was measured then is not the tenant's.
        self.figures_are_blurred = False
        self._disturbed = False
        if isinstance(self.vram, SimulatedGpu):
            pid = STRANGER_PID if setup.strangers_are_named else None
            self.vram.add_tenant("stranger", lambda: self.stranger_mb, pid=lambda: pid)
        self.workers = 0
        self.events_before = 0
        self.queue: deque[Sent] = deque()
        self.done: list[Done] = []
        self.mode = ExecutionMode.IDLE
        self.use = Use()
        self.failed_s = float("-inf")
        self.wall_was_stepped = False
        self._statuses: list[GPUResourceStatus] = []
        self._sent = 0
        self._start_worker()

    @property
    def config(self) -> GPUResourceConfig:
        """The settings of the track."""
        setup = self.setup
        return GPUResourceConfig(
            gpu="none" if setup.total_mb is None else "auto",
            vlm_model=self.vlm.model,
            idle_timeout_s=setup.idle_timeout_s,
            tick_interval_s=TICK_INTERVAL_S,
            clip_mb=setup.clip_configured_mb,
            foreign_models=setup.foreign_models,
        )

    def scene(self) -> Scene:
        """How things really are."""
        vram = self.vram.read()
        return Scene(
            free_mb=vram.free_mb if vram else None,
            used_mb=vram.used_mb if vram else None,
            vlm_listed=self.vlm.listed,
            vlm_taken_mb=self.vlm.taken_mb,
            vlm_held_mb=self.vlm.held_mb,
            vlm_owed_mb=self.vlm.owed_mb,
            vlm_reachable=not self.vlm.faults.down,
            clip_device=self.clip.device,
            clip_held_mb=self.clip.held_mb,
            guests=self.vlm.guests,
            stranger_mb=self.stranger_mb,
        )

    def submit(self, client: str, request: Request[Any]) -> Sent:
        """Put an operation on the queue."""
        self._sent += 1
        sent = Sent(client, self._sent, request, JobRef(f"{client}-{self._sent}"))
        self.queue.append(sent)
        return sent

    def step(self) -> Done | None:
        """Let the worker take the next operation, if there is one, and record what comes of it."""
        if not self.queue:
            return None
        sent = self.queue.popleft()
        done = self._run(sent)
        self.done.append(done)
        self._note_use(done)
        return done

    def restart_worker(self) -> None:
        """End the worker as a kill does, and start another; the encoders die with it, the server lives on."""
        self.clip.stop()
        self.vlm.owe_nothing()
        if self.wall_was_stepped:
            # The next worker knows the last use by the wall clock alone: nobody can say how long ago that is.
            self.use.surely_s, self.use.perhaps_s = None, self.clock.monotonic() + 3600
        self.wall_was_stepped = False
        self.use.unnoticed, self.use.announced_s = True, 0.0
        self._start_worker()

    def load_by_somebody(self) -> None:
        """Let another client of the server load the model."""
        if not self.vlm.faults.down:
            self.vlm.load_by_somebody()
            self.use.unnoticed, self.use.owed = True, False

    def let_stranger_have(self, part: float) -> None:
        """Let a stranger have this part of what the tenants leave."""
        free_mb = (self.scene().free_mb or 0) + self.stranger_mb
        if int(free_mb * part) < self.stranger_mb:
            self.vlm.owe_nothing()
        self.stranger_mb = int(free_mb * part)

    def kill_encoder(self, *, gpu: bool) -> None:
        """End an encoder process, as the kernel or the driver may."""
        if gpu:
            self.clip.gpu_encoder_dies()
            self.vlm.owe_nothing()
        else:
            self.clip.cpu_encoder_dies()

    def _start_worker(self) -> None:
        self.clip = FakeClip(self.vram, self.clock, self.history, size_mb=self.setup.clip_mb, skew=SKEW)
        self.history.look = self.scene
        stores = self.stores
        self.workers, self.events_before = self.workers + 1, len(stores.publisher.events)
        worker = WorkerInfo(host="here", pid=1, release="test", started_unix_s=self.clock.time())
        self.manager = GPUResourceManager(
            self.config,
            Tenants(self.vram, self.vlm, self.clip),
            stores.all(),
            self.clock,
            Identity(worker, lambda: None),
            FakeJudge(),
        )
        self.alter(self.manager)
        # What a status thread does at any moment: look while others work.
        self.clock.on_sleep = self._time_passed
        stores.publisher.on_changed = self._look
        self.submit(STARTER, Tick())
        self.queue.rotate(1)
        self.step()

    def _time_passed(self) -> None:
        """Let what happens amid an operation happen."""
        if self.stranger_will_have is not None:
            self.let_stranger_have(self.stranger_will_have)
            self.stranger_will_have, self.figures_are_blurred, self._disturbed = None, True, True
        self._look()

    def _look(self) -> None:
        self._statuses.append(self.manager.status())

    def _run(self, sent: Sent) -> Done:
        before, mode_before = self.scene(), self.mode
        started_s, begun, first = self.clock.monotonic(), self.history.now(), len(self.history.deeds)
        self._statuses, self._disturbed = [], False
        result, error = None, None
        try:
            result = self._call(sent)
        except SingletrackError as failure:
            error = failure
        if isinstance(sent.request, SetMode) and result is not None:
            self.mode = sent.request.mode
        return Done(
            worker=self.workers,
            sent=sent,
            mode_before=mode_before,
            mode=self.mode,
            started_s=started_s,
            ended_s=self.clock.monotonic(),
            begun=begun,
            ended=self.history.now(),
            before=before,
            after=self.scene(),
            deeds=self.history.deeds[first:],
            statuses=self._statuses,
            status=self.manager.status(),
            result=result,
            error=error,
            disturbed=self._disturbed,
        )

    def _call(self, sent: Sent) -> OperationResult | None:
        if sent.client == STARTER:
            self.manager.start()
            return None
        return call(self.manager, sent.request, sent.job)

    def _note_use(self, done: Done) -> None:
        """Keep the book of the VLM's uses."""
        use, request = self.use, done.request
        asked = [deed for deed in done.deeds if deed.what == "ask"]
        if asked:
            use.surely_s = done.ended_s if done.ok else asked[0].start_s
        elif (isinstance(request, LoadVlm) and done.ok) or (done.mode is not done.mode_before and _records(request)):
            use.surely_s = done.started_s
        if isinstance(request, Ask | LoadVlm) or _records(request):
            use.perhaps_s, use.owed = done.ended_s, False
        if isinstance(request, SetMode) and done.ok and request.mode is ExecutionMode.AUTOPILOT:
            use.owed, use.surely_s = done.after.vlm_listed, None
        if isinstance(request, UnloadVlm) and done.ok:
            use.surely_s = None
        self._note_need(done)
        seen = [deed for deed in done.deeds if deed.what == "listing" and not deed.error]
        if use.unnoticed and seen:
            use.unnoticed, use.perhaps_s = False, max(use.perhaps_s, seen[-1].start_s)
        if done.mode is not done.mode_before is ExecutionMode.AUTOPILOT and done.after.vlm_listed:
            # What AUTOPILOT had no use for is taken in by the first look in the next mode.
            use.unnoticed = True
        if not done.undisturbed:
            self.failed_s = done.ended_s

    def _note_need(self, done: Done) -> None:
        use, request = self.use, done.request
        if isinstance(request, AnnounceVlm) and done.ok:
            use.announced_s, use.owed = max(use.announced_s, done.ended_s + request.in_s + request.for_s), False
        if isinstance(request, UnloadVlm) or done.mode is not done.mode_before:
            use.announced_s = 0.0


def _records(request: Request[Any]) -> bool:
    return isinstance(request, SetMode) and request.mode is ExecutionMode.RECORDING


def call(manager: GPUResourceManager, request: Request[Any], job: JobRef) -> OperationResult:
    """Call the operation that a request is for, as the tasks do."""
    result: OperationResult = manager.run(request, job)
    return result
