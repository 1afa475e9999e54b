"""Payloads: images, stored in Redis under the hash of their content."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, Self

from pydantic import Field

from singletrack_tasks.errors import BlobMissing, QueueFull
from singletrack_tasks.keys import BLOB_TTL_S, PAYLOAD_BYTES_MAX, PAYLOADS_TTL_S, Keys
from singletrack_tasks.message import Message

# Renews the payloads that are stored and, if ARGV[4] is 1, reserves room for the others, all or nothing.
# KEYS: the index, its sum, the limits, the payloads. ARGV: how long in ms a payload lives, and the index; the most
# bytes if the limits do not set them; whether to reserve; a member of the index for each payload.
# Returns {1, for each payload 0 if it is stored, else its expiry time}, or {0, bytes stored, bytes needed, limit}.
# Additions come before removals: a Redis that is out of memory rejects a script at its first write only.
_KEEP = """
local index, sum = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local reserving = ARGV[4] == '1'

local function size_of(member)
  return tonumber(string.match(member, ':(%d+)$')) or 0
end

local function bytes_between(first, last)
  local bytes = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', index, first, last)) do
    bytes = bytes + size_of(member)
  end
  return bytes
end

local function bytes_there()
  local later = '(' .. string.format('%.0f', now_ms)
  local bytes = tonumber(redis.call('GET', sum))
  if bytes == nil or redis.call('ZCOUNT', index, later, '+inf') == 0 then
    return bytes_between(later, '+inf')
  end
  return math.max(0, bytes - bytes_between('-inf', now_ms))
end

local function settle(bytes)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now_ms)
  redis.call('SET', sum, bytes, 'PX', ARGV[2])
  redis.call('PEXPIRE', index, ARGV[2])
end

