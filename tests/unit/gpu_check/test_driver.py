"""What is read of the driver is waited for, but not for ever."""

from collections.abc import Iterator

from gpu_check.driver import came_back_mb, seconds_until, settled_mb


class Script:
    """A driver whose figures follow a script, the last one for ever."""

    name = "scripted"

    def __init__(self, *used_mb: int) -> None:
        self._used_mb: Iterator[int] = iter(used_mb)
        self._last_mb = 0

    def used_mb(self) -> int:
        self._last_mb = next(self._used_mb, self._last_mb)
        return self._last_mb

    def free_mb(self) -> int:
        return 0

    def held_mb(self) -> dict[int, int | None]:
        return {}


def test_a_figure_is_taken_once_it_rests() -> None:
    assert settled_mb(Script(900, 700, 500, 400), rest_s=2.0, limit_s=120.0) == 400


def test_what_comes_back_is_counted() -> None:
    late_mb, took_s = came_back_mb(Script(900, 800, 500, 310), 300, within_mb=50)
    assert (late_mb, took_s is not None) == (590, True)


def test_what_does_not_come_back_is_not_waited_for_for_ever() -> None:
    assert came_back_mb(Script(900, 700), 300, within_mb=50, limit_s=0.1) == (200, None)
    assert seconds_until(lambda: False, limit_s=0.1) is None
