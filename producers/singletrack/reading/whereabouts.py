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

# A queue up to this length is searched at every look. A longer one, in which many may wait, is searched when it has
# become half as long, as by a purge, and now and then: seldom enough for a tenth of Redis's time if all of them look.
_SHORT = 200
_S_PER_SQUARE = 1e-5

# KEYS: the queue, the job's result, the holders. ARGV: the prefix of the holders' lists, the job's message ('' if it is
# not known), the job's id, the length from which on the queue is not searched (0 for none). Returns {1 if there is a
# result or a message of the job, else 0; the length of the queue}. Whoever moves a message does so in one step: it is
# seen on one list or the other.
LOOK = """
local length = redis.call('LLEN', KEYS[1])
local here, gone, enough = {1, length}, {0, length}, tonumber(ARGV[4])
if redis.call('EXISTS', KEYS[2]) == 1 then return here end
if enough > 0 and length >= enough then return here end
local lists = {KEYS[1]}
for _, token in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do lists[#lists + 1] = ARGV[1] .. token end
if ARGV[2] ~= '' then
  for _, list in ipairs(lists) do
    if redis.call('LPOS', list, ARGV[2]) then return here end
  end
end
local wanted = '"id": "' .. ARGV[3] .. '"'
for _, list in ipairs(lists) do
  for first = 0, redis.call('LLEN', list) - 1, 50 do
    for _, message in ipairs(redis.call('LRANGE', list, first, first + 49)) do
      if string.find(message, wanted, 1, true) then return here end
    end
  end
end
return gone
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
        # The length from which on the queue is not searched, and until when.
        self._enough, self._search_at_s = 0, 0.0

    def gone(self) -> bool:
        """Whether the job has neither a message nor a result: it waits nowhere, and nobody has it in hand.

        It is gone if two looks in a row, a second apart, find nothing. Asks Redis every few seconds at most; raises
        `RedisUnavailable`.
        """
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return False
        searched = self._missed_since_s is not None or now_s >= self._search_at_s
        if self._is_there(0 if searched else self._enough):
            self._missed_since_s = None
            self._next_look_s = now_s + (_EVERY_S if self._message else _SEARCHED_EVERY_S)
            return False
        if self._missed_since_s is None:
            self._missed_since_s = now_s
        return now_s - self._missed_since_s >= _BETWEEN_LOOKS_S

    def _is_there(self, enough: int = 0) -> bool:
        keys = self._link.keys
        lists = (keys.queue, keys.result(self._job_id), keys.holders)
        with self._link.reaching() as client:
            answer: Any = client.eval(LOOK, 3, *lists, keys.taken(""), self._message, self._job_id, enough)
        found, length = answer
        if not enough or length < enough:
            self._enough = length // 2 + 1 if length > _SHORT else 0
            self._search_at_s = time.monotonic() + length * length * _S_PER_SQUARE if self._enough else 0.0
        return bool(found)
