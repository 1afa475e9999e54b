"""One running world: a Redis, an Ollama, a worker that is kept running, clients that never stop asking."""

import contextlib
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import redis

from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child
from tests.faults import places
from tests.faults.clients import FINISH_S, STOP, office_of
from tests.faults.database import Database
from tests.faults.errands import PATIENT_S
from tests.faults.history import Fault, Journal, LockedOut, Noticed, Record, Recovered, TakenAway, now_ns, read
from tests.faults.keeper import Keeper
from tests.faults.leftovers import finals, look
from tests.faults.player import Player
from tests.faults.proxy import Proxy
from tests.faults.subjects import GRACE_S, Subject, run_environ
from tests.faults.watch import Watch

CLIENTS = 3
PAUSE_S = 0.06
UP_S = 60.0
# The driver sends while the worker is stopped: it must never wait for a place.
MOST_OPEN = 1000
# A world that does nothing for so long after a fault has not survived it.
RECOVERY_S = 60.0
_END_S = 10.0


class World:
    """Everything of one run, started by `with`; afterwards nothing of it runs any more."""

    database: Database
    ollama: EmbeddedOllama | None = None
    proxy: Proxy | None = None
    beat: Child | None = None
    keeper: Keeper
    player: Player

    def __init__(
        self,
        folder: Path,
        subject: Subject,
        seed: str,
        *,
        proxied: bool = False,
        clock: bool = False,
        redis_clock: bool = False,
        beat: bool = True,
    ) -> None:
        self.folder = folder
        self.subject = subject
        self.seed = seed
        self.run = uuid.uuid4().hex
        self.history = folder / "history.jsonl"
        self.clock = folder / "clock"
        # Messages that were pushed to be buried.
        self.malformed: list[bytes] = []
        # Messages as they lay on the queue, of jobs that were accepted.
        self.raw_messages: list[bytes] = []
        self.evicted = False
        self._wanted = (proxied, clock, redis_clock, beat)
        self.last_fault: Fault | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        try:
            self._start()
        except BaseException:  # an interrupt by the user included: what was started must not stay
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def url(self) -> str:
        """The address of Redis itself, the proxy passed by."""
        return self.database.url

    def connect(self) -> redis.Redis:
        """Open a connection of the driver's own."""
        return self.database.connect()

    def environ(self, host: str = "a", **more: str) -> dict[str, str]:
        """The environment of a worker on a host."""
        port = self.database.port if self.proxy is None else self.proxy.port
        worker_url = self.url.replace(f":{self.database.port}", f":{port}")
        environ = self.subject.environ(self.url, worker_url, self.ollama, self.folder)
        environ |= run_environ(self.history, self.run) | {places.HOST: host}
        if self.clock.exists():
            environ[places.CLOCK] = str(self.clock)
        return environ | {"SINGLETRACK_LOCK_DIR": str(self.locks(host))} | more

    def locks(self, host: str = "a") -> Path:
        """Where the workers of a host have their locks."""
        return self.folder / f"locks-{host}"

    def keep_worker(self, host: str = "a", **more: str) -> Keeper:
        """Start a worker that is kept running."""
        environ, name = self.environ(host, **more), f"worker-{host}-{uuid.uuid4().hex[:4]}"
        folder = self.folder

        def start(number: int) -> Child:
            return self.subject.start_worker(folder, environ, f"{name}-{number}")

        keeper = Keeper(host, start, self.journal)
        self._cleanup.callback(keeper.stop)
        return keeper

    def own(self, child: Child) -> Child:
        """Have a process ended with the world."""
        self._cleanup.callback(child.stop, 1.0)
        return child

    def note(self, record: Record) -> None:
        """Write into the history."""
        self.journal.note(record)

    def notice(self, kind: str, text: str) -> None:
        """Note what must not be."""
        self.note(Noticed(now_ns(), kind, text))

    def begin_fault(self, kind: str, trials: int = 1) -> Fault:
        """Note that a fault comes now."""
        number = 1 if self.last_fault is None else self.last_fault.number + 1
        self.last_fault = Fault(now_ns(), number, kind, trials)
        self.note(self.last_fault)
        return self.last_fault

    def wait_until_it_works(self, fault: Fault) -> None:
        """Wait until an operation has begun and ended after the fault was over."""
        over_ns = now_ns()
        done_ns: list[int] = []

        def works() -> bool:
            found = self.watch.done_since(over_ns)
            if found is not None:
                done_ns.append(found)
            return found is not None

        if self.watch.wait(works, RECOVERY_S):
            self.note(Recovered(done_ns[0], fault.number))
        else:
            self.notice("not recovered", f"nothing was done in {RECOVERY_S:.0f} s after {fault.kind}")

    def kill_ollama(self) -> None:
        """Kill Ollama with all of its processes."""
        assert self.ollama is not None
        assert self.ollama.child is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.ollama.child.pid, signal.SIGKILL)
        self.ollama.stop()

    def start_ollama(self) -> None:
        """Start it again, where it was."""
        assert self.ollama is not None
        port = urlsplit(self.ollama.url).port
        self.ollama = EmbeddedOllama.start_sandbox(self.folder / "ollama", port=port)
        self._cleanup.callback(self.ollama.stop)

    def start_beat(self, off_s: float = 0) -> Child:
        """Start one more beat, on a machine whose wall clock is off by so much."""
        folder = self.folder / f"beat-{uuid.uuid4().hex[:4]}"
        return self.own(self.subject.start_beat(folder, self.environ(), off_s))

    def start_client(self, module: str, name: str, *arguments: str) -> Child:
        """Start one more program of clients."""
        command = [sys.executable, "-m", module, name, *arguments]
        log = self.folder / f"{name}.log"
        return self.own(Child.start(name, command, env=self._client_environ(), cwd=self.folder, log_path=log))

    def take_away(self, *, everything: bool) -> AbstractContextManager[None]:
        """Note that Redis loses messages while this lasts, or everything; what was kept for later is forgotten."""
        self.malformed.clear()
        self.raw_messages.clear()
        return self._noted(lambda begun_ns: TakenAway(begun_ns, now_ns(), everything))

    def lock_out(self) -> AbstractContextManager[None]:
        """Note that Redis refuses everybody while this lasts."""
        return self._noted(lambda begun_ns: LockedOut(begun_ns, now_ns()))

    def drain(self) -> None:
        """Have the clients stop, everything come to its end, and look at what is left."""
        (self.folder / STOP).touch()
        for client in self._clients:
            status = client.wait(FINISH_S + _END_S)
            if status != 0:
                self.notice("hung", f"{client.name} ended with {status}: {client.log_tail(1)}")
        if not self.player.finish(FINISH_S):
            self.notice("hung", "the driver's own client was not told everything")
        if self.beat is not None:
            self.beat.stop()
        with self.connect() as connection:
            self.watch.wait(lambda: not connection.exists(self.subject.queue), PATIENT_S)
            self.watch.wait(lambda: not self.watch.busy, PATIENT_S)
            self._end_worker()
            for final in finals(connection, self.subject, read(self.history)):
                self.note(final)
            for noticed in look(self, connection):
                self.note(noticed)

    @contextlib.contextmanager
    def _noted(self, record: Callable[[int], Record]) -> Iterator[None]:
        begun_ns = now_ns()
        try:
            yield
        finally:
            self.note(record(begun_ns))

    def _start(self) -> None:
        proxied, clock, redis_clock, beat = self._wanted
        self.journal = Journal(self.history)
        self._cleanup.callback(self.journal.close)
        self.watch = Watch(self.history)
        if clock:
            self.clock.write_text("0", encoding="utf-8")
        self.database = Database(self.folder, self.journal, clock=redis_clock)
        self._cleanup.callback(self.database.stop)
        if proxied:
            self.proxy = self._cleanup.enter_context(Proxy(self.database.port))
        if self.subject.ours:
            self.ollama = EmbeddedOllama.start_sandbox(self.folder / "ollama")
            self._cleanup.callback(self.ollama.stop)
        self.keeper = self.keep_worker()
        if self.subject.ours and beat:
            self.beat = self.start_beat()
        self._start_clients()
        assert self.watch.wait(lambda: self.watch.done_since(0) is not None, UP_S), self.keeper.child.log_tail()

    def _start_clients(self) -> None:
        stops = (self.folder / STOP).exists
        self.player = Player(
            "driver",
            self._office(self._client_environ()),
            self.journal,
            goes_on=lambda: not stops(),
            most_open=MOST_OPEN,
        )
        self._cleanup.callback(self.player.close)
        more = (self.seed, str(PAUSE_S), self.subject.name)
        self._clients = [
            self.start_client("tests.faults.clients", f"client-{number}", *more) for number in range(CLIENTS)
        ]

    def _office(self, environ: dict[str, str]) -> Any:
        office = office_of(self.subject.name, environ)
        self._cleanup.callback(office.close)
        return office

    def _client_environ(self) -> dict[str, str]:
        environ = self.subject.environ(self.url, self.url, self.ollama, self.folder)
        return environ | run_environ(self.history, self.run)

    def _end_worker(self) -> None:
        status = self.keeper.end(GRACE_S + _END_S)
        if status != 0:
            self.notice("bad end", f"the worker ended with {status}")


def moments(rng: random.Random, longest_s: float) -> None:
    """Let a random time go by: when something happens is what the run is about."""
    time.sleep(rng.uniform(0, longest_s))
