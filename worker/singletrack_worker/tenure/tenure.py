"""A worker's tenure of its track: the host's lock, then the lease, then the messages that earlier holders left."""

import logging
import threading
import time
from collections.abc import Callable, Container
from functools import partial
from typing import Protocol

import redis

from singletrack_tasks.errors import RedisUnavailable, SingletrackError
from singletrack_tasks.keys import STATE_TTL_S
from singletrack_tasks.status import LeaseInfo
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.gpu.hold import Overtaken
from singletrack_worker.gpu.kept_thread import KeptThread, Troubles
from singletrack_worker.settings import MIB, GPUResourceConfig
from singletrack_worker.store.writer import FencedWriter
from singletrack_worker.tenure.fence import set_token
from singletrack_worker.tenure.host_lock import EX_HELD, Holder, HostLock, LockLost, lock_path, track_name
from singletrack_worker.tenure.lease import Lease
from singletrack_worker.tenure.watchdog import Freeze

RENEW_EVERY_S = 5.0
# A worker that cannot go on ends with this status, and a service manager starts it again (EX_SOFTWARE).
EX_HOPELESS = 70
_RETRY_S = 1.0
_RESUME_ENDS_S = 10.0
_LOOK_EVERY_S = 0.25
_log = logging.getLogger(__name__)


class HeldByAnother(Exception):
    """Another worker has the GPU or the track."""

    def __init__(self, what: str, holder: Holder) -> None:
        super().__init__(
            f"{what} is served already, by {holder}. A GPU has one worker: stop that one first, or set "
            "SINGLETRACK_STANDBY=1 to make this one wait and take over."
        )


def host_lock(config: GPUResourceConfig, gpu_uuid: str | None) -> HostLock:
    """Return the lock of the configured GPU or, without a GPU, of the track; raises `InvalidConfiguration`."""
    name = gpu_uuid or track_name(config.redis_url.get_secret_value(), config.track)
    return HostLock(lock_path(config.lock_dir, name))


def take_lock(lock: HostLock, what: str, *, standby: bool, go_on: Callable[[], None]) -> None:
    """Take the host's lock; a standby waits for it until `go_on` raises. Raises `HeldByAnother`."""
    told = False
    while (holder := lock.take()) is not None:
        if not standby:
            raise HeldByAnother(what, holder)
        if not told:
            _log.warning("%s is served by %s: this worker stands by", what, holder)
            told = True
        go_on()
        time.sleep(_LOOK_EVERY_S)


class Serving(Protocol):
    """Whoever works on the GPU under the lease."""

    def overtaken(self) -> None:
        """Break off the operation in flight: another worker has the track."""

    def resume(self) -> None:
        """Take over the state that another worker saved meanwhile."""


