"""A clock that a test owns."""

from collections.abc import Callable

from singletrack_worker.gpu.clock import Step, shown_twice, sum_forward


class FakeClock:
    """Time that passes only when somebody sleeps or a test advances it; `on_sleep` hears of each sleep."""

    def __init__(self, unix_s: float = 1_700_000_000.0) -> None:
        self._now_s = 1000.0
        self._offset_s = unix_s - self._now_s
        self._steps: list[Step] = []
        self.slept_s: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def time(self) -> float:
        """Unix time in seconds."""
        return self._now_s + self._offset_s

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Let the time pass at once."""
        self.slept_s.append(duration_s)
        self.advance(duration_s)
        self.on_sleep()

    def advance(self, duration_s: float) -> None:
        """Let the time pass without anybody sleeping."""
        self._now_s += max(0.0, duration_s)

    def step_wall_clock(self, by_s: float) -> None:
        """Set the wall clock, as an administrator or a time server does."""
        self._offset_s += by_s
        self._steps.append(Step(self.time(), by_s))

    def unix(self, at_s: float) -> float:
        """The Unix time of a moment of the monotonic clock."""
        return at_s + self._offset_s

    def set_forward_since(self, unix_s: float) -> float:
        """By how many seconds the wall clock was set forward since."""
        return sum_forward(self._steps, unix_s)

    def showed_twice(self, unix_s: float) -> bool:
        """Whether the wall clock may have shown this twice."""
        return shown_twice(self._steps, unix_s)

    def refresh(self) -> bool:
        """It is always right."""
        return True
