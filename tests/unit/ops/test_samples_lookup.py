"""The sample screenshots are found where an installation or a checkout has them."""

import shutil
from pathlib import Path

import pytest

from singletrack_ops.demo import samples
from singletrack_ops.demo.samples import load_scene, samples_folder, scene_names
from singletrack_ops.errors import OpsError


def test_a_checkout_has_them_beside_the_package() -> None:
    assert samples_folder() == Path(samples.__file__).parents[2] / "samples"
    assert scene_names() == ("files", "invoice", "orders", "settings")


def test_an_installation_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "singletrack_ops" / "samples"
    shutil.copytree(samples_folder(), inside, ignore=shutil.ignore_patterns("pages"))
    monkeypatch.setattr(samples, "_PLACES", (inside, tmp_path / "samples"))
    assert load_scene("files").image == inside / "files.png"


def test_an_installation_without_them_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_PLACES", (tmp_path,))
    with pytest.raises(OpsError, match="Install singletrack again"):
        samples_folder()


def test_a_scene_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(OpsError, match="files, invoice, orders, settings"):
        load_scene("nothing")


def test_crops_are_the_boxes_and_their_labels_differ() -> None:
    crops = load_scene("settings").crops(24)
    assert len({element.label for element, _ in crops}) == 24
    for element, crop in crops:
        assert crop.size == element.box[2:]
        assert crop.mode == "RGB"
