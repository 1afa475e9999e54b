"""The drawing of VRAM over time."""

from dataclasses import replace
from datetime import datetime

import pytest

from singletrack.cli.screen.vram_chart import columns, draw, shades, work_lane
from singletrack.pictures.vram_timeline import ModeMark, Timeline, TimelinePoint


def test_the_drawing_shows_who_had_the_memory_when_and_in_which_mode() -> None:
    timeline = Timeline(
        points=(TimelinePoint(0, 2000), TimelinePoint(10, 8000, vlm_mb=6000)),
        marks=(ModeMark(0, "IDLE"), ModeMark(10, "RECORDING")),
        end_unix_s=20,
        total_mb=8000,
    )
    lines = [line.plain for line in (*draw(timeline, width=50, height=4), shades())]
    assert lines == [
        "7.8 GiB ┤                    ████████████████████",
        "5.9 GiB ┤                    ████████████████████",
        "        │                    ████████████████████",
        "        │░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░",
        "      0 ┼┴─────────┴─────────┴─────────┴─────────",
        "         0 s       5 s       10 s      15 s",
        "    mode │IDLE               │RECORDING          ",
        "         ██ VLM   ▒▒ CLIP   ░░ other",
    ]


def test_a_change_of_mode_is_marked_where_memory_is_free() -> None:
    timeline = Timeline(
        (TimelinePoint(0, 4000),), (ModeMark(0, "IDLE"), ModeMark(5, "AUTOPILOT")), end_unix_s=10, total_mb=8000
    )
    rows = [line.plain for line in draw(timeline, width=20, height=2)[:2]]
    assert rows == ["7.8 GiB ┤     ┊    ", "        │░░░░░░░░░░"]


def test_nothing_is_drawn_of_what_is_not_known() -> None:
    timeline = Timeline((TimelinePoint(5, 8000),), (ModeMark(5, "IDLE"),), end_unix_s=10, total_mb=8000, since_unix_s=0)
    row, *_, lane = (line.plain for line in draw(timeline, width=20, height=1))
    assert row == "7.8 GiB ┤     ░░░░░"
    assert lane == "    mode      │IDLE"


def test_a_short_time_of_much_use_is_not_lost_between_columns() -> None:
    points = (TimelinePoint(0, 1000), TimelinePoint(4.2, 8000), TimelinePoint(4.3, 1000))
    timeline = Timeline(points, (ModeMark(0, "IDLE"),), end_unix_s=10, total_mb=8000)
    assert draw(timeline, width=20, height=2)[0].plain == "7.8 GiB ┤    ░     "


def test_with_colours_tenants_are_drawn_to_an_eighth_of_a_row() -> None:
    timeline = Timeline((TimelinePoint(0, 4000, clip_mb=1000),), (ModeMark(0, "IDLE"),), end_unix_s=1, total_mb=8000)
    upper, lower = draw(timeline, width=11, height=2, colour=True)[:2]
    assert upper.plain.endswith("┤ ")
    assert lower.plain.endswith("│▆")
    assert [str(span.style) for span in lower.spans] == ["not dim grey58 on cyan"]
    part = draw(replace(timeline, points=(TimelinePoint(0, 1000),)), width=11, height=2, colour=True)[1]
    assert (part.plain[-1], str(part.spans[-1].style)) == ("▂", "not dim grey58")


def test_times_of_the_day_stand_at_whole_minutes() -> None:
    start = datetime(2026, 1, 2, 3, 4, 30).astimezone().timestamp()
    timeline = Timeline((TimelinePoint(start, 1),), (), end_unix_s=start + 120, total_mb=8000)
    axis, labels = (line.plain for line in draw(timeline, width=34, height=1, clock=True)[1:3])
    assert labels == "               03:05       03:06"
    assert [column for column, char in enumerate(axis) if char == "┴"] == [15, 27]


def test_the_work_lane_shows_the_share_of_the_time() -> None:
    points = tuple(TimelinePoint(second, 0, busy=second < 2 or second == 5) for second in range(10))
    timeline = Timeline(points, (), end_unix_s=10, total_mb=0)
    assert work_lane(timeline, 15).plain == "    work █ ▄  "
    assert columns(15) == 5


@pytest.mark.parametrize("seconds", [0, 0.01, 1, 59, 3600, 100_000])
@pytest.mark.parametrize("width", [20, 96])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("clock", [False, True])
def test_no_line_is_wider_than_asked_for(seconds: float, width: int, *, colour: bool, clock: bool) -> None:
    marks = tuple(ModeMark(seconds * part / 10, "AUTOPILOT") for part in range(10))
    timeline = Timeline((TimelinePoint(0, 1000),), marks, end_unix_s=seconds, total_mb=8000)
    lines = draw(timeline, width=width, colour=colour, clock=clock)
    assert max(line.cell_len for line in lines) <= width
