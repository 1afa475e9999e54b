"""Redis's errors, said so that the reader knows what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import LimitExceeded, OperationalError
from redis import exceptions as redis_errors

from singletrack.settings import address
from singletrack_tasks.errors import RedisUnavailable, SingletrackError


@contextmanager
def reaching_redis(url: str) -> Iterator[None]:
    """Turn whatever goes wrong on the way to the Redis server at `url` into `RedisUnavailable`."""
    try:
        yield
    except SingletrackError:
        raise
    except (redis_errors.RedisError, OperationalError, LimitExceeded, OSError) as error:
        raise unavailable(url, error) from error


def unavailable(url: str, error: BaseException) -> RedisUnavailable:
    """Say what is wrong with the Redis server at `url`, and what to do about it."""
    cause = _root(error)
    return RedisUnavailable(f"Redis at {address(url)} {_advice(cause)}", {"type": type(cause).__name__})


def _root(error: BaseException) -> BaseException:
    while not isinstance(error, redis_errors.RedisError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _advice(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, redis_errors.AuthenticationError) or text.startswith(("WRONGPASS", "NOAUTH")):
        return (
            f"does not accept the password ({text}). Put the right one into SINGLETRACK_REDIS_URL: "
            "redis://:PASSWORD@HOST:6379/0."
        )
    if isinstance(error, redis_errors.NoPermissionError):
        return f"does not let this user do that ({text}). Widen the user's ACL."
    if isinstance(error, redis_errors.OutOfMemoryError):
        return f"is out of memory ({text}). Raise its maxmemory, or wait until the queue is shorter."
    if isinstance(error, redis_errors.BusyLoadingError):
        return "is still loading its data. Try again in a moment."
    if isinstance(error, redis_errors.TimeoutError | TimeoutError | LimitExceeded):
        return "did not answer in time. Check the address in SINGLETRACK_REDIS_URL, the network and the firewall."
    if isinstance(error, redis_errors.ConnectionError | OSError):
        return (
            f"cannot be reached ({text}). Start it (`singletrack up` brings one along), or set "
            "SINGLETRACK_REDIS_URL to where it is."
        )
    return f"answered with an error: {text}"
