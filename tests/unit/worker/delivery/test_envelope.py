"""The guard of the queue: what is a message of the contract goes in as it should be, and nothing else does."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singletrack_worker.delivery.envelope import MESSAGE_MAX_BYTES, NESTED_MAX, VALUES_MAX, Unreadable, read
from singletrack_worker.delivery.identity import NOBODY, MessageIdentity
from tests.unit.worker.messages import body, changed, message, raw, without

TASKS = {"gpu.ping", "gpu.vlm.ask"}
GOOD = message(job_id="job-1")
FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}

NOT_NOTHING: list[Any] = [[None], [[]], {}, 0, False, ""]


def nested(levels: int) -> str:
    """A body whose request has so many levels."""
    request = '{"a":' * (levels // 2) + "[" * (levels // 2) + "]" * (levels // 2) + "}" * (levels // 2)
    return base64.b64encode(f'[[], {{"request": {request}}}, {json.dumps(FOLLOWS)}]'.encode()).decode()


BAD = {
    "nothing": b"",
    "no JSON": b"nonsense",
    "half of it": raw(GOOD)[:-20],
    "bytes": b"\xff\xfe\x00\x01",
    "a list": raw([1, 2]),
    "a number": b"5",
    "null": b"null",
    "nested too deep": b"[" * 100_000,
    "no headers": raw(without(GOOD, "headers")),
    "no properties": raw(without(GOOD, "properties")),
    "no body": raw(without(GOOD, "body")),
    "no id": raw(without(GOOD, "headers", "id")),
    "no task": raw(without(GOOD, "headers", "task")),
    "headers that are a list": raw(changed(GOOD, [], "headers")),
    "an id that is a number": raw(changed(GOOD, 5, "headers", "id")),
    "an empty id": raw(changed(GOOD, "", "headers", "id")),
    "an id that cannot be printed": raw(changed(GOOD, "a\x00b", "headers", "id")),
    "an id that is a book": raw(changed(GOOD, "x" * 1000, "headers", "id")),
    "an unknown task": raw(changed(GOOD, "os.system", "headers", "task")),
    "a time to come": raw(changed(GOOD, "2030-01-01T00:00:00", "headers", "eta")),
    "no time to expire": raw(changed(GOOD, "soon", "headers", "expires")),
    "a number to expire": raw(changed(GOOD, 5, "headers", "expires")),
    "compressed": raw(changed(GOOD, "zlib", "headers", "compression")),
    "a body that is a list": raw(changed(GOOD, [], "body")),
    "a body in no base64": raw(changed(GOOD, "*", "body")),
    "a body in an unknown encoding": raw(changed(GOOD, "rot13", "properties", "body_encoding")),
    "a body that is no JSON": raw(changed(GOOD, "bm9uc2Vuc2U=", "body")),
    "a body in UTF-16": raw(changed(GOOD, "//5bAF0A", "body")),
    "a body of two parts": raw(changed(GOOD, body([], {}), "body")),
    "arguments that are a dict": raw(changed(GOOD, body({}, {}, {}), "body")),
    "keywords that are a list": raw(changed(GOOD, body([], [], {}), "body")),
    "an object of no known type": raw(
        changed(GOOD, body([], {"request": {"__type__": "nonsense", "__value__": 1}}, FOLLOWS), "body")
    ),
    "a number that takes a GB": raw(
        changed(GOOD, body([], {"request": {"n": [{"__type__": "decimal", "__value__": "1E999999999"}]}}, {}), "body")
    ),
    "a body nested too deep to be read elsewhere": raw(changed(GOOD, nested(NESTED_MAX), "body")),
    "a body nested too deep to be read": raw(changed(GOOD, nested(50_000), "body")),
    "more values than any request has": raw(changed(GOOD, body([], {"request": [0] * VALUES_MAX}, FOLLOWS), "body")),
    "more names than any request has": raw(
        changed(GOOD, body([], {"request": {f"n{n}": 0 for n in range(VALUES_MAX)}}, FOLLOWS), "body")
    ),
    "more arguments than any request has": raw(changed(GOOD, body([[]] * VALUES_MAX, {}, FOLLOWS), "body")),
    "the task itself as a keyword": raw(changed(GOOD, body([], {"request": {}, "self": 1}, FOLLOWS), "body")),
    "no embedding": raw(changed(GOOD, body([], {}, None), "body")),
    "a callback": raw(changed(GOOD, body([], {}, FOLLOWS | {"callbacks": [{"task": "x"}]}), "body")),
    "a chain": raw(changed(GOOD, body([], {}, FOLLOWS | {"chain": [{"task": "x"}]}), "body")),
    "a chord": raw(changed(GOOD, body([], {}, FOLLOWS | {"chord": {"task": "x"}}), "body")),
} | {
    f"{value!r} for {name}": raw(changed(GOOD, body([], {}, FOLLOWS | {name: value}), "body"))
    for name in FOLLOWS
    for value in NOT_NOTHING
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_meant_is_refused_with_a_reason(kind: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(BAD[kind], TASKS)
    assert caught.value.reason
    assert len(caught.value.reason) < 1000


def test_as_many_values_as_may_be_are_read() -> None:
    # Beside the arguments, the keywords, and the request itself.
    most = raw(changed(GOOD, body([], {"request": [0] * (VALUES_MAX - 3)}, FOLLOWS), "body"))
    assert read(most, TASKS).job_id == "job-1"


def test_a_message_that_is_too_large_is_not_even_parsed() -> None:
    with pytest.raises(Unreadable, match="bytes") as caught:
        read(raw(changed(GOOD, "x" * MESSAGE_MAX_BYTES, "body")), TASKS)
    assert caught.value.identity.answer_id == "job-1"
    with pytest.raises(Unreadable, match="bytes") as caught:
        read(b" " * (MESSAGE_MAX_BYTES + 1), TASKS)
    assert caught.value.identity == NOBODY


def test_an_expiry_that_celery_could_not_read_is_told_in_its_words() -> None:
    odd = raw(changed(GOOD, "2024-01-01T00:00:00+05:30:15", "headers", "expires"))
    assert read(odd, TASKS).payload["headers"]["expires"] == "2023-12-31T18:29:45+00:00"


@pytest.mark.parametrize("kind", ["no body", "a time to come", "an unknown task", "a callback", "no properties"])
def test_its_identity_is_told_where_it_can_be_read(kind: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(BAD[kind], TASKS)
    identity = caught.value.identity
    assert (identity.answer_id, identity.job_id) == ("job-1", "job-1")
    assert identity.task in ("gpu.ping", "os.system")


def test_what_was_checked_goes_in_and_nothing_else() -> None:
    evil: dict[str, Any] = {"id": "another", "delivery_info": None, "stamps": {"evil": 1}, "chain": []}
    sent = changed(GOOD, body([], {"request": {}}, FOLLOWS | evil), "body") | {"extra": [1, 2, 3]}
    for name, value in {"stamps": {"evil": 1}, "shadow": "evil", "retries": 1e400, "timelimit": [1, 1]}.items():
        sent = changed(sent, value, "headers", name)
    envelope = read(raw(sent), TASKS)
    assert (envelope.job_id, envelope.task) == ("job-1", "gpu.ping")
    assert "extra" not in envelope.payload
    assert not {"stamps", "shadow"} & envelope.payload["headers"].keys()
    assert (envelope.payload["headers"]["retries"], envelope.payload["headers"]["timelimit"]) == (0, [None, None])
    assert envelope.payload["properties"]["reply_to"] is None
    assert envelope.payload["body"] == GOOD["body"]
    assert envelope.payload["properties"]["delivery_tag"] == envelope.tag
    assert json.dumps(envelope.payload)


@pytest.mark.parametrize("empty", [None, []])
def test_nothing_that_follows_is_no_harm(empty: list[Any] | None) -> None:
    sent = changed(GOOD, body([], {"request": {}}, dict.fromkeys(FOLLOWS, empty)), "body")
    assert read(raw(sent), TASKS).payload["body"] == GOOD["body"]
    assert read(raw(changed(GOOD, body([], {"request": {}}, {}), "body")), TASKS).payload["body"] == GOOD["body"]


@pytest.mark.parametrize(
    ("given", "answer_id", "job_id"),
    [
        ("job", "job", "job"),
        ("a\tb", "a\tb", None),
        ("x" * 201, "x" * 201, None),
        ("x" * 70_000, None, None),
        ("\ud800", None, None),
        ("", "job-1", "job-1"),
        (5, "job-1", "job-1"),
        (None, "job-1", "job-1"),
    ],
)
def test_who_waits_for_it_is_told_of_every_id_that_can_be_waited_for(
    given: Any, answer_id: str | None, job_id: str | None
) -> None:
    sent = changed(changed(GOOD, given, "headers", "id"), "os.system", "headers", "task")
    with pytest.raises(Unreadable) as caught:
        read(raw(sent), TASKS)
    assert caught.value.identity == MessageIdentity(answer_id, job_id, "os.system")


def test_every_reading_has_a_tag_of_its_own() -> None:
    assert read(raw(GOOD), TASKS).tag != read(raw(GOOD), TASKS).tag


def test_a_body_in_plain_text_is_understood() -> None:
    plain = changed(changed(GOOD, json.dumps([[], {}, FOLLOWS]), "body"), None, "properties", "body_encoding")
    assert read(raw(plain), TASKS).payload["properties"]["body_encoding"] == "base64"


def test_an_expiry_stays() -> None:
    moment = "2026-11-24T23:51:02.453224+00:00"
    assert read(raw(changed(GOOD, moment, "headers", "expires")), TASKS).payload["headers"]["expires"] == moment


def test_what_is_shown_is_the_workers_own_summary_whatever_the_sender_wrote() -> None:
    question = body([], {"request": {"prompt": "secret"}}, FOLLOWS)
    sent = changed(changed(GOOD, question, "body"), "gpu.vlm.ask", "headers", "task")
    for name in ("argsrepr", "kwargsrepr"):
        sent = changed(sent, "{'prompt': 'secret'}", "headers", name)
    headers = read(raw(sent), TASKS).payload["headers"]
    assert headers["argsrepr"] == "()"
    assert headers["kwargsrepr"] == "prompt of 6 characters, images=0"


def test_what_has_no_summary_is_shown_as_nothing_since_celery_would_show_all_of_it() -> None:
    sent = changed(GOOD, body(["secret"], {"other": "secret"}, FOLLOWS), "body")
    headers = read(raw(sent), TASKS).payload["headers"]
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("()", "{}")


def test_where_it_came_from_can_be_written_anywhere() -> None:
    shown = read(raw(changed(GOOD, "\ud800" * 500, "headers", "origin")), TASKS).payload["headers"]["origin"]
    assert len(shown) == 200
    shown.encode("utf-8")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
PATHS = st.sampled_from(
    [("body",), ("headers",), ("properties",), ("content-type",)]
    + [("headers", name) for name in GOOD["headers"]]
    + [("properties", name) for name in GOOD["properties"]]
)


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read(data, TASKS)


@given(PATHS, JSON)
def test_no_value_anywhere_does_harm(path: tuple[str, ...], value: Any) -> None:
    try:
        envelope = read(raw(changed(GOOD, value, *path)), TASKS)
    except Unreadable:
        return
    assert envelope.task in TASKS
    assert json.dumps(envelope.payload).encode("utf-8")
