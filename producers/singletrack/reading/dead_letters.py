"""A track's dead letters: listed, removed, or sent again."""

import base64
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from singletrack.wire.limits import check_job_id
from singletrack.wire.link import RedisLink
from singletrack_tasks.dead_letter import DeadLetter
from singletrack_tasks.errors import InvalidRequest, UnsupportedVersion
from singletrack_tasks.requests.catalogue import request_of
from singletrack_tasks.requests.request import Request
from singletrack_tasks.text import quoted

_ENTRY_ID = re.compile(r"\d{1,19}-\d{1,19}")
# A letter may have 64 KiB and more.
_BATCH = 100
_HOW_TO_LIST = "`singletrack dead list`, or Client.dead_letters(), lists them."
_log = logging.getLogger(__name__)

J = TypeVar("J")

DeadEntry = tuple[str, DeadLetter]
_Raw = tuple[bytes, dict[bytes, bytes]]


class DeadLetters:
    """The dead letters of one track: a bounded Redis stream.

    A letter is named by the id of its entry, or by the id of its job: then the newest one is meant.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    def all(self) -> list[DeadEntry]:
        """List the letters, oldest first; those that this release cannot read are skipped with a warning."""
        entries = (_parse(raw) for raw in self._oldest_first())
        return [entry for entry in entries if entry is not None]

    def find(self, letter_id: str) -> DeadEntry:
        """Find a letter; raises `InvalidRequest`, which says how to list them."""
        entry = self._by_entry_id(letter_id) or self._by_job_id(letter_id)
        if entry is None:
            raise _unknown(letter_id)
        return entry

    def drop(self, letter_id: str) -> None:
        """Remove a letter, even one that cannot be read; raises `InvalidRequest` if there is none."""
        if not self.remove(letter_id):
            self.remove(self.find(letter_id)[0])

    def remove(self, entry_id: str) -> bool:
        """Remove a letter by the id of its entry, if it is there."""
        if not _is_entry_id(entry_id):
            return False
        with self._link.reaching() as client:
            return bool(client.xdel(self._link.keys.dead, entry_id))

    def drop_all(self) -> int:
        """Remove all letters; returns how many there were."""
        key = self._link.keys.dead
        with self._link.reaching() as client:
            pipe: Any = client.pipeline(transaction=True)
            count, _ = pipe.xlen(key).delete(key).execute()
        return int(count)

    def retry(self, letter_id: str, timeout_s: float, send: Callable[[Request[Any], float, str], J]) -> J:
        """Send a letter's request again under its job's id, and remove the letter.

        Raises `InvalidRequest` and `BlobMissing`; then the letter stays.
        """
        entry_id, letter = self.find(letter_id)
        job_id, request = _revived(letter)
        if request.blobs:
            with self._link.reaching():
                self._link.blobs.renew(request.blobs, timeout_s)
        # The worker drops a message whose job has a result. The letter goes last: whatever fails, it is there.
        self._forget(job_id)
        job = send(request, timeout_s, job_id)
        self.remove(entry_id)
        return job

    def _forget(self, job_id: str) -> None:
        """Delete what would make the worker take the job for one that it has seen."""
        keys = self._link.keys
        with self._link.reaching() as client:
            client.delete(keys.result(job_id), keys.starts(job_id), keys.cancel(job_id))

    def _by_entry_id(self, entry_id: str) -> DeadEntry | None:
        if not _is_entry_id(entry_id):
            return None
        with self._link.reaching() as client:
            found: Any = client.xrange(self._link.keys.dead, entry_id, entry_id)
        return _parse(found[0]) if found else None

    def _by_job_id(self, job_id: str) -> DeadEntry | None:
        found = [entry for entry in self.all() if entry[1].job_id == job_id]
        return found[-1] if found else None

    def _oldest_first(self) -> Iterator[_Raw]:
        after = "-"
        while True:
            with self._link.reaching() as client:
                batch: Any = client.xrange(self._link.keys.dead, after, "+", count=_BATCH)
            yield from batch
            if len(batch) < _BATCH:
                return
            after = f"({batch[-1][0].decode()}"


def _revived(letter: DeadLetter) -> tuple[str, Request[Any]]:
    """Read the job id and the request of a letter; raises `InvalidRequest`, which says why it cannot be retried."""
    if letter.cut:
        raise InvalidRequest(
            "this letter's message was too long to be kept whole: send the request again yourself, and drop it"
        )
    try:
        headers, body = _message(letter.raw())
        return check_job_id(headers["id"]), request_of(headers["task"], body)
    except UnsupportedVersion:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidRequest(
            f"this letter's message cannot be read as a request ({type(error).__name__}: {error}): send the "
            "request again yourself, and drop the letter"
        ) from error


def _message(raw: bytes) -> tuple[Mapping[str, Any], Any]:
    """Take the headers and the request out of a message as kombu writes it."""
    message = json.loads(raw)
    body = message["body"]
    if message["properties"].get("body_encoding") == "base64":
        body = base64.b64decode(body, validate=True)
    unnamed, named, _ = json.loads(body)
    return message["headers"], named["request"] if "request" in named else unnamed[0]


def _parse(raw: _Raw) -> DeadEntry | None:
    entry_id, fields = raw[0].decode(), raw[1]
    try:
        return entry_id, DeadLetter.parse(json.loads(fields.get(b"letter", b"null")))
    except ValueError as error:
        _log.warning("skipped the dead letter %s, which this release cannot read: %s", entry_id, error)
        return None


def _is_entry_id(letter_id: str) -> bool:
    return isinstance(letter_id, str) and _ENTRY_ID.fullmatch(letter_id) is not None


def _unknown(letter_id: str) -> InvalidRequest:
    return InvalidRequest(f"there is no dead letter with the id {quoted(letter_id)}. {_HOW_TO_LIST}")
