"""The one message that a worker has in hand."""

from dataclasses import dataclass

from singletrack_worker.delivery.envelope import Envelope


@dataclass
class HeldMessage:
    """A message taken under a token.

    `claimed` once its task runs, `returned` once that has ended, `writing` while Redis is asked to take its result,
    `finished` once that is written, `unwritten` if Redis did not accept it while the worker was ending.
    """

    envelope: Envelope
    raw: bytes
    token: int
    claimed: bool = False
    returned: bool = False
    writing: bool = False
    finished: bool = False
    unwritten: bool = False

    @property
    def idle(self) -> bool:
        """Whether nothing works on it: its task has not begun, or has ended and nothing writes its result."""
        return not self.writing and (self.returned or not self.claimed)
