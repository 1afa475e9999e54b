"""Announced needs of the VLM, and their withdrawal."""

import math

from singletrack_tasks.requests.intents import AnnounceVlm, IntentResult, WithdrawVlm
from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.upkeep import put_in_order
from singletrack_worker.gpu.turn import Turn


class AnnounceVlmHandler(Handler[AnnounceVlm, IntentResult]):
    """Notes a need; one that the next check would be too late for is seen to at once, as that check would."""

    recorded = True

    def run(self, request: AnnounceVlm, turn: Turn) -> IntentResult:
        """Note it; a load that fails is a reason in the result."""
        intents = self.bench.track.intents
        intents.expire()
        age_s = turn.waited_s if math.isfinite(turn.waited_s) else 0.0
        noted = intents.note(request.holder, request.in_s - age_s, request.for_s)
        if noted and intents.due:
            put_in_order(self.bench, turn)
        return _result(self.bench, turn, noted=noted)


class WithdrawVlmHandler(Handler[WithdrawVlm, IntentResult]):
    """Forgets a need; a VLM that was loaded for it stays until it has been idle for its time."""

    recorded = True

    def run(self, request: WithdrawVlm, turn: Turn) -> IntentResult:
        """Forget it."""
        return _result(self.bench, turn, noted=self.bench.track.intents.withdraw(request.holder))


def _result(bench: Workbench, turn: Turn, *, noted: bool) -> IntentResult:
    loaded = bench.track.life.state is ModelState.LOADED
    return IntentResult(noted=noted, waiting=len(bench.track.intents), loaded=loaded, **turn.outcome())
