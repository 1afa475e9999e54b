"""One Hypothesis machine for all properties: it decides who asks what, when, and what goes wrong meanwhile."""

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.requests.embedding import EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.requests.intents import AnnounceVlm, WithdrawVlm
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_tasks.status import ExecutionMode
from tests.fakes import IMAGE_SIZE
from tests.property.checks import Check
from tests.property.world import TICK_INTERVAL_S, Alter, Setup, World

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["button", "field"]}, "count": {"type": "integer"}},
    "required": ["kind", "count"],
}
PICTURES = tuple(bytes([shade]) * (IMAGE_SIZE**2 * 3) for shade in (0, 90, 255))
PIXELS = tuple(Blob.of(picture, "pixels") for picture in PICTURES)
TEXTS = ("a button", "a field", "Abbrechen")
BEAT = "beat"

# No GPU, too small for the VLM, for either, for either with the overhead only just, for both.
SETUPS = st.builds(
    Setup,
    total_mb=st.sampled_from([None, 1000, 4096, 6144, 8192, 12288]),
    overhead_mb=st.sampled_from([0, 400]),
    clip_configured_mb=st.sampled_from([800, 1100, 1500]),
    idle_timeout_s=st.sampled_from([0.0, 20.0, 300.0]),
    foreign_models=st.sampled_from(["report", "unload"]),
    strangers_are_named=st.booleans(),
)
CLIENTS = st.sampled_from(["agent", "bench", "cli"])
MODES = st.sampled_from(ExecutionMode)
REQUESTS: st.SearchStrategy[Request[Any]] = st.one_of(
    st.builds(SetMode, mode=MODES),
    st.builds(Ask, prompt=st.just("what is this?"), json_schema=st.sampled_from([None, SCHEMA])),
    st.builds(LoadVlm),
    st.builds(UnloadVlm),
    st.builds(
        AnnounceVlm,
        holder=st.sampled_from(["agent", "bench"]),
        in_s=st.sampled_from([0.0, 20.0, 100.0]),
        for_s=st.sampled_from([15.0, 300.0]),
    ),
    st.builds(WithdrawVlm, holder=st.just("agent")),
    st.builds(EmbedTexts, texts=st.permutations(TEXTS).map(tuple)),
    st.builds(EmbedImages, images=st.permutations(PIXELS).map(tuple), fingerprint=st.just("fake-p1")),
    st.builds(FindClip),
    st.builds(Ping),
)
PATIENCE = st.sampled_from([None, None, 0.5, 60.0])
VLM_FAULTS = (
    "unreachable_calls",
    "load_failures",
    "vanishes_after_load",
    "unload_failures",
    "ask_failures",
    "bad_answers",
    "guest_stays",
)


