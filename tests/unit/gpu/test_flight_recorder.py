"""The flight recorder: bounded, there when something fails, and never in the way."""

import logging
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from singletrack_tasks.errors import EncoderFailure, MigrationFailed, OllamaUnreachable
from singletrack_tasks.recording import KEPT_S, MARKS_MAX, SAMPLES_MAX, GpuProcess, Recording, Sample
from singletrack_tasks.requests.embedding import EmbedTexts
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_worker.gpu.clock import Clock, SystemClock
from singletrack_worker.gpu.flight_recorder import PERIOD_S, WRITE_EVERY_S, FlightRecorder
from singletrack_worker.gpu.kept_thread import Troubles
from singletrack_worker.gpu.stores import EndedOperation, Ending
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.fakes import FakeClock
from tests.integration.ops.waiting import wait_for
from tests.unit.gpu.rig import CLIP_MB, DESKTOP_MB, VLM_MB, Rig

OUT_OF_MEMORY = MigrationFailed("CLIP stays on the CPU: CUDA out of memory", {"kind": "out_of_memory"})
AWAY = OllamaUnreachable("no server answers")


class Flight:
    """A recorder whose clock, disk and askers are a test's."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.fake = FakeClock()
        self.clock = clock or self.fake
        self.gpu = SimulatedGpu(8192, DESKTOP_MB)
        self.written: list[Recording] = []
        self.delivered: list[tuple[str, Recording]] = []
        self.looks = 0
        self.look: Callable[[tuple[GpuProcess, ...]], Sample] = self.sample
        self.recorder = FlightRecorder(
            "gpu0",
            self.gpu,
            self.clock,
            write=self.written.append,
            deliver=lambda request_id, recording: self.delivered.append((request_id, recording)),
            troubles=Troubles(),
        )

    def sample(self, processes: tuple[GpuProcess, ...]) -> Sample:
        self.looks += 1
        return Sample(
            at_unix_s=self.clock.time(),
            processes=processes,
            mode=ExecutionMode.IDLE,
            vlm=ModelState.UNLOADED,
            clip_device="cpu",
        )

    def fly(self, duration_s: float = PERIOD_S) -> None:
        """Let the time pass, as the recorder's thread would see it."""
        for _ in range(int(duration_s / PERIOD_S)):
            self.fake.advance(PERIOD_S)
            self.step()

    def step(self) -> None:
        self.recorder._step(self.look)

    def fail(self, error: MigrationFailed | OllamaUnreachable, step: str = "promote_clip") -> None:
        receipt = StepReceipt.model_validate({"step": step, "ok": False, "duration_s": 0.5, "detail": str(error)})
        self.recorder.moved(receipt, error)

    def on_demand(self) -> Recording:
        self.recorder.ask("r-1")
        self.step()
        return self.delivered[-1][1]


@pytest.fixture
def flight() -> Flight:
    return Flight()


def operation(*, out_of_memory: bool = False, error: str | None = None) -> EndedOperation:
    outcome: Ending = "failed" if error else "ok"
    return EndedOperation("ask", "j-1", outcome, error, None, 2.0, 2.0, 0, 0, out_of_memory)


def test_it_samples_twice_a_second_and_keeps_ten_minutes(flight: Flight) -> None:
    flight.fly(KEPT_S + 60)
    kept = flight.on_demand().samples
    assert len(kept) == SAMPLES_MAX
    assert kept[-1].at_unix_s - kept[0].at_unix_s == KEPT_S - PERIOD_S
    assert kept[-1].at_unix_s == flight.clock.time()


def test_asking_again_and_again_pushes_no_sample_out(flight: Flight) -> None:
    flight.fly(10)
    looks = flight.looks
    for number in range(50):
        flight.recorder.ask(f"r-{number}")
        flight.recorder.ask(f"r-{number}")
        flight.step()
    assert flight.looks == looks
    assert [request_id for request_id, _ in flight.delivered] == [f"r-{number}" for number in range(50)]
    assert flight.written == []


def test_a_recording_says_of_which_gpu_it_is(flight: Flight) -> None:
    flight.fly()
    recording = flight.on_demand()
    assert (recording.track, recording.reason, recording.total_mb) == ("gpu0", "on_demand", 8192)
    assert recording.gpu == flight.gpu.gpu
    assert recording.taken_unix_s == flight.clock.time()


