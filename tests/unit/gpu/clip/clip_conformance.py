"""What every `Clip` must do: the real one, the one in a simulation, and those that stand in for them."""

import numpy as np

from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.tenants import Clip

TOLERANCE = 1e-4
TEXTS = ("a red button", "the address bar", "Abbrechen")


class ClipConformance:
    """Subclass it and give the fixture `clip`: a started `Clip` on the CPU with a GPU that has room for it.

    Tests leave CLIP on the CPU, so that one `Clip` may serve them all.
    """

    def test_it_says_which_model_it_is(self, clip: Clip) -> None:
        model = known(clip)
        assert model.fingerprint
        assert clip.device == clip.find() == "cpu"

    def test_embeddings_are_rows_of_unit_length(self, clip: Clip) -> None:
        dimension = known(clip).dimension
        for rows, count in ((clip.embed_images(pictures(clip)), 3), (clip.embed_texts(TEXTS), len(TEXTS))):
            assert rows.shape == (count, dimension)
            assert rows.dtype == np.float32
            assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)

    def test_nothing_to_embed_is_no_rows(self, clip: Clip) -> None:
        dimension = known(clip).dimension
        assert clip.embed_images([]).shape == clip.embed_texts([]).shape == (0, dimension)

    def test_a_text_of_more_tokens_than_are_embedded_is_too_long(self, clip: Clip) -> None:
        # A token each, and two more for the beginning and the end.
        words = "word " * known(clip).context_length
        texts = ["a red button", "word " * (known(clip).context_length - 2), words[5:], words]
        assert clip.too_long(texts) == [False, False, True, True]
        assert clip.too_long([]) == []
        assert clip.too_long(["word " * 800, "a", "Abbrechen"] * 50) == [True, False, False] * 50

    def test_different_inputs_are_apart(self, clip: Clip) -> None:
        rows = clip.embed_images(pictures(clip))
        assert 1 - float(rows[0] @ rows[1]) > 10 * TOLERANCE

    def test_embeddings_survive_migrations(self, clip: Clip) -> None:
        before = everything(clip)
        clip.promote()
        clip.promote()
        assert clip.device == clip.find() != "cpu"
        promoted = everything(clip)
        clip.demote()
        clip.demote()
        assert clip.device == clip.find() == "cpu"
        assert clip.pids[1] is None
        assert np.array_equal(everything(clip), before)
        assert float(np.max(1 - np.sum(before * promoted, axis=1))) <= TOLERANCE

    def test_a_check_changes_nothing_where_all_is_well(self, clip: Clip) -> None:
        before = (clip.device, clip.pids)
        clip.check()
        assert (clip.device, clip.pids) == before


def known(clip: Clip) -> ClipModel:
    """The model of a started `Clip`."""
    assert clip.model is not None
    return clip.model


def pictures(clip: Clip) -> list[bytes]:
    """Three prepared images: black, a ramp, and noise from a fixed seed."""
    size = known(clip).image_size
    ramp = np.linspace(0, 255, size * size * 3).astype(np.uint8)
    noise = np.random.default_rng(3).integers(0, 256, size * size * 3, dtype=np.uint8)
    return [bytes(size * size * 3), ramp.tobytes(), noise.tobytes()]


def everything(clip: Clip) -> Vector:
    """Embeddings of the pictures and the texts."""
    return np.concatenate([clip.embed_images(pictures(clip)), clip.embed_texts(TEXTS)])
