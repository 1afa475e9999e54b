"""What clients want: small pieces of work of every kind, drawn by chance from a seed."""

import random
from dataclasses import dataclass

# Long enough for a job to live through several faults.
PATIENT_S = 45.0
EVERY_KIND = ("ping", "embed", "ask", "long", "mode", "load", "unload", "find")
# Questions whose schema is costly to check.
COSTLY = ("backtracking", "references", "many-properties")
_WEIGHTS = (30, 22, 14, 8, 5, 3, 3, 5)


@dataclass(frozen=True)
class Errand:
    """One job; `word` is what makes it differ from others, `cancel_after_s` when its client calls it off."""

    kind: str
    timeout_s: float = PATIENT_S
    word: str = ""
    cancel_after_s: float | None = None


def draw(rng: random.Random) -> Errand:
    """Draw an errand: most are patient, some have next to no time, some are called off."""
    (kind,) = rng.choices(EVERY_KIND, _WEIGHTS)
    word = f"{rng.getrandbits(64):016x}"
    if kind == "long":
        # It has no end but its deadline.
        return Errand(kind, rng.uniform(0.3, 1.2), word)
    if rng.random() < 0.1:
        return Errand(kind, rng.uniform(0.02, 1.0), word)
    if rng.random() < 0.1:
        return Errand(kind, PATIENT_S, word, cancel_after_s=rng.uniform(0, 0.5))
    return Errand(kind, PATIENT_S, word)
