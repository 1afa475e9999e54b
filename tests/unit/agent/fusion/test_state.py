"""What a state is made of."""

import numpy as np
import pytest

from singletrack.agent.errors import InvalidState
from singletrack.agent.fusion.engine import FusionEngine
from singletrack.agent.fusion.passages import MAX_TEXTS, PASSAGE_CHARS, passages_of_elements, passages_of_texts
from singletrack.agent.fusion.state_vector import StateOrigin, StateVector
from singletrack.agent.fusion.weights import FusionWeights, StatePart
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box
from tests.unit.agent.fusion.hashed_clip import HashedClip, embedded, noise

BOX = Box(0, 0, 10, 10)


def words(count: int) -> list[str]:
    return [f"label {number}" for number in range(count)]


def test_a_state_is_the_weighted_sum_of_its_parts() -> None:
    weights = FusionWeights(image=0.4, text=0.3, title=0.2, elements=0.1)
    screen = noise(1, title="Orders - Editor")
    state = FusionEngine(HashedClip(), weights).state_of(screen, ["Save"], [Element(BOX, "Save", Role.BUTTON)])
    parts = [screen.pixels.tobytes(), b"Save", b"Orders - Editor", b"1 button: Save"]
    expected = sum(
        weight * embedded(data).astype(np.float64) for weight, data in zip((0.4, 0.3, 0.2, 0.1), parts, strict=True)
    )
    np.testing.assert_allclose(state.vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert state.vector.dtype == np.float32
    assert (state.missing, state.used, state.is_cut) == ((), weights, False)
    assert state.origin == StateOrigin("one", "fusion-1 image=0.4 text=0.3 title=0.2 elements=0.1")


def test_missing_parts_are_told_and_the_others_count_more() -> None:
    state = FusionEngine(HashedClip()).state_of(noise(1), ["Save"])
    assert state.missing == (StatePart.TITLE, StatePart.ELEMENTS)
    assert state.used == FusionWeights(image=0.5 / 0.8, text=0.3 / 0.8, title=0, elements=0)
    alone = FusionEngine(HashedClip()).state_of(noise(1), [" ", "\n"])
    np.testing.assert_array_equal(alone.vector, embedded(noise(1).pixels.tobytes()))
    assert alone.used.image == 1


def test_a_part_without_weight_is_not_embedded() -> None:
    clip = HashedClip()
    only_words = FusionEngine(clip, FusionWeights(image=0, text=1, title=0, elements=0))
    state = only_words.state_of(noise(1, title="Orders"), ["Save"])
    assert (clip.images, clip.texts, state.missing) == (0, ["Save"], ())
    with pytest.raises(InvalidState, match="none of the parts"):
        only_words.state_of(noise(1, title="Orders"))


def test_the_same_screen_has_the_same_state() -> None:
    first, second = (FusionEngine(HashedClip()).state_of(noise(1, "Orders"), words(300)) for _ in range(2))
    np.testing.assert_array_equal(first.vector, second.vector)
    assert first.similarity(second) == pytest.approx(1)
    assert first.similarity(FusionEngine(HashedClip()).state_of(noise(2), words(3))) < 0.9


def test_a_state_cannot_be_changed() -> None:
    state = FusionEngine(HashedClip()).state_of(noise(1))
    with pytest.raises(ValueError, match="read-only"):
        state.vector[0] = 1


@pytest.mark.parametrize(
    "weights",
    [
        {"image": 0.6},
        {"image": -0.1, "text": 0.9},
        {"image": float("nan")},
        {"image": float("inf")},
        {"image": "0.5"},
        {"image": True, "text": 0.0, "title": 0.0, "elements": 0.0},
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(InvalidState, match="eights"):
        FusionWeights(**weights)


def test_a_vector_that_is_not_of_unit_length_is_no_state() -> None:
    for vector in (np.ones(4, np.float32), np.full(4, np.nan, np.float32), np.ones((1, 1), np.float32)):
        with pytest.raises(InvalidState, match="unit length"):
            StateVector(vector, StateOrigin("one", "r"), FusionWeights())


def test_states_of_another_clip_or_recipe_are_not_compared() -> None:
    state = FusionEngine(HashedClip()).state_of(noise(1))
    with pytest.raises(InvalidState, match="one CLIP"):
        state.similarity(FusionEngine(HashedClip("another")).state_of(noise(1)))
    other_weights = FusionWeights(image=0.6, text=0.2)
    with pytest.raises(InvalidState, match="same weights"):
        state.similarity(FusionEngine(HashedClip(), other_weights).state_of(noise(1)))


def test_a_clip_that_changes_meanwhile_makes_no_state() -> None:
    class Changing(HashedClip):
        def embed_texts(self, texts, *, timeout_s=120.0):  # type: ignore[no-untyped-def]  # as its base
            self.fingerprint = "another"
            return super().embed_texts(texts)

    with pytest.raises(InvalidState, match="changed its CLIP"):
        FusionEngine(Changing()).state_of(noise(1), ["Save"])


def test_passages_hold_every_word_and_none_is_longer_than_clip_reads() -> None:
    texts = [*words(100), "long " * 100, "", "  spaced\tout "]
    passages = passages_of_texts(texts)
    assert " ".join(passages.texts).split() == " ".join(texts).split()
    assert max(map(len, passages.texts)) <= PASSAGE_CHARS
    assert not passages.is_cut
    assert [len(text) for text in passages.texts] == list(passages.weights)


def test_one_more_label_changes_few_passages() -> None:
    before, after = passages_of_texts(words(300)), passages_of_texts(["a new label", *words(300)])
    assert len(before.texts) > 10
    assert len(set(after.texts) - set(before.texts)) <= 3


def test_more_text_than_a_state_takes_up_is_told() -> None:
    state = FusionEngine(HashedClip()).state_of(noise(1), words(MAX_TEXTS))
    assert state.is_cut
    with pytest.raises(InvalidState, match="leave some out"):
        FusionEngine(HashedClip()).state_of(noise(1), words(MAX_TEXTS + 1))
    with pytest.raises(InvalidState, match="around a single one"):
        FusionEngine(HashedClip()).state_of(noise(1), "Save")


def test_elements_are_told_role_by_role() -> None:
    elements = [
        Element(BOX, "Store", Role.BUTTON),
        Element(BOX, "", Role.ICON),
        Element(BOX, "Cancel", Role.BUTTON),
        Element(BOX, "?", None),
        Element(BOX, "Next page", Role.MENU_ITEM),
    ]
    texts = set(passages_of_elements(elements).texts)
    assert texts == {"2 button: Store Cancel", "1 icon", "1 elements: ?", "1 menu item: Next page"}


def test_a_title_counts() -> None:
    first, second = (FusionEngine(HashedClip()).state_of(noise(1, title)) for title in ("Orders", "Invoices"))
    assert first.similarity(second) < 0.999


def test_whatever_bears_a_text_will_do() -> None:
    clip = HashedClip()
    FusionEngine(clip).state_of(Screenshot.of(noise(1).pixels), [Element(BOX, "Save")])
    assert clip.texts == ["Save"]
