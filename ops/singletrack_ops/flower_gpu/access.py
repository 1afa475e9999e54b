"""Who may look at Flower: anybody on this machine, and from elsewhere only with a password."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singletrack_ops.local.loopback import LOOPBACK, is_loopback
from singletrack_tasks.errors import InvalidConfiguration

_VARIABLE, _FILE_VARIABLE = "FLOWER_BASIC_AUTH", "FLOWER_BASIC_AUTH_FILE"


@dataclass(frozen=True)
class Access:
    """Flower's options of the same names."""

    address: str
    basic_auth: list[str]
    read_only: bool


def access_or_exit() -> Access:
    """Decide by the environment and Flower's options so far; ends the process with a message if Flower must not start.

    No other error may leave here: Flower takes some for a missing configuration, and goes on without one.
    """
    # Comes with Flower, which those who only look up a password need not have.
    from tornado.options import options

    try:
        return decide(os.environ, options)
    except InvalidConfiguration as error:
        raise SystemExit(f"Flower does not start: {error}") from error


def decide(environ: Mapping[str, str], given: Any) -> Access:
    """Decide by the environment and the options that Flower has read from it and from its command line.

    Raises `InvalidConfiguration` for an address beyond loopback without a password, and for unusable passwords, which
    it never quotes.
    """
    address = given.address or LOOPBACK
    entries = credentials(environ, given.basic_auth or ())
    open_to_all = not (entries or given.auth)
    # A Unix socket replaces the address, and only this machine can reach it.
    if open_to_all and not given.unix_socket and not is_loopback(address):
        raise InvalidConfiguration(
            f"it would listen on {address} and let everybody in. Set {_VARIABLE}=user:password, or {_FILE_VARIABLE} to "
            f"a file with one user:password per line, or keep its address at {LOOPBACK}."
        )
    # Flower's buttons can shut the worker down and take it off its queue.
    read_only = given.read_only if environ.get("FLOWER_READ_ONLY") else True
    return Access(address, entries, read_only)


def credentials(environ: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """The user:password of everybody who may look: those given, or those in the file that the environment names.

    Raises `InvalidConfiguration` as `decide` does.
    """
    given = [entry for entry in given if entry]
    named = environ.get(_FILE_VARIABLE, "")
    if named and given:
        raise InvalidConfiguration(f"{_FILE_VARIABLE} and {_VARIABLE} (or --basic_auth) are both set: keep only one.")
    entries = _read(Path(named)) if named else given
    where = _FILE_VARIABLE if named else _VARIABLE
    for number, entry in enumerate(entries, start=1):
        user, colon, password = entry.partition(":")
        # Flower compares them as ASCII.
        if not (user and colon and password and entry.isascii() and entry.isprintable()):
            raise InvalidConfiguration(f"number {number} of {where} is not user:password in ASCII.")
    if named and not entries:
        raise InvalidConfiguration(f"{_FILE_VARIABLE} names a file with nothing in it: {named}")
    return entries


def first_credentials(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """User and password for a Flower with that environment; None if it asks for none."""
    entries = credentials(environ, environ.get(_VARIABLE, "").split(","))
    user, _, password = entries[0].partition(":") if entries else ("", "", "")
    return (user, password) if entries else None


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{_FILE_VARIABLE} cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip()]
