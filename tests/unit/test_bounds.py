"""What errors quote from outside is bounded: whatever was sent, a message stays one that people read."""

import json
from collections.abc import Callable

import pytest

from singletrack.client import Client
from singletrack.wire.limits import check_job_id, check_seconds
from singletrack_tasks.errors import InvalidRequest, OllamaFailure, SingletrackError
from singletrack_tasks.keys import Keys
from singletrack_tasks.requests.catalogue import request_of
from singletrack_tasks.requests.vlm import Ask, VlmOptions
from singletrack_tasks.text import quoted

MUCH = "my password is hunter2. " * 100_000
READABLE_CHARS = 3000


@pytest.mark.parametrize(
    "act",
    [
        lambda: Ask.build(prompt=MUCH),
        lambda: Ask.build(prompt="?", model=MUCH),
        lambda: Ask.build(**{MUCH: 1}),
        lambda: Ask.build(**{f"{number}{MUCH}": 1 for number in range(100)}),
        lambda: Ask.parse({"version": MUCH}),
        lambda: Ask.parse({"version": {MUCH: [MUCH]}}),
        lambda: VlmOptions.build(stop=(MUCH,)),
        lambda: VlmOptions.build(think=MUCH),
        lambda: VlmOptions.build(stop=(1,) * 10_000),
        lambda: request_of(MUCH, {}),
        lambda: check_seconds("timeout_s", MUCH),  # type: ignore[arg-type] # what a caller may do
        lambda: check_seconds("timeout_s", 10**300),
        lambda: check_job_id(MUCH),
        lambda: Keys(MUCH),
        lambda: next(Client().events(MUCH)),
        lambda: Client().dead_letter(MUCH),
    ],
)
def test_what_callers_send_is_not_sent_back(act: Callable[[], object]) -> None:
    with pytest.raises(SingletrackError) as caught:
        act()
    assert len(caught.value.message) < READABLE_CHARS
    assert len(json.dumps(caught.value.args)) < READABLE_CHARS


def test_many_problems_are_counted() -> None:
    with pytest.raises(InvalidRequest, match=r"and 93 more$"):
        Ask.build(**{f"name-{number}": 1 for number in range(100)})


def test_no_message_is_longer_than_people_read_and_a_cut_one_stays_as_it_is() -> None:
    error = OllamaFailure(MUCH)
    assert len(error.message) == 6000
    assert error.message.endswith("...")
    assert OllamaFailure(*error.args).message == error.message


@pytest.mark.parametrize("value", ["short", 5, None, ["a", {"b": 1}]])
def test_what_is_short_is_quoted_as_it_is(value: object) -> None:
    assert quoted(value) == repr(value)


def test_what_is_quoted_is_one_line_that_can_be_written() -> None:
    assert "\n" not in quoted(MUCH)
    assert len(quoted(MUCH)) <= 200
    assert len(quoted([MUCH] * 50)) <= 200
    quoted("\udc80").encode()