class Tenure:
    """The time during which this worker serves its track; a thread of its own renews the lease.

    `inherited` is the number of messages that earlier workers had in hand when they died. It is the GPU's `Hold`;
    `troubles` tells what is wrong with its threads.
    """

    def __init__(
        self, client: redis.Redis, config: GPUResourceConfig, lock: HostLock, *, tasks: Container[str], standby: bool
    ) -> None:
        """Takes nothing yet; raises `redis.RedisError`."""
        keys = config.keys
        scripts = Scripts(client)
        self._config = config
        self._standby = standby
        self._lock = lock
        self._lease = Lease(client, keys, scripts, lock)
        # Set when the lease may have been lost, and at the end.
        self._wake = threading.Event()
        self.inbox = Inbox(
            keys,
            scripts,
            host=Holder.this_process().host,
            tasks=tasks,
            starts_max=config.starts_max,
            refused=self._wake.set,
        )
        self.inherited = 0
        self.writer = FencedWriter(client, keys, scripts, lambda: self._lease.token)
        self.troubles = Troubles()
        self._stopped = threading.Event()
        self._threads: dict[str, KeptThread] = {}
        # Whether another worker took the track, until this one has it back and has told so.
        self._lost = False
        self._ending = False

    @property
    def lease(self) -> LeaseInfo:
        """The lease as the status shows it."""
        return self._lease.info

    @property
    def token(self) -> int:
        """The token of the lease, 0 while another worker has it."""
        return self._lease.token

    def holds(self, token: int) -> bool | None:
        """Return whether the lease of that token lasts, as `Hold` has it; what nobody knows, its thread finds out."""
        held = self._lease.holds(token)
        if held is None:
            self._wake.set()
        return held

    def begin(self, go_on: Callable[[], None]) -> None:
        """Take the lease and the messages that earlier holders left.

        Waits for another host's lease to run out. If that is renewed instead, its holder is alive: raises
        `HeldByAnother`, or, as a standby, waits until `go_on` raises. Raises `RedisUnavailable`, and
        `InvalidConfiguration` if the lock cannot be written.
        """
        try:
            self._wait_for_lease(go_on)
            set_token(self._lease.token)
            self._tell_limits()
            self._blame_frozen()
            self.inherited = self.inbox.open(self._lease.token)
        except redis.RedisError as error:
            raise RedisUnavailable(f"cannot take the lease on the track: {error}") from error

    def keep(self, gpu: Serving, end: Callable[[int], None]) -> None:
        """Renew the lease from now on, and take it again after it was lost; then `gpu` resumes before any message.

        A worker that cannot go on, or whose lock another one has, is told to end with an exit status.
        """
        self._gpu, self._end = gpu, end
        self._wake.set()
        self._start_thread("lease", self._look_after)

    def end(self) -> None:
        """Put back what is in hand and give the lease back; harmless when repeated."""
        self._stopped.set()
        self._wake.set()
        for name, limit_s in (("lease", None), ("resume", _RESUME_ENDS_S)):
            if (thread := self._threads.pop(name, None)) is not None:
                thread.end(limit_s)
        self.abandon()

    def abandon(self) -> None:
        """End without waiting for anything."""
        self._stopped.set()
        self._wake.set()
        try:
            self.inbox.close()
            self._lease.release()
        except redis.RedisError as error:
            _log.warning("could not give the track back, the next worker takes it anyway: %s", error)
        set_token(0)

    def _wait_for_lease(self, go_on: Callable[[], None]) -> None:
        left_ms = self._lease.ttl_ms()
        while (holder := self._lease.take()) is not None:
            now_left_ms = self._lease.ttl_ms()
            if now_left_ms > left_ms and not self._standby:
                raise HeldByAnother(f"the track {self._config.track}", holder)
            left_ms = now_left_ms
            go_on()
            time.sleep(_LOOK_EVERY_S)

    def _blame_frozen(self) -> None:
        """Have the job buried at which the last worker of this lock froze, before any message is taken."""
        path = self._lock.path
        if (freeze := Freeze.find(path)) is None:
            return
        job_id = self.inbox.condemn(self._lease.token, freeze.token, freeze.why) if freeze.certain else ""
        freeze.put_away(path)
        text = "the watchdog ended an earlier worker (process %d) at %s; its traceback is in %s"
        _log.critical(text, freeze.pid, f"job {job_id}" if job_id else "no job that is to blame", freeze.traceback)

    def _tell_limits(self) -> None:
        key = self._config.keys.limits
        self.writer.write(
            ("HSET", key, "queue_max", self._config.queue_max),
            ("HSET", key, "payload_bytes_max", self._config.payloads_max_mb * MIB),
            ("EXPIRE", key, STATE_TTL_S),
        )

    def _start_thread(self, name: str, work: Callable[[], bool]) -> None:
        thread = KeptThread(name, work, self.troubles, hopeless=self._give_up)
        self._threads[name] = thread
        thread.start()

    def _give_up(self) -> None:
        if not self._ending:
            _log.critical("the worker cannot serve its track and ends, so that another can")
            self._ending = True
            self._end(EX_HOPELESS)

    def _look_after(self) -> bool:
        """Renew the lease or take it again when that is due, and look after the lock; returns whether to go on."""
        self._wake.wait(RENEW_EVERY_S)
        self._wake.clear()
        if self._stopped.is_set():
            return False
        try:
            if self._lost or not self._renewed():
                self._take_again()
            self._keep_lock()
        except Exception:
            # The lease would run out if the next look came only when it is due.
            self._wake.set()
            raise
        return True

    def _renewed(self) -> bool:
        try:
            if not self._lease.renew():
                return False
            self.inbox.sweep()
        except redis.RedisError as error:
            # Nobody else can take it meanwhile either, and every write is checked.
            _log.warning("could not renew the lease: %s", error)
            self._stopped.wait(_RETRY_S)
        return True

    def _keep_lock(self) -> None:
        try:
            if not self._ending:
                self._lock.keep()
        except LockLost as error:
            _log.critical("%s: this worker ends", error)
            self._ending = True
            self._end(EX_HELD)

    def _take_again(self) -> None:
        """Take no messages until this worker has the lease again."""
        if not self._lost:
            self._lost = True
            _log.error("another worker has taken the track: this one waits to get it back")
            self.inbox.suspend()
            set_token(0)
            self._gpu.overtaken()
        while not self._stopped.is_set() and not self._ending:
            self._keep_lock()
            try:
                if not self._ending and self._lease.take() is None:
                    self._go_on()
                    return
            except redis.RedisError as error:
                _log.warning("could not take the lease: %s", error)
            self._stopped.wait(_RETRY_S)

    def _go_on(self) -> None:
        token = self._lease.token
        set_token(token)
        # In a thread of its own: it waits for the operation in flight, while this one renews the lease.
        self._start_thread("resume", partial(self._resume, token))
        self._lost = False

    def _resume(self, token: int) -> bool:
        """Serve the track under this token; returns whether to try again."""
        if self._stopped.is_set() or token != self._lease.token:
            return False
        try:
            self._tell_limits()
            self._gpu.resume()
            if token == self._lease.token:
                self.inbox.open(token)
        except Overtaken:
            return False
        except (redis.RedisError, SingletrackError) as error:
            _log.warning("could not resume serving the track, trying again: %s", error)
            self._stopped.wait(_RETRY_S)
            return True
        if token != self._lease.token and token == self.inbox.token:
            self.inbox.suspend()
        return False
