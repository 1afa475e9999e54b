"""Keeps on disk what an OCR engine read: it takes most of the time, and the pictures stay the same."""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.reader import TextLine, TextReader


class KeptReader:
    """Reads each picture once.

    `last_cpu_ms` is what the engine took for the last picture when it was read, `last_spent_ms` what asking for it took
    this time.
    """

    def __init__(self, reader: TextReader, folder: Path) -> None:
        self._reader = reader
        self._folder = folder
        self.last_cpu_ms = 0.0
        self.last_spent_ms = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """The engine's own."""
        return self._reader.name

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Return the lines as they were read before, or read them."""
        began = time.process_time()
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=16)
        digest.update(f"{pixels.shape} {self.name}".encode())
        path = self._folder / f"{digest.hexdigest()}.json"
        if not path.exists():
            self._write(path, pixels)
        kept = json.loads(path.read_text(encoding="utf-8"))
        self.last_cpu_ms = kept["cpu_ms"]
        lines = [TextLine(line["text"], Box(**line["box"]), line["score"]) for line in kept["lines"]]
        self.last_spent_ms = (time.process_time() - began) * 1000
        return lines

    def _write(self, path: Path, pixels: Pixels) -> None:
        began = time.process_time()
        lines = self._reader.read(pixels)
        kept = {"cpu_ms": (time.process_time() - began) * 1000, "lines": [asdict(line) for line in lines]}
        # Two processes may read one picture at a time.
        unfinished = path.with_suffix(f".{time.monotonic_ns()}")
        unfinished.write_text(json.dumps(kept), encoding="utf-8")
        unfinished.replace(path)
