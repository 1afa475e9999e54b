"""Lua scripts that Redis runs atomically: nobody ever sees one half done.

A script takes full key names; nothing here knows of prefixes. Within a script, a command that may fail for lack of
memory comes before any that would lose data if it did.
"""

import redis
from redis.commands.core import Script

# Since 7.0 a server can let a script write although it is out of memory: these scripts free more than they take.
_ALLOW_OOM = "#!lua flags=allow-oom\n"
_ALLOWS_SINCE = 7

_IS_FINAL = """
local function is_final(raw)
  if not raw then return false end
  local read, meta = pcall(cjson.decode, raw)
  if not read or type(meta) ~= 'table' then return false end
  return meta.status == 'SUCCESS' or meta.status == 'FAILURE' or meta.status == 'REVOKED'
end
"""

# KEYS lease fence holders hands deaths; ARGV lock_id, least token, holder (JSON), ttl_ms, fence_ttl_s, holders_max,
# deaths_max, deaths_ttl_s. Whoever releases a lease moves the fence on: a holder's token on the fence is that of one
# that did not.
TAKE_LEASE = """
local held = redis.call('GET', KEYS[1])
if held then
  local read, lease = pcall(cjson.decode, held)
  if read and lease.lock_id ~= ARGV[1] then return {0, held} end
end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local former = redis.call('GET', KEYS[2]) or '0'
if redis.call('ZSCORE', KEYS[3], former) then
  redis.call('ZADD', KEYS[5], now_ms, former .. ' ' .. (redis.call('HGET', KEYS[4], former) or ''))
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -1 - ARGV[7])
  redis.call('EXPIRE', KEYS[5], ARGV[8])
  redis.call('HDEL', KEYS[4], former)
end
local newest = tonumber(former)
local token = string.format('%.0f', math.max(newest + 1, tonumber(ARGV[2]), now_ms))
local lease = cjson.decode(ARGV[3])
lease.token = token
redis.call('SET', KEYS[2], token, 'EX', ARGV[5])
redis.call('SET', KEYS[1], cjson.encode(lease), 'PX', ARGV[4])
redis.call('ZADD', KEYS[3], now_ms, token)
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[6])
redis.call('EXPIRE', KEYS[3], ARGV[5])
return {1, token}
"""

# KEYS lease fence holders; ARGV token, lease (JSON), ttl_ms, fence_ttl_s
RENEW_LEASE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local now = redis.call('TIME')
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000), ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 1
"""

# KEYS lease fence; ARGV token, fence_ttl_s. The fence moves on, so that a renewal still under way is refused.
RELEASE_LEASE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], string.format('%.0f', tonumber(ARGV[1]) + 1), 'EX', ARGV[2])
return redis.call('DEL', KEYS[1])
"""

# KEYS fence deaths condemned; ARGV token, token of the dead, prefix of the starts, why, ttl_s. Returns the job that the
# dead worker had in hand, if it has not ended since.
CONDEMN = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '' end
for _, entry in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local token, hand = string.match(entry, '^(%d+) (.*)$')
  if token == ARGV[2] and hand ~= '' and redis.call('EXISTS', ARGV[3] .. hand) == 1 then
    redis.call('HSET', KEYS[3], hand, ARGV[4])
    redis.call('EXPIRE', KEYS[3], ARGV[5])
    return hand
  end
end
return ''
"""

# KEYS fence; ARGV token, commands (JSON)
WRITE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(unpack(command)) end
return 1
"""

# KEYS queue holders fence; ARGV prefix of the lists, own token, how long a holder is remembered (ms)
SWEEP = """
if redis.call('GET', KEYS[3]) ~= ARGV[2] then return -1 end
local moved = 0
local now = redis.call('TIME')
local oldest_ms = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[3]
local holders = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for index = 1, #holders, 2 do
  local token, since_ms = holders[index], tonumber(holders[index + 1])
  if token ~= ARGV[2] then
    while redis.call('LMOVE', ARGV[1] .. token, KEYS[1], 'LEFT', 'RIGHT') do moved = moved + 1 end
    if since_ms < oldest_ms then redis.call('ZREM', KEYS[2], token) end
  end
end
return moved
"""

# KEYS taken queue; ARGV the messages that are held
RECOVER = """
local held, moved = {}, 0
for _, raw in ipairs(ARGV) do held[raw] = true end
for _, raw in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if not held[raw] then
    redis.call('RPUSH', KEYS[2], raw)
    redis.call('LREM', KEYS[1], 1, raw)
    moved = moved + 1
  end
end
return moved
"""

# KEYS queue taken
TAKE_NOW = "return redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')"

# How many deaths of workers say that it is not this job that ends them: those since the first one with it in hand that
# had nothing in hand, or a job that is no suspect.
_EXCUSES = """
local function excuses(deaths, starts, job, suspected_at)
  local struck, count = false, 0
  for _, entry in ipairs(redis.call('ZRANGE', deaths, 0, -1)) do
    local hand = string.match(entry, '^%d+ (.*)$')
    if hand == job then
      struck = true
    elseif struck and (hand == '' or redis.call('SCARD', starts .. hand) < suspected_at) then
      count = count + 1
    end
  end
  return count
end
"""

