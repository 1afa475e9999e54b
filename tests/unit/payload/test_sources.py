"""Images in `data:` URLs, within the limits of files; no error quotes much of what was given."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from singletrack_tasks.errors import ImageTooLarge, InvalidImage
from singletrack_tasks.payload import image_limits
from singletrack_tasks.payload.images import to_file_bytes, to_rgb
from singletrack_tasks.payload.sources import read_bytes
from singletrack_tasks.text import shorten
from tests.unit.payload.pictures import COLOURS, check, pixels, saved

FILE = saved(Image.fromarray(COLOURS))
BODY = base64.b64encode(FILE).decode()
URL = f"data:image/png;base64,{BODY}"
LONG = "x" * 50_000

GOOD = {
    "plain": URL,
    "in capitals": f"DATA:IMAGE/PNG;BASE64,{BODY}",
    "of another type": f"data:image/jpeg;base64,{BODY}",
    "with a parameter": f"data:image/png;name=a.png;base64,{BODY}",
    "in lines": f"data:image/png;base64,{BODY[:40]}\n {BODY[40:]}\n",
    "escaped": f"data:image/png;base64,{quote(BODY, safe='')}",
    "behind a blank": f" \n{URL}",
    "without padding": URL.rstrip("="),
}
BAD = {
    "no image": "data:text/plain;base64,aGVsbG8=",
    "no type": f"data:;base64,{BODY}",
    "no base64": f"data:image/svg+xml,<svg>{LONG}</svg>",
    "not said to be base64": f"data:image/png,{BODY}",
    "no comma": f"data:image/png;base64{LONG}",
    "nothing": "data:",
    "no base64 inside": f"data:image/png;base64,{LONG}?",
    "letters from afar": f"data:image/png;base64,\u00e9\ud800{LONG}",
    "an image of another kind": f"data:image/gif;base64,{base64.b64encode(b'GIF89a' + LONG.encode()).decode()}",
    "cut short": f"data:image/png;base64,{base64.b64encode(FILE[:-40]).decode()}",
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_data_url_is_an_image(kind: str) -> None:
    assert read_bytes(GOOD[kind]) == FILE
    assert to_file_bytes(GOOD[kind]) == FILE
    check([pixels(to_rgb(GOOD[kind]))], COLOURS)


@pytest.mark.parametrize("kind", BAD)
def test_a_data_url_that_is_wrong_says_so_briefly(kind: str) -> None:
    for way in (to_file_bytes, to_rgb):
        with pytest.raises(InvalidImage, match="data URL") as refused:
            way(BAD[kind])
        assert len(refused.value.message) < 400
        refused.value.message.encode()


def test_a_data_url_has_the_limits_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_limits, "MAX_BYTES", len(FILE))
    assert read_bytes(URL) == FILE
    monkeypatch.setattr(image_limits, "MAX_BYTES", len(FILE) - 1)
    with pytest.raises(ImageTooLarge, match=f"{len(FILE)} bytes"):
        read_bytes(URL)
    monkeypatch.setattr(image_limits, "MAX_BYTES", 100)
    with pytest.raises(ImageTooLarge, match="characters"):
        read_bytes(f"data:image/png;base64,{LONG}")


@pytest.mark.parametrize(
    "source", [LONG, Path(LONG), f"folder/{LONG}.png", f"http://host/{LONG}", Path(URL + LONG), "\ud800" * 5000]
)
def test_a_path_that_is_long_is_not_quoted_at_length(source: str | Path) -> None:
    with pytest.raises(InvalidImage) as refused:
        to_file_bytes(source)
    assert len(refused.value.message) < 400
    assert max(refused.value.message.count(char) for char in "x/?") <= 200


@pytest.mark.parametrize("url", ["http://me:hunter2@host/a.png?token=hunter2", "HTTPS://host/a.png", "file:///a.png"])
def test_another_url_says_what_to_do_with_it(url: str) -> None:
    with pytest.raises(InvalidImage, match="fetch it") as refused:
        to_file_bytes(url)
    assert "hunter2" not in refused.value.message


def test_a_file_of_that_name_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data:image.png").write_bytes(FILE)
    assert read_bytes("./data:image.png") == read_bytes(Path("data:image.png")) == FILE


def test_both_ends_of_a_long_text_are_shown() -> None:
    assert shorten("a" * 160) == "a" * 160
    assert shorten("a" * 200 + "b" * 200) == "a" * 78 + "..." + "b" * 78
