"""The product's own app, with what a run needs: `celery -A tests.faults.recorded_worker worker`.

It notes each operation in the history, its encoders are a light program without torch, two prompts are orders, and
its wall clock can be set. All of that is put around the product from outside.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.vlm import Ask
from singletrack_worker import assembly
from singletrack_worker.app import app
from singletrack_worker.delivery import inbox
from singletrack_worker.delivery.admission import Admission
from singletrack_worker.delivery.envelope import Envelope
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.gpu.turns import Turns
from tests.faults import places, recording, stepped_clock
from tests.faults.history import Begin, End, HeldBack, now_ns

ENCODER = (sys.executable, str(places.ROOT / "tests" / "unit" / "gpu" / "clip" / "stand_in_encoder.py"))

__all__ = ["app"]

_journal = recording.journal()
_take = Turns.take
_judge = Admission._ask
# The job that began last, and the token under which it did.
_begun = ("", 0)


def token_of(job: str) -> int:
    """Tell the token under which a job was begun: its result is of that one, also if the worker has none any more."""
    begun, token = _begun
    own = inbox.current()
    return token if job == begun or own is None else own.token


@contextmanager
def recorded_take(
    self: Turns, request: Request[Any], job: JobRef, *, kind: str | None = None, recorded: bool = False
) -> Iterator[Turn]:
    """Have the turn as usual, and note when."""
    global _begun
    with _take(self, request, job, kind=kind, recorded=recorded) as turn:
        _begun = (job.id, self._hold.token)
        _journal.note(Begin(now_ns(), job.id, turn.kind, _begun[1], recording.host(), os.getpid()))
        error = ""
        try:
            if isinstance(request, Ask):
                obey(request.prompt)
            yield turn
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            _journal.note(End(now_ns(), job.id, os.getpid(), error))


def recorded_judge(self: Admission, token: int, raw: bytes, envelope: Envelope) -> tuple[str, int, str]:
    """Judge as usual, and note who is held back."""
    word, starts, why = _judge(self, token, raw, envelope)
    if word == "later":
        _journal.note(HeldBack(now_ns(), envelope.job_id))
    return word, starts, why


def obey(prompt: str) -> None:
    """Do what a prompt says that is no question."""
    if prompt == places.POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    if prompt == places.SLOW:
        time.sleep(places.SLOW_S)


if places.CLOCK in os.environ:
    stepped_clock.install()
Turns.take = recorded_take  # type: ignore[method-assign] # the one place that every operation goes through
Admission._ask = recorded_judge  # type: ignore[method-assign] # as above
setattr(assembly, "COMMAND", ENCODER)  # noqa: B010 - mypy takes it for a constant
recording.record_results(app, _journal, token_of)
