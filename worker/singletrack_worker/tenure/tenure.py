"""A worker's tenure of its track: the host's lock, then the lease, then the messages that earlier holders left."""

import logging
import threading
import time
from collections.abc import Callable, Container

import redis

from singletrack_tasks.errors import RedisUnavailable, SingletrackError
from singletrack_tasks.keys import STATE_TTL_S
from singletrack_tasks.status import LeaseInfo
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.settings import MIB, GPUResourceConfig
from singletrack_worker.store.writer import FencedWriter
from singletrack_worker.tenure.fence import set_token
from singletrack_worker.tenure.host_lock import Holder, HostLock, lock_path, track_name
from singletrack_worker.tenure.lease import Lease

RENEW_EVERY_S = 5.0
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


class Tenure:
    """The time during which this worker serves its track; a thread of its own renews the lease.

    `inherited` is the number of messages that earlier workers had in hand when they died.
    """

    def __init__(
        self, client: redis.Redis, config: GPUResourceConfig, lock: HostLock, *, tasks: Container[str], standby: bool
    ) -> None:
        """Takes nothing yet; raises `redis.RedisError`."""
        keys = config.keys
        scripts = Scripts(client)
        self._config = config
        self._standby = standby
        self._lease = Lease(client, keys, scripts, lock)
        # Set when the lease may have been lost, and at the end.
        self._wake = threading.Event()
        self.inbox = Inbox(keys, scripts, host=Holder.this_process().host, tasks=tasks, refused=self._wake.set)
        self.inherited = 0
        self.writer = FencedWriter(client, keys, scripts, lambda: self._lease.token)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._resuming: threading.Thread | None = None

    @property
    def lease(self) -> LeaseInfo:
        """The lease as the status shows it."""
        return self._lease.info

    def begin(self, go_on: Callable[[], None]) -> None:
        """Take the lease and the messages that earlier holders left.

        Waits for another host's lease to run out. If that is renewed instead, its holder is alive: raises
        `HeldByAnother`, or, as a standby, waits until `go_on` raises. Raises `RedisUnavailable`.
        """
        try:
            self._wait_for_lease(go_on)
            set_token(self._lease.token)
            self._tell_limits()
            self.inherited = self.inbox.open(self._lease.token)
        except redis.RedisError as error:
            raise RedisUnavailable(f"cannot take the lease on the track: {error}") from error

    def keep(self, resume: Callable[[], None]) -> None:
        """Renew the lease from now on; after it was lost and retaken, call `resume` before taking any message."""
        self._thread = threading.Thread(target=self._run, args=(resume,), name="lease", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Put back what is in hand and give the lease back; harmless when repeated."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._resuming is not None:
            self._resuming.join(_RESUME_ENDS_S)
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

    def _tell_limits(self) -> None:
        key = self._config.keys.limits
        self.writer.write(
            ("HSET", key, "queue_max", self._config.queue_max),
            ("HSET", key, "payload_bytes_max", self._config.payloads_max_mb * MIB),
            ("EXPIRE", key, STATE_TTL_S),
        )

    def _run(self, resume: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            if not self._renewed():
                self._take_again(resume)
            self._wake.wait(RENEW_EVERY_S)

    def _renewed(self) -> bool:
        try:
            if not self._lease.renew():
                return False
            self.inbox.sweep()
        except redis.RedisError as error:
            # Nobody else can take it meanwhile either, and every write is checked.
            _log.warning("could not renew the lease: %s", error)
        return True

    def _take_again(self, resume: Callable[[], None]) -> None:
        """Take no messages until this worker has the lease again."""
        _log.error("another worker has taken the track: this one waits to get it back")
        self.inbox.suspend()
        set_token(0)
        while not self._stopped.is_set():
            try:
                if self._lease.take() is None:
                    break
            except redis.RedisError as error:
                _log.warning("could not take the lease: %s", error)
            self._stopped.wait(_RETRY_S)
        else:
            return
        set_token(self._lease.token)
        # In a thread of its own: it waits for the operation in flight, while this one renews the lease.
        target, token = self._go_on, self._lease.token
        self._resuming = threading.Thread(target=target, args=(token, resume), name="resume", daemon=True)
        self._resuming.start()

    def _go_on(self, token: int, resume: Callable[[], None]) -> None:
        try:
            self._tell_limits()
            resume()
            self.inbox.open(token)
            if token != self._lease.token:
                self.inbox.suspend()
        except (redis.RedisError, SingletrackError) as error:
            # The next renewal finds the token given up and takes a new one.
            _log.warning("could not resume serving the track, trying again: %s", error)
            self._lease.give_up(token)
            self._wake.set()
