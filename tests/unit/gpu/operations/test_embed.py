"""Embeddings end with the time that their caller gave them."""

import threading
from collections.abc import Sequence

import pytest

from singletrack_tasks.errors import DeadlinePassed
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.requests.embedding import EmbedTexts
from singletrack_tasks.requests.request import JobRef
from tests.unit.gpu.rig import Rig

LIMIT_S = 60.0


def test_embeddings_are_broken_off_at_their_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().started()
    embed, batches = rig.clip.embed_texts, []

    def embed_until_the_deadline(texts: Sequence[str]) -> Vector:
        batches.append(len(texts))
        broken_off = threading.Event()
        turn = rig.manager._turns._turn
        assert turn is not None
        turn.cancellation.on_cancel(broken_off.set)
        assert broken_off.wait(LIMIT_S)
        return embed(texts)

    monkeypatch.setattr(rig.clip, "embed_texts", embed_until_the_deadline)
    now_unix_s = rig.clock.time()
    request = EmbedTexts(texts=tuple(map(str, range(100))), sent_unix_s=now_unix_s, deadline_unix_s=now_unix_s + 0.05)
    with pytest.raises(DeadlinePassed, match="broken off"):
        rig.manager.run(request, JobRef("j-1"))
    assert len(batches) == 1
    monkeypatch.undo()
    assert rig.manager.run(EmbedTexts(texts=("a",)), JobRef("j-2")).vectors.rows == 1
