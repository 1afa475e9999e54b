"""`singletrack embed`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Column, Table
from rich.text import Text

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.output import console, one_line, print_json, show_warning
from singletrack.cli.waiting import watched
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.payload.sources import is_data_url
from singletrack_tasks.text import shorten

if TYPE_CHECKING:
    from singletrack.answers import Embeddings

_MOST_COMPARED = 8


def embed(
    context: typer.Context,
    text: Annotated[list[str] | None, typer.Option(help="A text; may be repeated.")] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="An image file, or a data: URL; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Save the embeddings to this file, as NumPy's .npy (float32).")
    ] = None,
    as_json: JsonOption = False,
    timeout_s: TimeoutOption = 120.0,
) -> None:
    """Embed texts and images with CLIP: the texts first, then the images."""
    texts, images = text or [], image or []
    if not texts and not images:
        raise InvalidRequest("there is nothing to embed: give --text or --image")
    with client_of(context) as client:
        parts = [watched(lambda: client.embed_texts(texts, timeout_s=timeout_s))] if texts else []
        parts += [watched(lambda: client.embed_images(images, timeout_s=timeout_s))] if images else []
    vectors = np.concatenate([part.vectors for part in parts])
    if out is not None:
        _save(out, vectors)
    for number, cut in enumerate((cut for part in parts for cut in part.truncated), start=1):
        if cut:
            show_warning(f"text {number} is longer than CLIP reads: its end does not count")
    if as_json:
        print_json(_facts(parts) | {"vectors": vectors.tolist()})
        return
    facts = _facts(parts)
    shape = f"{len(vectors)} x {vectors.shape[1]}"
    made = "all from the cache" if facts["device"] is None else f"on {facts['device']}, {facts['cached']} cached"
    console().print(f"{shape}, {made}, CLIP {parts[0].fingerprint}")
    if 1 < len(vectors) <= _MOST_COMPARED:
        console().print(_similarities([*texts, *map(_name, images)], vectors))


def _facts(parts: "list[Embeddings]") -> dict[str, object]:
    devices = [part.device for part in parts if part.device is not None]
    return {
        "fingerprints": sorted({part.fingerprint for part in parts}),
        "device": devices[-1] if devices else None,
        "cached": sum(part.cached for part in parts),
        "truncated": [cut for part in parts for cut in part.truncated],
    }


def _name(image: str) -> str:
    return "data URL" if is_data_url(image) else Path(image).name


def _save(file: Path, vectors: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> None:
    try:
        with file.open("wb") as stream:  # by name, NumPy would add a suffix
            np.save(stream, vectors)
    except OSError as error:
        raise InvalidRequest(f"cannot write {shorten(str(file))}: {error.strerror or error}") from error


def _similarities(names: list[str], vectors: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> Table:
    shown = [Text(one_line(name)[:20]) for name in names]
    table = Table("cosine similarity", *map(Column, shown))
    for name, row in zip(shown, vectors @ vectors.T, strict=True):
        table.add_row(name, *(f"{value:.3f}" for value in row))
    return table
