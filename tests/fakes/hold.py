"""A hold on a track that is lost, or in doubt, when a test says so."""


class FakeHold:
    """Held under token 1 at first; `asked` counts those who asked for the token."""

    def __init__(self) -> None:
        self.in_doubt = False
        self.asked = 0
        self._token = 1

    @property
    def token(self) -> int:
        """The token."""
        self.asked += 1
        return self._token

    def holds(self, token: int) -> bool | None:
        """Whether it is held."""
        return None if self.in_doubt else token != 0 and token == self._token

    def lose(self) -> None:
        """Lose it to another worker."""
        self._token, self.in_doubt = 0, False

    def regain(self) -> None:
        """Have it back under a new token."""
        self._token, self.in_doubt = 2, False