local there, needed, answer, kept = bytes_there(), 0, {1}, {}
local uncounted = 0
for i = 4, #KEYS do
  local member = ARGV[i + 1]
  local score = tonumber(redis.call('ZSCORE', index, member)) or 0
  local left_ms = redis.call('PTTL', KEYS[i])
  local goes_ms = math.max(now_ms + 1 + math.max(ARGV[1], left_ms), score)
  local stored = left_ms ~= -2
  if stored or reserving then
    kept[#kept + 1] = {goes_ms, member, stored and KEYS[i]}
    if score <= now_ms and stored then uncounted = uncounted + size_of(member) end
    if score <= now_ms and not stored then needed = needed + size_of(member) end
  end
  answer[#answer + 1] = stored and 0 or goes_ms
end

local most = tonumber(redis.call('HGET', KEYS[3], 'payload_bytes_max')) or tonumber(ARGV[3])
if needed > 0 and there + uncounted + needed > most then
  settle(there)
  return {0, there + uncounted, needed, most}
end
for _, payload in ipairs(kept) do
  redis.call('ZADD', index, payload[1], payload[2])
  if payload[3] then redis.call('PEXPIREAT', payload[3], payload[1]) end
end
settle(there + uncounted + needed)
return answer
"""


class Blob(Message):
    """A payload in Redis: an image `file`, or the `pixels` that `images.prepare` made for one CLIP."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    form: Literal["file", "pixels"]

    @classmethod
    def of(cls, data: bytes, form: Literal["file", "pixels"]) -> Self:
        """Describe a payload."""
        return cls(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), form=form)


class BinaryRedis(Protocol):
    """The part of a redis-py client (bytes in, bytes out) that blobs need."""

    def pipeline(self, transaction: bool = ...) -> Any:
        """Open a pipeline."""

    def mget(self, keys: Any) -> Any:
        """Get several keys."""

    def register_script(self, script: Any) -> Any:
        """Return a Lua script as a callable."""


class BlobStore:
    """A track's payloads in Redis, content-addressed, with a time to live that each use renews.

    An index of all payloads by expiry time, and its sum, bound their total size.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._keep = redis.register_script(_KEEP)

    def put(self, payloads: Sequence[bytes], form: Literal["file", "pixels"], ttl_s: float) -> list[Blob]:
        """Store payloads for at least `ttl_s` seconds; one that is stored already is not sent again.

        Raises `QueueFull`, before any of them is sent, if they would exceed the track's limit.
        """
        blobs = [Blob.of(data, form) for data in payloads]
        by_hash = {blob.sha256: (blob, data) for blob, data in zip(blobs, payloads, strict=True)}
        missing = self._missing([blob for blob, _ in by_hash.values()], ttl_s, reserve=True)
        if missing:
            self._upload([(*by_hash[sha256], goes_ms) for sha256, goes_ms in missing.items()], ttl_s)
        return blobs

    def renew(self, blobs: Iterable[Blob], ttl_s: float) -> None:
        """Keep payloads for at least `ttl_s` more seconds; raises `BlobMissing` if one is no longer stored."""
        distinct = {blob.sha256: blob for blob in blobs}
        for sha256 in self._missing(list(distinct.values()), ttl_s, reserve=False):
            _checked(distinct[sha256], None)

    def _missing(self, blobs: Sequence[Blob], ttl_s: float, *, reserve: bool) -> dict[str, int]:
        """Renew stored payloads; return the hashes of the others with their expiry times (Unix ms)."""
        if not blobs:
            return {}
        allowed, *figures = self._keep(*self._call(blobs, ttl_s, reserve))
        if not allowed:
            raise _too_much(*figures)
        return {blob.sha256: goes_ms for blob, goes_ms in zip(blobs, figures, strict=True) if goes_ms}

    def _upload(self, payloads: Sequence[tuple[Blob, bytes, int]], ttl_s: float) -> None:
        # Not through the script: Lua would hold a second copy of all the bytes, which `maxmemory` does not count.
        pipe = self._redis.pipeline(transaction=False)
        for blob, data, goes_ms in payloads:
            pipe.set(self._keys.blob(blob.sha256), data, pxat=goes_ms)
        # Another client may have stored one meanwhile, to keep it for longer: the index has its expiry time.
        keys, arguments = self._call([blob for blob, _, _ in payloads], ttl_s, reserve=False)
        pipe.eval(_KEEP, len(keys), *keys, *arguments)
        pipe.execute()

    def _call(self, blobs: Sequence[Blob], ttl_s: float, reserve: bool) -> tuple[list[str], list[str | int]]:
        """Return the keys and the arguments of the script."""
        keys = self._keys
        payloads = [keys.blob(blob.sha256) for blob in blobs]
        members = [f"{blob.sha256}:{blob.size_bytes}" for blob in blobs]
        limits = [_ttl(ttl_s) * 1000, PAYLOADS_TTL_S * 1000, PAYLOAD_BYTES_MAX, int(reserve)]
        return [keys.payloads, keys.payload_bytes, keys.limits, *payloads], [*limits, *members]

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads in order; raises `BlobMissing` if one is no longer stored or does not match its hash."""
        if not blobs:
            return []
        payloads = self._redis.mget([self._keys.blob(blob.sha256) for blob in blobs])
        return [_checked(blob, data) for blob, data in zip(blobs, payloads, strict=True)]


def _ttl(ttl_s: float) -> int:
    return max(BLOB_TTL_S, int(ttl_s) + 60)


def _too_much(payload_bytes: int, needed_bytes: int, payload_bytes_max: int) -> QueueFull:
    advice = (
        f"Try again later: a payload expires {BLOB_TTL_S // 60} minutes, or its job's time-out, after its last use."
        if needed_bytes <= payload_bytes_max
        else "Send less in one request."
    )
    return QueueFull(
        f"the stored images take {payload_bytes:,} of the {payload_bytes_max:,} bytes allowed, and these need "
        f"{needed_bytes:,} more. {advice} The worker's SINGLETRACK_PAYLOADS_MAX_MB sets the limit.",
        {"payload_bytes": payload_bytes, "needed_bytes": needed_bytes, "payload_bytes_max": payload_bytes_max},
    )


def _checked(blob: Blob, data: bytes | None) -> bytes:
    if data is None:
        raise BlobMissing(
            f"the payload {blob.sha256[:12]} is no longer in Redis: it expired while queued. Send it again."
        )
    if hashlib.sha256(data).hexdigest() != blob.sha256:
        raise BlobMissing(f"the payload {blob.sha256[:12]} in Redis is not what was sent. Send it again.")
    return data
