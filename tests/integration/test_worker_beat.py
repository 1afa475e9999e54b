"""A stack as it runs in earnest, with beat and Flower: first without an Ollama, which comes later (R1.5, R4, R6.3)."""

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from singletrack import Client
from singletrack.cli.checks import run_checks
from singletrack.cli.context import TrackTarget
from singletrack.cli.findings import Finding
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child
from singletrack_ops.local.loopback import LOOPBACK
from singletrack_ops.services import flower_page
from singletrack_ops.stack import Stack
from singletrack_tasks.errors import OllamaUnreachable
from singletrack_tasks.events import IdleUnload, Recovered
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import (
    events_since,
    is_loaded,
    last_event_id,
    reason_codes,
    submit_endless,
    tasks_in_log,
    worker_environ,
)

pytestmark = pytest.mark.ollama

IDLE_TIMEOUT_S, TICK_S = 1.5, 0.5
MANY_TICKS_S = 8 * TICK_S


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the Ollama will be, and nobody else: bound, and not listened on, a connection to it is refused."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind((LOOPBACK, 0))
        yield kept.getsockname()[1]


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path, port: int
) -> Iterator[Stack]:
    """A stack without an Ollama."""
    environ = worker_environ(
        redis_url,
        "lonely",
        None,
        ollama_url=f"http://127.0.0.1:{port}",
        vlm_model=ollama.model,
        clip_weights=f"local-dir:{tiny_clip}",
        idle_timeout_s=IDLE_TIMEOUT_S,
        tick_interval_s=TICK_S,
        retry_pause_s=0,
    )
    with Stack.start(tmp_path_factory.mktemp("lonely"), environ=environ, gpu="simulated") as running:
        yield running


@pytest.fixture(scope="module")
def late(stack: Stack, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedOllama]:
    """The Ollama that comes later, at the address that the worker was given."""
    with EmbeddedOllama.start_sandbox(tmp_path_factory.mktemp("late-ollama"), port=port) as server:
        yield server


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with stack.client() as client:
        yield client


def test_r1_5_without_an_ollama_it_is_degraded_with_the_reason(client: Client) -> None:
    wait_for(lambda: client.status().degraded, "degraded mode")
    assert reason_codes(client) == {DegradedCode.OLLAMA_UNREACHABLE}
    assert client.status().vlm.state is ModelState.UNAVAILABLE


def test_r1_5_without_an_ollama_the_rest_goes_on(client: Client, port: int) -> None:
    with pytest.raises(OllamaUnreachable, match=str(port)):
        client.ask("hello")
    assert client.embed_texts(["goes on"]).vectors.shape[0] == 1
    recording = client.set_mode("RECORDING")
    assert recording.degraded
    assert recording.after is ExecutionMode.RECORDING


def test_r6_3_degraded_mode_ends_by_itself_when_the_ollama_comes(client: Client, late: EmbeddedOllama) -> None:
    wait_for(lambda: not client.status().degraded, "degraded mode ends")
    wait_for(lambda: DegradedCode.OLLAMA_UNREACHABLE in recovered_from(client), "its end is told")
    answer = client.ask("hello", options={"max_tokens": 1})
    assert answer.text
    # The question itself has it loaded, or finds it so; it may be idle again, and gone, by now.
    assert "load_vlm" in [receipt.step for receipt in answer.result.receipts] or is_loaded(late)


def recovered_from(client: Client) -> set[DegradedCode]:
    return {event.reason.code for event in events_since(client, "0-0") if isinstance(event, Recovered)}


def idle_unloads(client: Client, since: str) -> int:
    return sum(isinstance(event, IdleUnload) for event in events_since(client, since))


def test_r4_1_r4_4_beat_sends_an_idle_vlm_away(client: Client, late: EmbeddedOllama) -> None:
    client.set_mode("IDLE")
    wait_for(lambda: client.status().vlm.state is ModelState.UNLOADED, "what was loaded before has gone")
    start = last_event_id(client)
    client.ask("hello", options={"max_tokens": 1})
    wait_for(lambda: idle_unloads(client, start) == 1, "the idle unload is told")
    assert not is_loaded(late)
    wait_for(lambda: client.status().vlm.state is ModelState.UNLOADED, "the status shows it")