class Machine(RuleBasedStateMachine):
    """Rules over a `World`; subclasses name the check, and may alter the manager."""

    check: Check
    alter: Alter = staticmethod(lambda _: None)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Setup())

    @initialize(setup=SETUPS, mode=MODES)
    def choose_machine(self, setup: Setup, mode: ExecutionMode) -> None:
        self.world = World(setup, type(self).alter)
        for picture, blob in zip(PICTURES, PIXELS, strict=True):
            self.world.stores.blobs.add(picture, blob)
        self._check(0)
        self.change_mode_and_wait(mode)

    @rule(client=CLIENTS, requests=st.lists(REQUESTS, min_size=1, max_size=3), patience_s=PATIENCE)
    def submit(self, client: str, requests: list[Request[Any]], patience_s: float | None) -> None:
        now = self.world.clock.time()
        times = {"sent_unix_s": now, "deadline_unix_s": None if patience_s is None else now + patience_s}
        for request in requests:
            self.world.submit(client, request.model_copy(update=times))

    @precondition(lambda self: self.world.queue)
    @rule()
    def step(self) -> None:
        first = len(self.world.done)
        self.world.step()
        self._check(first)

    @rule(client=CLIENTS, requests=st.lists(REQUESTS, min_size=1, max_size=4))
    def submit_and_wait(self, client: str, requests: list[Request[Any]]) -> None:
        for request in requests:
            self.world.submit(client, request)
        self._drain()

    @rule(mode=MODES)
    def change_mode_and_wait(self, mode: ExecutionMode) -> None:
        self.world.submit("agent", SetMode(mode=mode))
        self._drain()

    @rule(after_s=st.sampled_from([0.0, 15.0, 19.0, 25.0, 299.0, 310.0]))
    def tick(self, after_s: float) -> None:
        self.world.clock.advance(after_s)
        self.world.submit(BEAT, Tick())
        self._drain()

    @rule(times=st.integers(2, 3))
    def checks_go_by(self, times: int) -> None:
        for _ in range(times):
            self.tick(TICK_INTERVAL_S)

    @precondition(lambda self: self.world.queue)
    @rule(pick=st.integers(0, 100))
    def cancel_one_that_waits(self, pick: int) -> None:
        waiting = self.world.queue[pick % len(self.world.queue)]
        self.world.stores.cancellations.job_ids.add(waiting.job.id)

    @rule(duration_s=st.sampled_from([0.5, 10.0, 299.0, 1000.0]))
    def time_passes(self, duration_s: float) -> None:
        self.world.clock.advance(duration_s)

    @rule(by_s=st.sampled_from([-3600.0, 3600.0]))
    def wall_clock_is_stepped(self, by_s: float) -> None:
        self.world.clock.step_wall_clock(by_s)
        self.world.wall_was_stepped = True

    @rule(down=st.sampled_from([False, True]), crash=st.booleans())
    def ollama_goes_or_comes(self, down: bool, crash: bool) -> None:
        self.world.vlm.faults.down = down
        if down and crash:
            self.world.vlm.evict()

    @rule(fault=st.sampled_from(VLM_FAULTS), times=st.integers(1, 4))
    def vlm_fails(self, fault: str, times: int) -> None:
        setattr(self.world.vlm.faults, fault, times)

    @rule(missing=st.booleans(), release_delay_s=st.sampled_from([0.0, 0.3, 60.0]))
    def server_changes(self, missing: bool, release_delay_s: float) -> None:
        self.world.vlm.faults.model_missing = missing
        self.world.vlm.faults.release_delay_s = release_delay_s

    @rule(fault=st.sampled_from(["promote_failures", "dies_while_embedding", "gpu", "cpu"]), times=st.integers(1, 4))
    def clip_fails(self, fault: str, times: int) -> None:
        if fault in {"gpu", "cpu"}:
            self.world.kill_encoder(gpu=fault == "gpu")
        else:
            setattr(self.world.clip.faults, fault, times)

    @rule(load=st.booleans())
    def somebody_loads_or_evicts(self, load: bool) -> None:
        if load:
            self.world.load_by_somebody()
        else:
            self.world.vlm.evict()

    @rule(name=st.sampled_from(["their:1b", "other:7b"]), size_mb=st.sampled_from([None, None, 0, 700, 3000]))
    def somebody_uses_another_model(self, name: str, size_mb: int | None) -> None:
        if size_mb is None or self.world.vlm.faults.down:
            self.world.vlm.guest_leaves(name)
        else:
            self.world.vlm.guest_comes(name, size_mb)

    @precondition(lambda self: self.world.setup.total_mb is not None)
    @rule(part=st.sampled_from([0.0, 0.3, 0.7, 1.0]), amid_a_move=st.booleans())
    def a_stranger_takes_memory(self, part: float, amid_a_move: bool) -> None:
        if amid_a_move:
            self.world.stranger_will_have = part
        else:
            self.world.let_stranger_have(part)

    @rule()
    def worker_is_killed_and_started(self) -> None:
        first = len(self.world.done)
        self.world.restart_worker()
        self._check(first)

    def teardown(self) -> None:
        self._drain()

    def _drain(self) -> None:
        first = len(self.world.done)
        while self.world.step() is not None:
            self._check(first)
            first = len(self.world.done)

    def _check(self, first: int) -> None:
        for done in self.world.done[first:]:
            type(self).check(self.world, done)


def machine_for(check: Check, alter: Alter | None = None) -> type[Machine]:
    """Make the machine that checks one property, of a manager that may have been altered."""
    members = {"check": staticmethod(check)} | ({"alter": staticmethod(alter)} if alter else {})
    return type(check.__name__, (Machine,), members)
