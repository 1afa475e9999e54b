"""Files that are none: refused at once, without waiting for a writer, and without reading for ever."""

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from singletrack import embedder
from singletrack.client import Client
from singletrack_tasks.errors import ImageTooLarge, InvalidImage
from singletrack_tasks.payload import image_limits, images
from singletrack_tasks.payload.files import FileTooLarge, read_file
from tests.unit.producers.cli.shell import Shell
from tests.unit.producers.conftest import Backstage
from tests.unit.producers.sample_images import png


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def _link_to_fifo(folder: Path) -> Path:
    (folder / "link").symlink_to(_fifo(folder))
    return folder / "link"


def _socket(folder: Path) -> Path:
    # A path of a socket may not be long: it is bound where it is.
    before = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    finally:
        os.chdir(before)
    return folder / "socket"


def _loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


NO_FILES: dict[str, Callable[[Path], Path]] = {
    "a pipe": _fifo,
    "a link to a pipe": _link_to_fifo,
    "a socket": _socket,
    "an endless device": lambda folder: Path("/dev/zero"),
    "a terminal": lambda folder: Path("/dev/tty"),
    "a folder": lambda folder: folder,
    "a loop": _loop,
    "nothing": lambda folder: folder / "nothing",
    "a name that is too long": lambda folder: folder / ("a" * 5000),
    "a name with a NUL": lambda folder: Path("a\0b.png"),
    "half a character": lambda folder: Path("\ud800.png"),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_no_image(client: Client, backstage: Backstage, tmp_path: Path, kind: str) -> None:
    path = NO_FILES[kind](tmp_path)
    before = backstage.traces
    calls: list[Callable[[], object]] = [
        lambda: client.ask("what?", [path]),
        lambda: client.ask("what?", [str(path)]),
        lambda: client.ask_stream("what?", [path]),
        lambda: client.submit_ask("what?", [path]),
        lambda: client.embed_images([path]),
    ]
    for call in calls:
        with pytest.raises(InvalidImage, match="cannot read the image"):
            call()
    assert backstage.traces == before


@pytest.mark.parametrize("kind", [kind for kind in NO_FILES if kind not in {"a name with a NUL", "half a character"}])
def test_no_command_reads_what_is_no_file(shell: Shell, tmp_path: Path, kind: str) -> None:
    path = str(NO_FILES[kind](tmp_path))
    for command in (
        ["ask", "what?", "--image", path],
        ["ask", "what?", "--schema", path],
        ["embed", "--image", path],
        ["record", "--file", path],
    ):
        assert "cannot" in shell(*command, status=2).stderr


def test_an_endless_file_is_not_read_into_memory() -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OSError, match="not a regular file"):
        read_file(Path("/dev/zero"), 1024)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50_000


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345678")
    assert read_file(file, 8) == b"12345678"
    with pytest.raises(FileTooLarge, match="more than 7 bytes"):
        read_file(file, 7)


def test_a_file_that_is_larger_than_it_says_is_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_limits, "MAX_BYTES", 4)
    with pytest.raises(ImageTooLarge, match="more than 4 bytes"):
        client.ask("what?", ["/proc/self/status"])


def test_a_schema_and_a_recording_have_limits(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("wb") as stream:
        stream.truncate(200_000_000)
    assert "more than" in shell("ask", "what?", "--schema", str(file), status=2).stderr
    assert "more than" in shell("record", "--file", str(file), status=2).stderr
    file.write_text("[" * 100_000)
    assert "cannot read a JSON schema" in shell("ask", "what?", "--schema", str(file), status=2).stderr


WIDE = 49_000_000


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.broadcast_to(np.uint8(0), (7000, 7000, 3)), id="RGB"),
        pytest.param(np.broadcast_to(np.uint8(0), (7000, 7000, 4)), id="BGRA"),
        pytest.param(np.broadcast_to(np.uint8(0), (1, WIDE)), id="grey"),
    ],
)
def test_an_array_obeys_the_limit_of_files(
    client: Client, backstage: Backstage, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    before = backstage.traces
    calls: list[Callable[[], object]] = [
        lambda: client.ask("what?", [image]),
        lambda: client.embed_images([image]),
        lambda: client.ask("what?", [Image.new("1", (WIDE, 1))]),
        lambda: client.embed_images([Image.new("1", (WIDE, 1))]),
    ]
    for call in calls:
        with pytest.raises(ImageTooLarge, match="pixels; the limit is 40000000"):
            call()
    assert backstage.traces == before


def test_pixels_that_become_too_large_a_file_are_refused_here(
    client: Client, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_limits, "MAX_BYTES", 1000)
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    before = backstage.traces
    for image in (noise, Image.fromarray(noise), bytes(1001), memoryview(bytes(1001))):
        with pytest.raises(ImageTooLarge, match="the limit is 1000"):
            client.ask("what?", [image])  # type: ignore[list-item] # bytes of every kind are taken
    assert backstage.traces == before


def test_images_of_too_many_pixels_together_are_refused_here(
    client: Client, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_limits, "MAX_REQUEST_PIXELS", 1000)
    files = [png((shade, 0, 0)) for shade in (1, 2)]
    before = backstage.traces
    with pytest.raises(ImageTooLarge, match="1280 pixels in all; the limit is 1000"):
        client.ask("what?", files)
    with pytest.raises(ImageTooLarge, match="1280 pixels in all"):
        client.ask("what?", files[:1] * 2)
    # A worker whose CLIP is not known yet gets the files as they are.
    monkeypatch.setattr(client._embedder._models, "known", lambda: None)
    with pytest.raises(ImageTooLarge, match="1280 pixels in all"):
        client.embed_images(files)
    assert backstage.traces == before
    monkeypatch.setattr(client._embedder._models, "refresh", lambda: None)
    assert client.embed_images(files[:1] * 3).vectors.shape[0] == 3


def test_a_file_that_is_named_often_is_read_once(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []

    def to_rgb(image: images.ImageLike) -> Image.Image:
        reads.append(image)
        return images.to_rgb(image)

    monkeypatch.setattr(embedder, "to_rgb", to_rgb)
    file = tmp_path / "icon.png"
    file.write_bytes(png())
    assert client.embed_images([file, str(file), png(), file, png(), str(file)]).vectors.shape[0] == 6
    assert len(reads) == 3
