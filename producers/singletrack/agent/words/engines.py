"""The OCR engines that are known: faster-paddle, and RapidOCR where its wheels are missing."""

from collections import OrderedDict
from hashlib import blake2b
from importlib import metadata
from threading import Lock
from typing import Final

import cv2
import numpy as np

from singletrack.agent.errors import MissingExtra
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.reader import TextLine, TextReader

_LONGEST_SIDE: Final = 1600
# Small pictures are read as they are; enlarged to the engine's usual 736 they take ten times as long.
_SHORTEST_SIDE: Final = 64
_READINGS_KEPT: Final = 8


class FasterPaddleReader:
    """PP-OCR tiny by faster-paddle, whose models come with its wheel; raises `MissingExtra` without it."""

    def __init__(self, longest_side: int = _LONGEST_SIDE, threads: int = 1) -> None:
        try:
            from faster_paddle import OcrEngine
        except ImportError as error:
            raise MissingExtra("faster-paddle is missing. Install it: pip install 'singletrack[agent]'") from error
        self._engine = OcrEngine(
            model_size="tiny", threads=threads, det_max_side=longest_side, det_min_side=_SHORTEST_SIDE
        )
        self.name = f"faster-paddle {metadata.version('faster-paddle')} tiny {longest_side}"

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read RGB pixels; boxes are in their pixels."""
        encoded, picture = cv2.imencode(".bmp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        if not encoded:
            raise ValueError(f"pixels of {pixels.shape} cannot be written as a picture")
        found = self._engine.ocr(picture.tobytes())["bounds"].values()
        return [
            TextLine(one["text"], _box(*one["topLeftCoord"], *one["bottomRightCoord"]), float(one["confidence"]))
            for one in found
            if one["text"].strip()
        ]


class RapidOcrReader:
    """PP-OCR by RapidOCR and onnxruntime, slower by far; raises `MissingExtra` where it is not installed."""

    def __init__(self) -> None:
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise MissingExtra("RapidOCR is missing. Install it: pip install rapidocr onnxruntime") from error
        self._engine = RapidOCR()
        self.name = f"rapidocr {metadata.version('rapidocr')}"

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read RGB pixels; boxes are in their pixels."""
        found = self._engine(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        if found.boxes is None:
            return []
        return [
            TextLine(text, _box(*corners.min(axis=0), *corners.max(axis=0)), float(score))
            for text, corners, score in zip(found.txts, np.asarray(found.boxes), found.scores, strict=True)
            if text.strip()
        ]


class RememberingReader:
    """Keeps the last readings of another reader, by a digest of the pixels."""

    def __init__(self, reader: TextReader, kept: int = _READINGS_KEPT) -> None:
        self._reader, self._kept = reader, kept
        self._readings: OrderedDict[bytes, list[TextLine]] = OrderedDict()
        self._lock = Lock()
        self.name = reader.name

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read RGB pixels, or remember; boxes are in their pixels."""
        digest = blake2b(repr(pixels.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(pixels).data)
        key = digest.digest()
        with self._lock:
            if key in self._readings:
                self._readings.move_to_end(key)
                return list(self._readings[key])
        lines = self._reader.read(pixels)
        with self._lock:
            self._readings[key] = lines
            while len(self._readings) > self._kept:
                self._readings.popitem(last=False)
        return list(lines)


def default_reader() -> TextReader:
    """Return faster-paddle with a short memory, or RapidOCR where only that is installed; raises `MissingExtra`."""
    try:
        return RememberingReader(FasterPaddleReader())
    except MissingExtra as missing:
        try:
            return RememberingReader(RapidOcrReader())
        except MissingExtra:
            raise MissingExtra("No OCR engine is installed. Install one: pip install 'singletrack[agent]'") from missing


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(int(left), int(top), max(int(right) - int(left), 1), max(int(bottom) - int(top), 1))
