"""Finds out whether a job is still anywhere in Redis."""

import time
from typing import Any

from singletrack.wire.link import RedisLink

# One look proves nothing: a worker whose lease was deleted with everything else may be handing the message back.
_BETWEEN_LOOKS_S = 1.0
_EVERY_S = 2.0
# A longer message is not sent to be compared: the queue is searched for its id, which costs Redis more.
_COMPARED_CHARS = 64 * 1024
_SEARCHED_EVERY_S = 15.0

# KEYS: the queue, the job's result, the holders. ARGV: the prefix of the holders' lists, the job's message ('' if it is
# not known), the job's id. Returns 1 if there is a result or a message of the job, else 0. Whoever moves a message does
# so in one step, so it is seen on one list or the other.
LOOK = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
local lists = {KEYS[1]}
for _, token in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do lists[#lists + 1] = ARGV[1] .. token end
if ARGV[2] ~= '' then
  for _, list in ipairs(lists) do
    if redis.call('LPOS', list, ARGV[2]) then return 1 end
  end
end
local wanted = '"id": "' .. ARGV[3] .. '"'
for _, list in ipairs(lists) do
  for first = 0, redis.call('LLEN', list) - 1, 50 do
    for _, message in ipairs(redis.call('LRANGE', list, first, first + 49)) do
      if string.find(message, wanted, 1, true) then return 1 end
    end
  end
end
return 0
"""


class Whereabouts:
    """Where one job is, as Redis knows it; safe to use from several threads."""

    def __init__(self, link: RedisLink, job_id: str, message: str) -> None:
        """`message` is what lies on the queue, '' if that is not known."""
        self._link = link
        self._job_id = job_id
        self._message = message if len(message) <= _COMPARED_CHARS else ""
        self._next_look_s = time.monotonic() + _EVERY_S
        self._missed_since_s: float | None = None

    def gone(self) -> bool:
        """Whether the job has neither a message nor a result: it waits nowhere, and nobody has it in hand.

        It is gone if two looks in a row, a second apart, find nothing. Asks Redis every few seconds at most; raises
        `RedisUnavailable`.
        """
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return False
        if self._is_there():
            self._missed_since_s = None
            self._next_look_s = now_s + (_EVERY_S if self._message else _SEARCHED_EVERY_S)
            return False
        if self._missed_since_s is None:
            self._missed_since_s = now_s
        return now_s - self._missed_since_s >= _BETWEEN_LOOKS_S

    def _is_there(self) -> bool:
        keys = self._link.keys
        with self._link.reaching() as client:
            found: Any = client.eval(
                LOOK,
                3,
                keys.queue,
                keys.result(self._job_id),
                keys.holders,
                keys.taken(""),
                self._message,
                self._job_id,
            )
        return bool(found)
