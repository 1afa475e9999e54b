"""The images of a question: fetched once, bounded in all, and as every server reads them."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from singletrack_tasks.errors import BlobMissing, ImageTooLarge, InvalidImage, JobCancelled
from singletrack_tasks.payload import image_limits
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.operations.pictures import question_files
from tests.fakes import MemoryBlobs
from tests.unit.gpu.rig import Rig


class Album(MemoryBlobs):
    """Payloads, and how many were fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched = 0

    def file(self, image: Image.Image, kind: str = "PNG") -> Blob:
        buffer = io.BytesIO()
        image.save(buffer, kind)
        return self.add(buffer.getvalue(), Blob.of(buffer.getvalue(), "file"))

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        self.fetched += len(blobs)
        return super().get(blobs)


def test_a_plain_file_is_sent_as_it_is_and_fetched_once() -> None:
    album = Album()
    plain = album.file(Image.new("RGB", (9, 9), "red"))
    (data,) = album.get([plain])
    assert question_files(album, [plain] * 3, Cancellation()) == [data] * 3
    assert album.fetched == 2


def test_a_file_that_servers_read_differently_becomes_a_plain_one() -> None:
    album = Album()
    ramp = Image.fromarray(np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16))
    seen = [
        Image.open(io.BytesIO(data))
        for data in question_files(
            album, [album.file(ramp), album.file(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))], Cancellation()
        )
    ]
    assert np.array_equal(np.asarray(seen[0])[..., 0], np.arange(256).reshape(16, 16))
    assert seen[1].getpixel((0, 0)) == (255, 255, 255)


def test_the_pixels_of_a_question_are_bounded_however_often_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_limits, "MAX_REQUEST_PIXELS", 200)
    rig = Rig().started()
    album = Album()
    rig.stores.blobs._payloads = album._payloads
    image = album.file(Image.new("RGB", (10, 10), "red"))
    with pytest.raises(ImageTooLarge, match="300 pixels in all"):
        rig.manager.run(Ask(prompt="?", images=(image,) * 3), JobRef("j-1"))
    assert not rig.vlm.listed
    assert rig.manager.run(Ask(prompt="?", images=(image,) * 2), JobRef("j-2")).text


def test_what_is_wrong_with_an_image_costs_no_load() -> None:
    rig = Rig().started()
    bad = rig.stores.blobs.add(b"no image", Blob.of(b"no image", "file"))
    with pytest.raises(InvalidImage):
        rig.manager.run(Ask(prompt="?", images=(bad,)), JobRef("j-1"))
    assert not rig.vlm.listed


def test_nobody_waits_and_nothing_is_read() -> None:
    album = Album()
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(JobCancelled):
        question_files(album, [album.file(Image.new("RGB", (9, 9)))], cancellation)
    with pytest.raises(BlobMissing):
        question_files(album, [Blob.of(b"gone", "file")], cancellation)
