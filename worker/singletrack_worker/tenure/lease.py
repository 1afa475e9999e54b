"""The lease on a track: it decides which worker, on any host, may take messages and write state and results."""

import logging
import sys
import time

import redis
from pydantic import BaseModel, ValidationError

from singletrack_tasks.keys import DEATHS_MAX, HOLDERS_MAX, LEASE_TTL_S, STARTS_TTL_S, STATE_TTL_S, Keys
from singletrack_tasks.status import LeaseInfo
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.store.connection import server_time_unix_s
from singletrack_worker.tenure.host_lock import Holder, HostLock

_log = logging.getLogger(__name__)


class _Lease(BaseModel):
    """What Redis stores under the lease's key."""

    lock_id: str
    holder: Holder
    token: int = 0


class Lease:
    """A lease with a fencing token that only grows.

    Each token exceeds all those that Redis or this host remember, and the server's time in milliseconds, so that it
    grows even if Redis loses its data. A lease that was taken under the id of this host's lock is free for whoever has
    the lock now, since its holder is gone.
    """

    def __init__(self, client: redis.Redis, keys: Keys, scripts: Scripts, lock: HostLock) -> None:
        self._redis = client
        self._keys = keys
        self._scripts = scripts
        self._lock = lock
        self._lease = _Lease(lock_id=lock.id, holder=Holder.this_process())
        self.token = 0
        self._since_unix_s = 0.0
        self._sure_until_s = 0.0

    @property
    def info(self) -> LeaseInfo:
        """The lease as the status shows it; thread-safe."""
        return LeaseInfo(token=self.token, since_unix_s=self._since_unix_s)

    def holds(self, token: int) -> bool | None:
        """Return whether the lease of that token lasts, without asking Redis; None once it was not renewed in time.

        Thread-safe.
        """
        if not token or token != self.token:
            return False
        return True if _now_s() < self._sure_until_s else None

    def take(self) -> Holder | None:
        """Take the lease; returns None on success, else its holder.

        Raises `redis.RedisError`, and `InvalidConfiguration` if the token cannot be noted: the lease is taken then.
        """
        self.token = 0
        asked_s = _now_s()
        now_unix_s = server_time_unix_s(self._redis)
        taken, value = self._scripts.take_lease(
            keys=[
                *(self._keys.lease, self._keys.fence, self._keys.holders),
                *(self._keys.hands, self._keys.deaths),
            ],
            args=[
                self._lease.lock_id,
                self._lock.token + 1,
                self._lease.model_dump_json(),
                LEASE_TTL_S * 1000,
                STATE_TTL_S,
                HOLDERS_MAX,
                DEATHS_MAX,
                STARTS_TTL_S,
            ],
        )
        if not taken:
            return _holder(value)
        self._sure_until_s = asked_s + LEASE_TTL_S
        self.token = int(value)
        self._since_unix_s = now_unix_s
        self._lock.note_token(self.token)
        _log.info("this worker has the lease on the track, token %d", self.token)
        return None

    def renew(self) -> bool:
        """Renew the lease, even one that ran out if nobody took it; returns whether this worker still has it.

        Raises `redis.RedisError`.
        """
        if not self.token:
            return False
        lease = self._lease.model_copy(update={"token": self.token})
        asked_s = _now_s()
        renewed = self._scripts.renew_lease(
            keys=[self._keys.lease, self._keys.fence, self._keys.holders],
            args=[self.token, lease.model_dump_json(), LEASE_TTL_S * 1000, STATE_TTL_S],
        )
        if renewed:
            # From before the request: Redis began to count no earlier.
            self._sure_until_s = asked_s + LEASE_TTL_S
        else:
            self.token = 0
        return bool(renewed)

    def release(self) -> None:
        """Give the lease back, if this worker has it; raises `redis.RedisError`."""
        if self.token:
            self._scripts.release_lease(keys=[self._keys.lease, self._keys.fence], args=[self.token, STATE_TTL_S])
            self.token = 0

    def ttl_ms(self) -> int:
        """Return how long the lease lasts, in milliseconds, negative if there is none; raises `redis.RedisError`."""
        left_ms: int = self._redis.pttl(self._keys.lease)
        return left_ms


def _now_s() -> float:
    """Return seconds that also pass while the machine sleeps, as they do for Redis."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    else:  # noqa: RET505 - mypy takes what follows for unreachable otherwise
        return time.monotonic()


def _holder(value: bytes) -> Holder:
    try:
        return _Lease.model_validate_json(value).holder
    except ValidationError:
        return Holder(host="an unknown host", pid=0, since_unix_s=0)
