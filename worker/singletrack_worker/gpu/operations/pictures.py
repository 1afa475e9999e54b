"""The images of a request: each payload is fetched and decoded once, for as long as somebody waits for the result."""

from collections.abc import Sequence

from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.image_limits import check_request_pixels
from singletrack_tasks.payload.images import count_pixels, decode_image, plain_file, prepare
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.stores import Blobs

_Key = tuple[str, str]


def question_files(blobs: Blobs, images: Sequence[Blob], cancellation: Cancellation) -> list[bytes]:
    """Fetch the images of a question, as files that every server reads alike.

    The server decodes one as often as it is named, so it counts as often. Raises `BlobMissing`, `InvalidImage`,
    `ImageTooLarge`, `JobCancelled`.
    """
    files = _fetch(blobs, images)
    counts = {key: count_pixels(data) for key, data in files.items()}
    check_request_pixels(sum(counts[_key(image)] for image in images))
    plain = {}
    for key, data in files.items():
        cancellation.check()
        plain[key] = plain_file(data)
    return [plain[_key(image)] for image in images]


def prepared_pixels(blobs: Blobs, images: Sequence[Blob], model: ClipModel, cancellation: Cancellation) -> list[bytes]:
    """Fetch the images of a request and prepare those that are files for CLIP; raises as `question_files` does."""
    payloads = _fetch(blobs, images)
    check_request_pixels(sum(count_pixels(data) for (_, form), data in payloads.items() if form == "file"))
    prepared = {}
    for (sha256, form), data in payloads.items():
        cancellation.check()
        prepared[sha256, form] = data if form == "pixels" else prepare(decode_image(data), model)
    return [prepared[_key(image)] for image in images]


def _key(image: Blob) -> _Key:
    return image.sha256, image.form


def _fetch(blobs: Blobs, images: Sequence[Blob]) -> dict[_Key, bytes]:
    distinct = {_key(image): image for image in images}
    return dict(zip(distinct, blobs.get(list(distinct.values())), strict=True))
