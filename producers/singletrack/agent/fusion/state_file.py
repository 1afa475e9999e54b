"""Known states in files: JSON for people, and the vectors in a `.npz` beside it."""

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from singletrack.agent.errors import InvalidState
from singletrack.agent.fusion.index import MAX_NAME_CHARS, MAX_STATES
from singletrack.agent.fusion.state_vector import UNIT_WITHIN, StateOrigin, Vector

STATE_FILE_VERSION: Final = 1
MAX_DIMENSION = 8192
# Of the vectors, read or written; a file that claims to hold more is not opened.
MAX_FILE_BYTES = 2 * 1024**3
_MAX_JSON_BYTES = 256 * 1024**2


@dataclass(frozen=True, eq=False)
class StateFile:
    """States (n x d, float32) of one CLIP and one recipe, under their names."""

    origin: StateOrigin
    names: tuple[str, ...]
    vectors: Vector


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = STATE_FILE_VERSION
    fingerprint: str
    recipe: str
    vectors_file: Annotated[str, Field(pattern=r"^[^/\\]{1,255}\.npz$")]
    vectors_sha256: str
    names: Annotated[list[Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]], Field(max_length=MAX_STATES)]


def save_states(path: Path, states: StateFile) -> None:
    """Write the vectors first and the JSON last, each in one step: whoever reads finds a whole set.

    Raises `InvalidState` if a file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, vectors=states.vectors)
    data = buffer.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    vectors_file = f"{path.stem}-{sha256[:12]}.npz"
    head = _Head(
        fingerprint=states.origin.fingerprint,
        recipe=states.origin.recipe,
        vectors_file=vectors_file,
        vectors_sha256=sha256,
        names=list(states.names),
    )
    older = _vectors_file(path)
    try:
        _replace(path.with_name(vectors_file), data)
        _replace(path, json.dumps(head.model_dump(), ensure_ascii=False, indent=1).encode())
        if older not in (None, vectors_file):
            path.with_name(str(older)).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidState(
            f"The states cannot be written to {path}: {error}. Name a folder that you can write to."
        ) from error


def load_states(path: Path) -> StateFile:
    """Read what `save_states` wrote; raises `InvalidState` if a file is missing, damaged, or of another version."""
    head = _head(path)
    vectors_path = path.with_name(head.vectors_file)
    data = _bytes(vectors_path, MAX_FILE_BYTES)
    if hashlib.sha256(data).hexdigest() != head.vectors_sha256:
        raise InvalidState(f"{vectors_path} is not the file that {path} was written with. Save the states again.")
    vectors = _vectors(vectors_path, data)
    if len(vectors) != len(head.names) or len(set(head.names)) != len(head.names):
        raise InvalidState(
            f"{path} names {len(set(head.names))} states, {vectors_path} holds {len(vectors)}. Save the states again."
        )
    return StateFile(StateOrigin(head.fingerprint, head.recipe), tuple(head.names), vectors)


def _vectors_file(path: Path) -> str | None:
    """Name the vectors of an earlier save, None if there is none."""
    try:
        return _head(path).vectors_file
    except InvalidState:
        return None


def _head(path: Path) -> _Head:
    try:
        return _Head.model_validate_json(_bytes(path, _MAX_JSON_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidState(
            f"{path} is no file of states of version {STATE_FILE_VERSION}: {where}: {first['msg']}. Save them again."
        ) from error


def _bytes(path: Path, most: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > most:
            raise InvalidState(f"{path} has {size} bytes, more than {most}. Name a file of states.")
        return path.read_bytes()
    except OSError as error:
        raise InvalidState(f"{path} cannot be read: {error}. Name a file that FusionEngine.save wrote.") from error


def _vectors(path: Path, data: bytes) -> Vector:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MAX_FILE_BYTES:
                raise InvalidState(f"{path} unpacks to more than {MAX_FILE_BYTES} bytes. Name a file of states.")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            vectors = arrays["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidState(f"{path} is damaged: {error}. Save the states again.") from error
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] > MAX_DIMENSION:
        raise InvalidState(f"{path} holds {vectors.dtype} {vectors.shape}, not vectors. Save the states again.")
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_WITHIN).all():
        raise InvalidState(f"{path} holds vectors that are not of unit length. Save the states again.")
    return np.ascontiguousarray(vectors)


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
