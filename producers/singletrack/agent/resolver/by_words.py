"""A target without an anchor, by its text or by a description."""

from collections.abc import Iterator

from singletrack.agent.resolver.by_choice import Advisers, MarkQuestion, chosen
from singletrack.agent.resolver.by_text import same_labels
from singletrack.agent.resolver.calibration import calibrated
from singletrack.agent.resolver.rung import Rung
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.resolution import Method, TargetStatus
from singletrack.agent.targets.target import Target
from singletrack.agent.words.comparing import text_key


def by_words(target: Target, seen: SeenScreen, advisers: Advisers | None) -> Iterator[Rung]:
    """Look for a text that is there once; a description needs somebody to ask. The last outcome has a status."""
    if not text_key(target.text):
        yield _asked(target, seen, advisers, TargetStatus.DEGRADED, "only a VLM can find what is described in words")
        return
    labels = same_labels((text_key(target.text),), seen)
    if len(labels) == 1:
        label = labels[0]
        score = calibrated(Method.SOM_TEXT_MATCH, 0.8 * label.score)
        why = "one label says so"
        yield Rung(Method.SOM_TEXT_MATCH, TargetStatus.FOUND, why, score, label.box, label.box.center)
    elif labels:
        why = f"{len(labels)} labels say {target.text!r}"
        yield Rung(Method.SOM_TEXT_MATCH, None, why)
        yield _asked(target, seen, advisers, TargetStatus.AMBIGUOUS, why)
    else:
        yield Rung(Method.SOM_TEXT_MATCH, TargetStatus.ABSENT, f"no label says {target.text!r}")


def _asked(target: Target, seen: SeenScreen, advisers: Advisers | None, status: TargetStatus, why: str) -> Rung:
    if advisers is None:
        return Rung(Method.SOM_VLM, status, f"{why}, and none is there to ask")
    absent = TargetStatus.ABSENT if status is TargetStatus.DEGRADED else status
    return chosen(MarkQuestion(target, seen, None, absent, why), advisers)
