"""Where the bytes of an image come from: given as such, in a file, or in a `data:` URL."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from singletrack_tasks.errors import ImageTooLarge, InvalidImage
from singletrack_tasks.ollama_address import shown_url
from singletrack_tasks.payload import image_limits
from singletrack_tasks.payload.files import FileTooLarge, read_file
from singletrack_tasks.text import shorten

_SCHEME = "data:"
# The media type, with parameters that nobody reads.
_HEAD_CHARS_MAX = 200
_OTHER_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_data_url(source: object) -> bool:
    """Whether a text is a `data:` URL rather than a path; write `./data:...` for a file of such a name."""
    return isinstance(source, str) and source.lstrip()[: len(_SCHEME)].lower() == _SCHEME


def read_bytes(source: str | Path | bytes) -> bytes:
    """Read the file at a path, decode a `data:` URL, or return bytes unchanged.

    Raises `InvalidImage` for what is not a regular file or cannot be read, and `ImageTooLarge`.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        image_limits.check_bytes(memoryview(source).nbytes)
        return bytes(source)
    if not isinstance(source, str | Path):
        raise InvalidImage(
            f"an image must be a path, a data URL, bytes, a PIL image or a numpy array, not {type(source).__name__}"
        )
    if isinstance(source, str) and is_data_url(source):
        return _from_data_url(source.lstrip())
    if isinstance(source, str) and _OTHER_URL.match(source):
        raise InvalidImage(
            f"{shorten(shown_url(source))!r} is a URL, and only files of this machine and data: URLs are read: fetch "
            "it, and hand over its bytes or the path of the file"
        )
    most_bytes = image_limits.MAX_BYTES
    try:
        return read_file(Path(source), most_bytes)
    except FileTooLarge as error:
        raise ImageTooLarge(f"{shorten(str(source))} has more than {most_bytes} bytes, which is the limit") from error
    except OSError as error:
        raise InvalidImage(f"cannot read the image {shorten(str(source))!r}: {error.strerror or error}") from error


@contextmanager
def named(source: str | Path | bytes) -> Iterator[None]:
    """Say in an error about a file which one it is."""
    try:
        yield
    except InvalidImage as error:
        if not isinstance(source, str | Path):
            raise
        name = "the data URL" if is_data_url(source) else shorten(str(source))
        raise type(error)(f"{name}: {error.message}", error.details) from error


def _from_data_url(url: str) -> bytes:
    head, comma, _ = url[len(_SCHEME) : len(_SCHEME) + _HEAD_CHARS_MAX].partition(",")
    media_type, *parameters = (part.strip().lower() for part in head.split(";"))
    if not comma or not media_type.startswith("image/") or parameters[-1:] != ["base64"]:
        raise InvalidImage(
            f"a data URL of an image begins with 'data:image/png;base64,' or the like, not with {url[:60]!r}"
        )
    # Four characters hold three bytes; line breaks and escapes take a little more.
    if len(url) > image_limits.MAX_BYTES * 3 // 2 + _HEAD_CHARS_MAX:
        raise ImageTooLarge(f"the data URL has {len(url)} characters, for an image of {image_limits.MAX_BYTES} bytes")
    return _decoded(url.partition(",")[2])


def _decoded(body: str) -> bytes:
    text = "".join((unquote(body) if "%" in body else body).split())
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise InvalidImage(f"what the data URL holds is not base64: {error}") from error
    image_limits.check_bytes(len(data))
    return data
