"""The one message that a worker has in hand."""

from dataclasses import dataclass

from singletrack_worker.delivery.envelope import Envelope


@dataclass
class HeldMessage:
    """A message taken under a token.

    `claimed` once its task runs, `finished` once its result is written, `unwritten` if Redis did not accept its result
    while the worker was ending.
    """

    envelope: Envelope
    raw: bytes
    token: int
    claimed: bool = False
    finished: bool = False
    unwritten: bool = False
