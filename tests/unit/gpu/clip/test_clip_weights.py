"""Weights are named exactly, and what cannot be loaded says what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_worker.gpu.clip.weights import CONFIG_FILE, WEIGHTS_FILE, WeightsSpec

# Prints a JSON list of what became of its arguments. A process of its own, so that this one stays without torch.
LOAD = """
import json, sys
from singletrack_tasks.errors import ClipUnavailable
from singletrack_tasks.status import ResizeMode
from singletrack_worker.gpu.clip.weights import WeightsSpec, load_clip
outcomes = []
for argument in sys.argv[1:]:
    weights, mode = argument.split("|")
    try:
        outcomes.append(load_clip(WeightsSpec.parse(weights), ResizeMode(mode)).model.dump())
    except ClipUnavailable as error:
        outcomes.append(error.message)
print(json.dumps(outcomes))
"""


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("ViT-B-32/laion2b_s34b_b79k", WeightsSpec("ViT-B-32", "laion2b_s34b_b79k")),
        ("ViT-B-32-quickgelu/openai", WeightsSpec("ViT-B-32-quickgelu", "openai")),
        ("local-dir:/models/clip", WeightsSpec(folder=Path("/models/clip"))),
    ],
)
def test_weights_are_an_architecture_with_a_tag_or_a_folder(text: str, spec: WeightsSpec) -> None:
    assert WeightsSpec.parse(text) == spec


@pytest.mark.parametrize("text", ["", "ViT-B-32", "ViT-B-32/", "/openai", "local-dir:", "hf-hub:a/b", "a/b/c"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="ARCHITECTURE/TAG"):
        WeightsSpec.parse(text)


def test_what_is_loaded_and_what_is_refused(tiny_clip: Path, tmp_path: Path) -> None:
    no_mark, cut, changed = (tmp_path / name for name in ("no_mark", "cut", "changed"))
    weights, config = (tiny_clip / WEIGHTS_FILE).read_bytes(), json.loads((tiny_clip / CONFIG_FILE).read_text())
    _write(no_mark, weights, {key: value for key, value in config.items() if key != "singletrack"})
    _write(cut, weights[: len(weights) // 2], config)
    _write(changed, weights[:-2] + b"\x00\x00", config)
    cases = [
        f"local-dir:{tiny_clip}|squash",
        f"local-dir:{tiny_clip}|longest",
        f"local-dir:{no_mark}|squash",
        f"local-dir:{changed}|squash",
        f"local-dir:{cut}|squash",
        f"local-dir:{tmp_path / 'nowhere'}|squash",
        "ViT-B-32/openai|squash",
        "ViT-B-32/no-such-tag|squash",
    ]
    done = subprocess.run([sys.executable, "-c", LOAD, *cases], capture_output=True, text=True, check=True, timeout=600)
    squash, longest, unmarked, other, cut_off, nowhere, gelu, no_tag = json.loads(done.stdout)

    assert squash["trained"] is False
    assert (squash["dimension"], squash["image_size"], squash["context_length"]) == (128, 224, 77)
    assert unmarked["trained"] is True
    assert unmarked["fingerprint"] == squash["fingerprint"]
    assert len({squash["fingerprint"], longest["fingerprint"], other["fingerprint"]}) == 3
    assert "cannot be loaded" in cut_off
    assert CONFIG_FILE in nowhere
    assert "`ViT-B-32-quickgelu/openai`" in gelu
    assert "laion2b_s34b_b79k" in no_tag


def _write(folder: Path, weights: bytes, config: dict[str, object]) -> None:
    folder.mkdir()
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
