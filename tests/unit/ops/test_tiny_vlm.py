"""The tiny model is the same bytes each time, so that its digest tells nothing but its recipe."""

from pathlib import Path

import pytest

from singletrack_ops.embedded.tiny_vlm import write_tiny_vlm

NAMES = ("text.gguf", "vision.gguf", "Modelfile")


@pytest.fixture(autouse=True)
def _needs_gguf() -> None:
    pytest.importorskip("gguf", reason="needs the extra [embedded]")


def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = (write_tiny_vlm(tmp_path / name).parent for name in ("first", "second"))
    for name in NAMES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_another_seed_makes_another_model(tmp_path: Path) -> None:
    first, second = (write_tiny_vlm(tmp_path / str(seed), seed).parent for seed in (1, 2))
    for name in ("text.gguf", "vision.gguf"):
        assert (first / name).read_bytes() != (second / name).read_bytes()


def test_it_is_about_a_megabyte(tmp_path: Path) -> None:
    folder = write_tiny_vlm(tmp_path).parent
    assert 500_000 < sum((folder / name).stat().st_size for name in NAMES) < 2_000_000