def test_processes_are_listed_less_often_than_memory_is_read(flight: Flight, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[float] = []

    def processes() -> tuple[GpuProcess, ...]:
        listed.append(flight.clock.monotonic())
        return (GpuProcess(pid=7, name="clip", vram_mb=100),)

    monkeypatch.setattr(flight.gpu, "processes", processes)
    flight.fly(20)
    assert len(listed) == 10
    samples = flight.on_demand().samples
    assert all(sample.processes == (GpuProcess(pid=7, name="clip", vram_mb=100),) for sample in samples)
    assert len({id(sample.processes[0]) for sample in samples}) == 1, "what has not changed is kept once"


def test_a_step_that_failed_is_written_down_with_the_moment_itself(flight: Flight) -> None:
    flight.fly(5)
    flight.fake.advance(0.1)
    flight.fail(AWAY, "load_vlm")
    assert flight.written == [], "nothing is written in the thread of the operation"
    flight.step()
    (written,) = flight.written
    assert (written.reason, written.detail) == ("load_vlm_failed", "no server answers")
    assert written.samples[-1].at_unix_s == flight.clock.time()
    (mark,) = written.marks
    assert (mark.what, mark.error, mark.duration_s) == ("load_vlm", "OllamaUnreachable: no server answers", 0.5)


def test_memory_that_ran_out_is_the_reason(flight: Flight) -> None:
    flight.fail(OUT_OF_MEMORY)
    flight.step()
    (written,) = flight.written
    assert (written.reason, written.detail) == ("out_of_memory", f"promote_clip: {OUT_OF_MEMORY}")


def test_an_operation_that_ran_out_of_memory_is_written_down_also_where_it_went_on(flight: Flight) -> None:
    flight.recorder.ended(operation(out_of_memory=True))
    flight.step()
    (written,) = flight.written
    assert (written.reason, written.detail) == ("out_of_memory", "ask of job j-1")
    assert [(mark.what, mark.error) for mark in written.marks] == [("ask", "out_of_memory")]


def test_what_went_well_or_failed_otherwise_is_only_marked(flight: Flight) -> None:
    flight.recorder.moved(StepReceipt(step="load_vlm", ok=True, duration_s=2.0), None)
    flight.recorder.ended(operation())
    flight.recorder.ended(operation(error="InvalidImage"))
    flight.fly(60)
    assert flight.written == []
    marks = flight.on_demand().marks
    assert [(mark.what, mark.error) for mark in marks] == [("load_vlm", ""), ("ask", "InvalidImage")]


def test_a_storm_of_failures_is_few_recordings_and_none_is_missing(flight: Flight) -> None:
    for _ in range(600):
        flight.fail(AWAY, "load_vlm")
        flight.fly(PERIOD_S)
    last = flight.clock.time()
    flight.fly(WRITE_EVERY_S)
    assert len(flight.written) == 300 / WRITE_EVERY_S + 1
    times = [written.taken_unix_s for written in flight.written]
    assert min(after - before for before, after in pairwise(times)) >= WRITE_EVERY_S
    assert times[-1] >= last
    assert len(flight.written[-1].marks) <= MARKS_MAX


def test_a_storm_of_failures_pushes_out_no_minutes(flight: Flight) -> None:
    flight.fly(120)
    for _ in range(50 * 60):
        flight.fake.advance(0.02)
        flight.fail(OUT_OF_MEMORY)
        flight.step()
    samples = flight.on_demand().samples
    assert samples[-1].at_unix_s - samples[0].at_unix_s > 175
    assert len(samples) < 2 * 180 + 10


def test_of_failures_that_have_to_wait_memory_that_ran_out_is_the_reason(flight: Flight) -> None:
    flight.fail(AWAY, "load_vlm")
    flight.step()
    for error in (AWAY, OUT_OF_MEMORY, AWAY):
        flight.fly(1)
        flight.fail(error)
    flight.fly(WRITE_EVERY_S)
    assert [written.reason for written in flight.written] == ["load_vlm_failed", "out_of_memory"]


def test_marks_older_than_the_samples_are_left_out(flight: Flight) -> None:
    flight.recorder.moved(StepReceipt(step="load_vlm", ok=True, duration_s=2.0), None)
    flight.fly(KEPT_S + 1)
    assert flight.on_demand().marks == ()


def test_a_sample_that_fails_keeps_nothing_else_from_being_done(
    flight: Flight, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: tuple[GpuProcess, ...]) -> Sample:
        raise RuntimeError("no such luck")

    flight.fly(2)
    flight.look = broken
    with caplog.at_level(logging.ERROR):
        flight.fly(50)
        assert len(caplog.records) == 1, "one complaint is enough"
        flight.fail(OUT_OF_MEMORY)
        assert len(flight.on_demand().samples) == 4
        assert len(flight.written) == 1
        flight.fly(30)
    assert len(caplog.records) == 1
    flight.look = flight.sample
    flight.fly(1)
    assert len(flight.on_demand().samples) == 6


def test_a_disk_or_an_asker_that_fails_is_survived(flight: Flight, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such luck")

    flight.recorder._write = flight.recorder._deliver = broken
    flight.fail(OUT_OF_MEMORY)
    flight.recorder.ask("r-1")
    flight.fly(2)
    assert "no such luck" in caplog.text
    assert flight.looks == 4


class TestThread:
    def test_it_samples_delivers_and_writes_what_it_owes_at_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("singletrack_worker.gpu.flight_recorder._END_S", 30.0)
        flight = Flight(SystemClock())
        recorder = flight.recorder
        recorder.start(flight.sample)
        wait_for(lambda: flight.looks >= 2, "it samples by itself")
        recorder.ask("r-1")
        wait_for(lambda: bool(flight.delivered), "the recording is delivered")
        flight.fail(AWAY)
        wait_for(lambda: len(flight.written) == 1, "the failure is written")
        flight.fail(OUT_OF_MEMORY)
        recorder.stop()
        recorder.stop()
        assert [written.reason for written in flight.written] == ["promote_clip_failed", "out_of_memory"]
        assert "flight-recorder" not in {thread.name for thread in threading.enumerate()}

    def test_a_driver_that_hangs_does_not_keep_the_worker_from_ending(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("singletrack_worker.gpu.flight_recorder._END_S", 0.05)
        hung, go_on = threading.Event(), threading.Event()
        flight = Flight()

        def hang(processes: tuple[GpuProcess, ...]) -> Sample:
            hung.set()
            assert go_on.wait(30)
            return flight.sample(processes)

        flight.recorder.start(hang)
        assert flight.recorder._thread is not None
        thread = flight.recorder._thread._thread
        assert hung.wait(30)
        flight.recorder.stop()
        assert thread.is_alive()
        go_on.set()
        thread.join(30)


class TestSamplesOfAManager:
    def test_tenants_mode_and_states(self) -> None:
        rig = Rig().started()
        rig.set_mode(ExecutionMode.RECORDING)
        sample = rig.manager.sample(())
        assert (sample.used_mb, sample.vlm_mb, sample.clip_mb) == (DESKTOP_MB + VLM_MB, VLM_MB, 0)
        assert (sample.mode, sample.vlm, sample.clip_device) == (ExecutionMode.RECORDING, ModelState.LOADED, "cpu")
        assert (sample.operation, sample.stage, sample.job_id) == (None, None, None)
        rig.set_mode(ExecutionMode.AUTOPILOT)
        sample = rig.manager.sample(rig.vram.processes())
        assert (sample.used_mb, sample.vlm_mb, sample.clip_mb) == (DESKTOP_MB + CLIP_MB, 0, CLIP_MB)
        assert [process.name for process in sample.processes] == ["clip"]

    def test_clip_takes_what_the_driver_says_or_else_what_was_measured(self) -> None:
        rig = Rig().started()
        rig.set_mode(ExecutionMode.AUTOPILOT)
        (clip,) = rig.vram.processes()
        assert rig.manager.sample((clip.model_copy(update={"vram_mb": 1234}),)).clip_mb == 1234
        assert rig.manager.sample((clip.model_copy(update={"vram_mb": None}),)).clip_mb == CLIP_MB
        assert rig.manager.sample(()).clip_mb == CLIP_MB

    def test_an_operation_in_flight_with_its_stage(self) -> None:
        rig = Rig().started()
        samples: list[Sample] = []
        rig.clock.on_sleep = lambda: samples.append(rig.manager.sample(()))
        rig.manager.run(Ask(prompt="what?"), JobRef("j-1"))
        assert {sample.operation for sample in samples} == {"ask"}
        assert {sample.job_id for sample in samples} == {"j-1"}
        assert samples[0].stage == "load_vlm"
        assert "read" in {sample.stage for sample in samples}

    def test_without_a_gpu(self) -> None:
        sample = Rig(None).started().manager.sample(())
        assert (sample.used_mb, sample.vlm_mb, sample.clip_mb, sample.clip_device) == (None, None, None, "cpu")

    def test_it_emits_nothing(self) -> None:
        rig = Rig().started()
        rig.manager.status()
        rig.vlm.load_by_somebody()
        kinds = rig.kinds()
        rig.manager.sample(())
        rig.manager.glance()
        assert rig.kinds() == kinds
        rig.manager.status()
        assert rig.kinds() == [*kinds, "resource_changed"]


def test_an_encoder_that_ran_out_of_memory_is_told_although_the_cpu_went_on() -> None:
    rig = Rig().started()
    rig.set_mode(ExecutionMode.AUTOPILOT)
    rig.clip.gpu_encoder_dies()
    rig.clip.given_up = EncoderFailure("the encoder failed: CUDA out of memory", {"kind": "out_of_memory"})
    assert rig.manager.run(EmbedTexts(texts=("a button",)), JobRef("j-1")).device == "cpu"
    assert rig.stores.telemetry.operations[-1].out_of_memory
    (reason,) = rig.manager.status().reasons
    assert "CUDA out of memory" in reason.message
    rig.manager.run(Ping(), JobRef("j-2"))
    assert not rig.stores.telemetry.operations[-1].out_of_memory
