"""What a model has said so far, its thoughts apart."""

from collections.abc import Callable

from singletrack_worker.gpu.ollama.privacy import Secrets
from singletrack_worker.gpu.ollama.replies import Text

# Models whose thoughts the server does not tell apart put them between these.
_THINK, _END = "<think>", "</think>"


class Spoken:
    """The pieces of one answer; each goes to `on_text` as it comes."""

    def __init__(self, secrets: Secrets, on_text: Callable[[str], None]) -> None:
        self._secrets = secrets
        self._on_text = on_text
        self._pieces: list[str] = []
        self._thought_chars = 0

    def add(self, piece: Text) -> None:
        """Take the next piece."""
        self._secrets.add(piece.thinking or "")
        self._secrets.add(piece.content)
        self._thought_chars += len(piece.thinking or "")
        self._pieces.append(piece.content)
        self._on_text(piece.content)

    @property
    def text(self) -> str:
        """The answer, verbatim."""
        return "".join(self._pieces)

    @property
    def thought_chars(self) -> int:
        """How much was thought, in characters."""
        return self._thought_chars + len(self._thought_in_text)

    @property
    def is_only_thought(self) -> bool:
        """Whether there are thoughts, and no answer."""
        text, thought = self.text, self._thought_in_text
        return self.thought_chars > 0 and not text.lstrip().removeprefix(thought).strip()

    @property
    def _thought_in_text(self) -> str:
        text = self.text.lstrip()
        if not text.startswith(_THINK):
            return ""
        thought, end, _ = text.partition(_END)
        return thought + end