# KEYS fence taken queue result starts hands deaths suspects condemned; ARGV token, message, starts_ttl_s, tag, job,
# starts_max, starts_hard_max, behind_max, prefix of the starts. Returns a verdict, how often the job was started, and
# what belongs to the verdict. A script that is sent twice counts once.
ADMIT = (
    _IS_FINAL
    + _EXCUSES
    + """
local job, here = ARGV[5], redis.call('LPOS', KEYS[2], ARGV[2])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  if here then
    redis.call('RPUSH', KEYS[3], ARGV[2])
    redis.call('LREM', KEYS[2], 1, ARGV[2])
  end
  return {'refused', 0, ''}
end
if not here then return {'over', 0, ''} end
if redis.call('LLEN', KEYS[2]) > 1 then return {'stray', 0, ''} end
if is_final(redis.call('GET', KEYS[4])) then
  redis.call('HDEL', KEYS[8], job)
  redis.call('HDEL', KEYS[9], job)
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  return {'over', 0, ''}
end
local starts = redis.call('SCARD', KEYS[5]) - redis.call('SISMEMBER', KEYS[5], ARGV[4])
local why = redis.call('HGET', KEYS[9], job)
if why then return {'condemned', starts, why} end
local starts_max = tonumber(ARGV[6])
local suspected_at = math.max(1, starts_max - 1)
if starts >= suspected_at then
  local excused = excuses(KEYS[7], ARGV[9], job, suspected_at)
  if starts >= math.min(starts_max + excused, tonumber(ARGV[7])) then return {'worn', starts, ''} end
  if redis.call('HGET', KEYS[8], job) ~= tostring(starts) then
    local behind = math.min(redis.call('LLEN', KEYS[3]), tonumber(ARGV[8]))
    if behind == 0 then
      redis.call('RPUSH', KEYS[3], ARGV[2])
    else
      redis.call('LINSERT', KEYS[3], 'BEFORE', redis.call('LINDEX', KEYS[3], -behind), ARGV[2])
    end
    redis.call('HSET', KEYS[8], job, starts)
    redis.call('EXPIRE', KEYS[8], ARGV[3])
    redis.call('LREM', KEYS[2], 1, ARGV[2])
    return {'later', starts, tostring(behind)}
  end
end
redis.call('SADD', KEYS[5], ARGV[4])
redis.call('EXPIRE', KEYS[5], ARGV[3])
redis.call('HSET', KEYS[6], ARGV[1], job)
redis.call('EXPIRE', KEYS[6], ARGV[3])
return {'run', starts + 1, ''}
"""
)

# KEYS fence taken result starts hands suspects condemned; ARGV token, message, result (JSON), result_ttl_s, job
FINISH = (
    _IS_FINAL
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if not is_final(redis.call('GET', KEYS[3])) then
  redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[4])
  redis.call('PUBLISH', KEYS[3], ARGV[3])
end
redis.call('LREM', KEYS[2], 1, ARGV[2])
redis.call('DEL', KEYS[4])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[5])
redis.call('HDEL', KEYS[7], ARGV[5])
return 1
"""
)

# KEYS taken starts hands suspects condemned; ARGV message, token, job
DROP = """
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[3])
redis.call('HDEL', KEYS[5], ARGV[3])
return redis.call('LREM', KEYS[1], 1, ARGV[1])
"""

# KEYS taken queue starts hands; ARGV message, tag of a start that does not count ('' if it does), token
PUT_BACK = """
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LREM', KEYS[1], 1, ARGV[1])
redis.call('SREM', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[3])
return 1
"""

# KEYS taken dead result starts events deaths suspects condemned; ARGV message, letter (JSON), dead_max, dead_ttl_s,
# result (JSON or empty), result_ttl_s, event (JSON), events_max, events_ttl_s, job. The deaths of its workers excuse no
# other job.
BURY = (
    _IS_FINAL
    + """
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], '*', 'letter', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[8], '*', 'event', ARGV[7])
redis.call('EXPIRE', KEYS[5], ARGV[9])
if ARGV[5] ~= '' and not is_final(redis.call('GET', KEYS[3])) then
  redis.call('SET', KEYS[3], ARGV[5], 'EX', ARGV[6])
  redis.call('PUBLISH', KEYS[3], ARGV[5])
end
redis.call('LREM', KEYS[1], 1, ARGV[1])
redis.call('DEL', KEYS[4])
redis.call('HDEL', KEYS[7], ARGV[10])
redis.call('HDEL', KEYS[8], ARGV[10])
for _, entry in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  local hand = string.match(entry, '^%d+ (.*)$')
  if hand ~= '' and hand == ARGV[10] then redis.call('ZREM', KEYS[6], entry) end
end
return 1
"""
)


class Scripts:
    """The scripts, registered with one Redis server."""

    def __init__(self, client: redis.Redis) -> None:
        """Asks the server for its version; raises `redis.RedisError`."""
        header = _ALLOW_OOM if _major_version(client) >= _ALLOWS_SINCE else ""

        def script(body: str) -> Script:
            made: Script = client.register_script(header + body.lstrip())
            return made

        self.take_lease = script(TAKE_LEASE)
        self.renew_lease = script(RENEW_LEASE)
        self.release_lease = script(RELEASE_LEASE)
        self.condemn = script(CONDEMN)
        self.write = script(WRITE)
        self.sweep = script(SWEEP)
        self.recover = script(RECOVER)
        self.take_now = script(TAKE_NOW)
        self.admit = script(ADMIT)
        self.finish = script(FINISH)
        self.drop = script(DROP)
        self.put_back = script(PUT_BACK)
        self.bury = script(BURY)


def _major_version(client: redis.Redis) -> int:
    info = client.info("server")
    return int(str(info["redis_version"]).partition(".")[0])
