"""Known states: found exactly, kept in files, refused where they may not be compared."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from singletrack.agent.errors import InvalidState
from singletrack.agent.fusion import state_file
from singletrack.agent.fusion.engine import FusionEngine
from singletrack.agent.fusion.index import MAX_STATES, ExactIndex
from singletrack.agent.fusion.state_vector import Vector
from singletrack.agent.fusion.weights import FusionWeights
from tests.unit.agent.fusion.hashed_clip import HashedClip, noise


def unit_rows(count: int, seed: int = 3, dimension: int = 24) -> Vector:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def engine_with(*names: str) -> FusionEngine:
    engine = FusionEngine(HashedClip())
    for number, name in enumerate(names):
        engine.remember(name, engine.state_of(noise(number), [name]))
    return engine


def test_the_nearest_are_those_of_a_full_comparison() -> None:
    index, rows = ExactIndex(), unit_rows(500)
    for number, row in enumerate(rows):
        index.put(str(number), row)
    for query in unit_rows(20, seed=4):
        ranked = sorted(range(500), key=lambda number: -float(rows[number] @ query))
        for k in (1, 7, 499, 500, 5000):
            found = index.nearest(query, k)
            assert [name for name, _ in found] == [str(number) for number in ranked[:k]]
            assert all(cosine == pytest.approx(float(rows[int(name)] @ query), abs=1e-6) for name, cosine in found)


def test_of_equal_ones_the_older_comes_first() -> None:
    index = ExactIndex()
    for name in ("b", "a", "c"):
        index.put(name, unit_rows(1)[0])
    assert [name for name, _ in index.nearest(unit_rows(1)[0], 2)] == ["b", "a"]


def test_vectors_are_replaced_and_dropped() -> None:
    index, rows = ExactIndex(), unit_rows(200)
    for number, row in enumerate(rows):
        index.put(str(number), row)
    index.put("5", rows[7])
    index.drop("7")
    index.drop("0")
    assert len(index) == 198
    for row, name in ((7, "5"), (150, "150")):
        (found, cosine), *_ = index.nearest(rows[row], 1)
        assert (found, round(cosine, 5)) == (name, 1)
    names, vectors = index.entries()
    assert (len(names), vectors.shape) == (198, (198, 24))
    np.testing.assert_array_equal(vectors[names.index("199")], rows[199])
    with pytest.raises(KeyError):
        index.drop("7")


def test_an_index_has_bounds() -> None:
    index, rows = ExactIndex(capacity=2), unit_rows(3)
    index.put("a", rows[0])
    index.put("b", rows[1])
    index.put("b", rows[2])
    with pytest.raises(InvalidState, match="full"):
        index.put("c", rows[2])
    for name in ("", " ", "x" * 201):
        with pytest.raises(InvalidState, match="characters"):
            index.put(name, rows[0])
    with pytest.raises(InvalidState, match="dimensions"):
        ExactIndex.put(index, "a", unit_rows(1, dimension=8)[0])
    with pytest.raises(InvalidState, match="dimensions"):
        index.nearest(unit_rows(1, dimension=8)[0], 1)
    for capacity in (0, MAX_STATES + 1, True, 2.0):
        with pytest.raises(InvalidState, match="holds 1 to"):
            ExactIndex(capacity)  # type: ignore[arg-type]  # as a caller may


def test_the_screen_itself_is_the_most_similar() -> None:
    engine = engine_with("orders", "files", "invoice")
    found = engine.find_similar(engine.state_of(noise(1), ["files"]), k=2)
    assert [(name, round(cosine, 5)) for name, cosine in found[:1]] == [("files", 1)]
    assert found[1][1] < 0.5
    assert len(engine) == 3
    engine.forget("files")
    assert "files" not in dict(engine.find_similar(engine.state_of(noise(1), ["files"])))
    with pytest.raises(InvalidState, match="known as 'files'"):
        engine.forget("files")


def test_nothing_is_like_a_screen_where_none_is_known() -> None:
    engine = FusionEngine(HashedClip())
    assert engine.find_similar(engine.state_of(noise(1))) == []
    for k in (0, -1, True, 2.5, MAX_STATES + 1):
        with pytest.raises(InvalidState, match="k is 1 to"):
            engine.find_similar(engine.state_of(noise(1)), k)  # type: ignore[arg-type]  # as a caller may


def test_states_of_another_clip_or_recipe_are_refused() -> None:
    engine = engine_with("orders")
    stranger = FusionEngine(HashedClip("another")).state_of(noise(1))
    heavier = FusionEngine(HashedClip(), FusionWeights(image=0.8, text=0.0)).state_of(noise(1))
    for state in (stranger, heavier):
        with pytest.raises(InvalidState, match="cannot be compared"):
            engine.find_similar(state)
        with pytest.raises(InvalidState, match="cannot be compared"):
            engine.remember("x", state)
    engine.forget("orders")
    engine.remember("x", stranger)
    with pytest.raises(InvalidState, match="cannot be compared"):
        FusionEngine(HashedClip()).find_similar(heavier)


def test_an_index_of_unknown_origin_is_refused() -> None:
    index = ExactIndex()
    index.put("x", unit_rows(1)[0])
    with pytest.raises(InvalidState, match="Give an empty one"):
        FusionEngine(HashedClip(), index=index)


def test_states_come_back_from_their_files(tmp_path: Path) -> None:
    engine, path = engine_with("orders", "files"), tmp_path / "known[1].json"
    engine.save(path)
    engine.remember("Rechnung über 5 €", engine.state_of(noise(9)))
    engine.save(path)
    assert len(list(tmp_path.iterdir())) == 2
    again = FusionEngine(HashedClip())
    again.load(path)
    state = engine.state_of(noise(9), ["files"])
    assert again.find_similar(state, 3) == engine.find_similar(state, 3)
    other = FusionEngine(HashedClip("another"))
    other.remember("x", other.state_of(noise(1)))
    with pytest.raises(InvalidState, match="one CLIP"):
        other.load(path)
    with pytest.raises(InvalidState, match="same weights"):
        FusionEngine(HashedClip(), FusionWeights(image=0.8, text=0.0)).load(path)


def test_saving_leaves_the_files_of_others_alone(tmp_path: Path) -> None:
    other = tmp_path / "known-0123456789ab.npz"
    other.write_bytes(b"theirs")
    engine = engine_with("orders")
    engine.save(tmp_path / "known.json")
    engine.save(tmp_path / "known.json")
    assert other.read_bytes() == b"theirs"


def test_there_must_be_something_to_save_and_somewhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidState, match="none to save"):
        FusionEngine(HashedClip()).save(tmp_path / "known.json")
    with pytest.raises(InvalidState, match="can write to"):
        engine_with("orders").save(tmp_path / "missing" / "known.json")
    with pytest.raises(InvalidState, match="cannot be read"):
        FusionEngine(HashedClip()).load(tmp_path / "known.json")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "known.json"
    engine_with("orders", "files").save(path)
    return path


def rewrite(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def vectors_of(path: Path) -> Path:
    return path.with_name(json.loads(path.read_text())["vectors_file"])


def replace_vectors(path: Path, data: bytes) -> None:
    vectors_of(path).write_bytes(data)
    rewrite(path, vectors_sha256=hashlib.sha256(data).hexdigest())


def packed(array: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, vectors=np.asarray(array))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": 2}, "version 1: version"),
        ({"names": ["orders"]}, "names 1 states"),
        ({"names": ["orders", "orders"]}, "names 1 states"),
        ({"names": ["orders", ""]}, "names.1"),
        ({"vectors_file": "../known.npz"}, "vectors_file"),
        ({"vectors_file": "gone.npz"}, "cannot be read"),
        ({"vectors_sha256": "0"}, "not the file"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_changed_head_is_refused(saved: Path, fields: dict[str, object], words: str) -> None:
    rewrite(saved, **fields)
    with pytest.raises(InvalidState, match=words):
        FusionEngine(HashedClip()).load(saved)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (packed(np.eye(2, 512, dtype=np.float32))[:-40], "damaged"),
        (packed(np.eye(2, 512)), "not vectors"),
        (packed(np.eye(2, 512, dtype=np.float32)[0]), "not vectors"),
        (packed(2 * np.eye(2, 512, dtype=np.float32)), "unit length"),
        (packed(np.full((2, 512), np.nan, np.float32)), "unit length"),
    ],
)
def test_changed_vectors_are_refused(saved: Path, data: bytes, words: str) -> None:
    replace_vectors(saved, data)
    engine = FusionEngine(HashedClip())
    with pytest.raises(InvalidState, match=words):
        engine.load(saved)
    assert len(engine) == 0


def test_a_pickle_is_never_opened(saved: Path) -> None:
    replace_vectors(saved, packed(np.array([{"a": 1}, None], dtype=object)))
    with pytest.raises(InvalidState, match="damaged"):
        FusionEngine(HashedClip()).load(saved)


def test_a_file_that_unpacks_to_too_much_is_not_opened(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("vectors.npy", bytes(4_000_000))
    replace_vectors(saved, buffer.getvalue())
    monkeypatch.setattr(state_file, "MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(InvalidState, match="unpacks to more"):
        FusionEngine(HashedClip()).load(saved)
    monkeypatch.setattr(state_file, "MAX_FILE_BYTES", 1000)
    with pytest.raises(InvalidState, match="more than 1000"):
        FusionEngine(HashedClip()).load(saved)
