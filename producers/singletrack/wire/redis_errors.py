"""Redis's errors, turned into errors that say what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from kombu.exceptions import LimitExceeded, OperationalError
from redis import exceptions as redis_errors

from singletrack.wire.settings import address
from singletrack_tasks.errors import InvalidConfiguration, InvalidRequest, RedisUnavailable, SingletrackError
from singletrack_tasks.redis_address import tls_advice, tls_options

_HUNG_UP = ("closed by server", "EOF occurred", "reset by peer", "Broken pipe")


def client_closed() -> InvalidRequest:
    """Build the error for a call to a client that was closed."""
    return InvalidRequest("this client was closed, so nothing can be asked of it or of its jobs: make a new one")


@contextmanager
def while_open(closed: Callable[[], bool]) -> Iterator[None]:
    """Raise `InvalidRequest` for a client that is or gets closed: its connections may fail in any way then."""
    if closed():
        raise client_closed()
    try:
        yield
    except Exception as error:
        if closed():
            raise client_closed() from error
        raise


@contextmanager
def reaching_redis(url: str) -> Iterator[None]:
    """Turn errors from the Redis server at `url`, and from the way to it, into those of `unavailable`."""
    try:
        yield
    except SingletrackError:
        raise
    except (redis_errors.RedisError, OperationalError, LimitExceeded, OSError) as error:
        raise unavailable(url, error) from error


def unavailable(url: str, error: BaseException) -> RedisUnavailable | InvalidConfiguration:
    """Build the error that says what is wrong with the Redis server at `url`, and what to do about it.

    A server that refuses access is `InvalidConfiguration`, since another try changes nothing; all else is
    `RedisUnavailable`.
    """
    cause = _root(error)
    where, details = f"Redis at {address(url)}", {"type": type(cause).__name__}
    if (refusal := _refusal(url, cause)) is not None:
        return InvalidConfiguration(f"{where} {refusal}", details)
    return RedisUnavailable(f"{where} {_advice(cause)}{_tls_hint(url, cause)}", details)


def _root(error: BaseException) -> BaseException:
    while not isinstance(error, redis_errors.RedisError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _refusal(url: str, error: BaseException) -> str | None:
    text = str(error)
    if (advice := tls_advice(text)) is not None:
        return advice
    if isinstance(error, redis_errors.NoPermissionError):
        return f"does not allow this user to do that ({text}). Widen the user's ACL."
    if not isinstance(error, redis_errors.AuthenticationError) and not text.startswith(("WRONGPASS", "NOAUTH")):
        return None
    if urlsplit(url).password is None:
        return "asks for a password. Put it into SINGLETRACK_REDIS_URL: redis://:PASSWORD@HOST:6379/0."
    return (
        f"does not accept the password ({text}). Put the right one into SINGLETRACK_REDIS_URL: "
        "redis://:PASSWORD@HOST:6379/0."
    )


def _advice(error: BaseException) -> str:
    text = str(error)
    # Servers before 7.0 report it in the middle of a script's error.
    if isinstance(error, redis_errors.OutOfMemoryError) or "OOM command not allowed" in text:
        return f"is out of memory ({text}). Raise its maxmemory, or wait until the queue is shorter."
    if "NOREPLICAS" in text:
        return (
            f"refuses writes while it has too few replicas that keep up ({text}). Bring a replica back, or lower its "
            "min-replicas-to-write."
        )
    # redis-py takes the word off, except where it is in the middle of a script's error.
    if isinstance(error, redis_errors.ReadOnlyError | redis_errors.MasterDownError) or "READONLY" in text:
        return (
            f"is a replica, which only its primary writes to ({text}). Wait until the failover is over, or set "
            "SINGLETRACK_REDIS_URL to the primary."
        )
    if isinstance(error, redis_errors.BusyLoadingError):
        return "is still loading its data. Try again in a moment."
    if isinstance(error, redis_errors.TimeoutError | TimeoutError | LimitExceeded):
        return "did not answer in time. Check the address in SINGLETRACK_REDIS_URL, the network and the firewall."
    if isinstance(error, redis_errors.ConnectionError | OSError):
        return (
            f"cannot be reached ({text}). Start it (`singletrack up` starts one), or set "
            "SINGLETRACK_REDIS_URL to where it is."
        )
    return f"answered with an error: {text}"


def _tls_hint(url: str, error: BaseException) -> str:
    """Name what a server that hangs up without a word may want."""
    options = tls_options(url)
    if options is None or "ssl_certfile" in options or not any(mark in str(error) for mark in _HUNG_UP):
        return ""
    return " If it asks for a certificate, set SINGLETRACK_REDIS_CERT_FILE and SINGLETRACK_REDIS_KEY_FILE."
