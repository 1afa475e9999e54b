"""Only changes of VRAM that are large enough are reported."""

import pytest

from singletrack_worker.gpu.known.changes import ChangeDetector


@pytest.mark.parametrize(
    ("readings_mb", "told"),
    [
        ([300], [None]),
        ([300, 399], [None, None]),
        ([300, 400], [None, 300]),
        ([300, 200], [None, 300]),
        ([300, 350, 400, 450], [None, None, 300, None]),
        ([300, 5900, 300], [None, 300, 5900]),
    ],
)
def test_changes_of_100_mb_since_the_last_one_told_are_told(readings_mb: list[int], told: list[int | None]) -> None:
    detector = ChangeDetector()
    assert [detector.changed_from(reading_mb) for reading_mb in readings_mb] == told
