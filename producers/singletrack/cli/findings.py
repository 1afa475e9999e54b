"""What a check of `singletrack doctor` found."""

from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one check found; a `note` is not ideal, but nothing here depends on it."""

    what: str
    verdict: Verdict
    text: str
    advice: str = ""

    def softened(self, why: str) -> "Finding":
        """Return a problem as a note, with the reason why it is none here."""
        return self if self.verdict != "problem" else replace(self, verdict="note", text=f"{self.text} ({why})")


def installed(name: str) -> str | None:
    """Return the version of an installed package, None for one that is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