def test_a_visitor_goes_and_clip_comes_back(client: Client, late: EmbeddedOllama) -> None:
    client.set_mode("AUTOPILOT")
    visit = client.ask("hello", options={"max_tokens": 1})
    assert "load_vlm" in [receipt.step for receipt in visit.result.receipts]
    wait_for(lambda: client.status().clip.device == "cuda:0" and not is_loaded(late), "AUTOPILOT is as it should be")
    client.set_mode("IDLE")


def checks_in_log(stack: Stack) -> list[str]:
    """What the worker's log says of the checks that ended well."""
    return tasks_in_log(stack.folder / "worker.log", "gpu.upkeep.tick", "succeeded")


def was_merged(line: str) -> bool:
    return "merged with the check before it" in line


def test_checks_do_not_pile_up_behind_a_long_operation(client: Client, stack: Stack, late: EmbeddedOllama) -> None:
    job = submit_endless(client)
    before = len(checks_in_log(stack))
    waiting = client.status().queue_length or 0
    wait_for(
        lambda: (client.status().queue_length or 0) >= waiting + MANY_TICKS_S / TICK_S - 2, "checks became due", 30
    )
    job.cancel()
    client.ping()
    ended = checks_in_log(stack)[before:]
    assert sum(was_merged(line) for line in ended) >= len(ended) / 2, "of those that waited together, one is made"


def last_check_unix_s(client: Client) -> float:
    """When the last check came, 0 if none has."""
    return client.status().last_check_unix_s or 0.0


def beat_by_the_doctor(stack: Stack) -> Finding:
    environ = stack.worker_env
    target = TrackTarget(environ["SINGLETRACK_REDIS_URL"], environ["SINGLETRACK_TRACK"])
    (finding,) = [found for found in run_checks(target) if found.what == "beat"]
    return finding


def test_a_beat_that_is_dead_is_seen_and_so_is_its_return(stack: Stack, client: Client) -> None:
    assert stack.beat is not None
    wait_for(lambda: last_check_unix_s(client) > 0, "beat sends checks")
    assert beat_by_the_doctor(stack).verdict == "ok"
    stack.beat.stop()
    wait_for(lambda: DegradedCode.CHECKS_MISSING in reason_codes(client), "the checks are missed", 180)
    assert beat_by_the_doctor(stack).verdict == "problem"
    with beat_of_another_machine(stack, 0.0):
        wait_for(lambda: DegradedCode.CHECKS_MISSING not in reason_codes(client), "the reason goes by itself")
        assert beat_by_the_doctor(stack).verdict == "ok"


@contextmanager
def beat_of_another_machine(stack: Stack, off_s: float) -> Iterator[None]:
    """A beat in place of that of the stack, on a machine whose wall clock is off."""
    assert stack.beat is not None
    stack.beat.stop()
    folder = stack.folder / f"beat{off_s}"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.integration.another_clock", str(off_s), "-A", "singletrack_worker", "beat"]
    environ = {**stack.worker_env, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = Child.start("beat", command, env=environ, cwd=folder, log_path=folder / "beat.log")
    try:
        yield
    finally:
        child.stop()


def wait_for_a_check(stack: Stack) -> None:
    """Wait until one more is made, and not merged."""
    before = len(checks_in_log(stack))
    wait_for(lambda: not all(map(was_merged, checks_in_log(stack)[before:])), "a check is made")


@pytest.mark.parametrize("off_s", [-20.0, -7200.0, 7200.0])
def test_a_beat_whose_clock_is_off_is_heeded(stack: Stack, client: Client, off_s: float) -> None:
    with beat_of_another_machine(stack, off_s):
        for _ in range(3):
            wait_for_a_check(stack)


def test_flower_shows_the_worker(stack: Stack) -> None:
    assert stack.flower_url is not None
    url = stack.flower_url

    def workers() -> dict[str, object]:
        page = flower_page(url, "/workers?json=1")
        return {} if page is None else {worker["hostname"]: worker for worker in json.loads(page)["data"]}

    wait_for(lambda: len(workers()) == 1, "Flower knows the worker")
    assert next(iter(workers())).startswith("celery@")
    wait_for(lambda: flower_page(url, "/tasks") is not None, "Flower shows the tasks")
