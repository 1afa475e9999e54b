"""A report with one of everything, and hostile texts in it."""

import io

from PIL import Image

from singletrack.agent.report.model import (
    RunOutcome,
    RunReport,
    StepOutcome,
    StepReport,
    TargetReport,
    Verification,
    VerifiedAs,
)
from singletrack.agent.targets.resolution import Attempt, Method, TargetStatus

HOSTILE = "<script>alert('x')</script>\x1b[31m&\"quoted\""


def jpeg() -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(kept, "JPEG")
    return kept.getvalue()


def found(name: str = HOSTILE, score: float = 0.8) -> TargetReport:
    attempt = Attempt(method=Method.ANCHOR_TEMPLATE, score=score, took_ms=3, why=HOSTILE)
    return TargetReport(
        name=name,
        status=TargetStatus.FOUND,
        why="one label says so",
        method=Method.ANCHOR_TEMPLATE,
        score=score,
        point=(120, 80),
        attempts=(attempt,),
        looks=2,
    )


def report() -> RunReport:
    seen = Verification(outcome=VerifiedAs.VERIFIED, how=HOSTILE)
    missing = TargetReport(name="Pay", status=TargetStatus.ABSENT, why="no label says 'Pay'")
    steps = (
        StepReport(
            number=1, kind="click", name=HOSTILE, outcome=StepOutcome.DONE, target=found(), verification=seen,
            retries=1, took_ms=812, queued_ms=40, models=("eyes 1", "vlm 2"), picture=jpeg(),
        ),
        StepReport(
            number=2, kind="ask", name="", outcome=StepOutcome.DONE, answer=HOSTILE, took_ms=3000, queued_ms=1000
        ),
        StepReport(
            number=3, kind="click", name="", outcome=StepOutcome.DONE, target=found("Held", 0.6),
            verification=Verification(outcome=VerifiedAs.UNPROVEN, how="seen before"),
        ),
        StepReport(number=4, kind="click", name="", outcome=StepOutcome.STOPPED, why="Look at 'Pay'.", target=missing),
        StepReport(number=5, kind="press", name="", outcome=StepOutcome.NOT_REACHED),
    )  # fmt: skip
    return RunReport(
        workflow=f"Pay {HOSTILE}", outcome=RunOutcome.UNSURE, why="Step 4: Look at 'Pay'.", began_unix_s=1_770_000_000,
        took_ms=5000, mode_before="IDLE", degraded=("no worker: it is away",), steps=steps,
    )  # fmt: skip
