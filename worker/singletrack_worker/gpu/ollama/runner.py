"""How the server is to run our model, which goes with every request that reaches it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunnerSettings:
    """How the server is to run our model, and for how long it keeps it when unused.

    The same `num_ctx` (None: the server decides) goes with every request: the server reloads the model when it differs.
    """

    model: str
    keep_alive_s: int
    num_ctx: int | None = None

    def request(self, *, stream: bool, **options: Any) -> dict[str, Any]:
        """Return the fields that all requests have in common, with these options of one question."""
        own = {} if self.num_ctx is None else {"num_ctx": self.num_ctx}
        return {
            "model": self.model,
            "keep_alive": self.keep_alive_s,
            "stream": stream,
            "options": {**own, **options},
        }
