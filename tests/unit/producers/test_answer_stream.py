"""Answers that are read while they are written."""

import asyncio
import threading

import pytest
from pydantic import BaseModel

from singletrack.aio.client import AsyncClient
from singletrack.answer_stream import AnswerStream, Piece
from singletrack.answers import answer_of
from singletrack.client import Client
from singletrack.wire.link import CLIENT_NAME
from singletrack_tasks.errors import InvalidRequest, JobCancelled, NotEnoughVram, NoWorker
from tests.addresses import SILENT_REDIS
from tests.unit.producers.conftest import TRACK, Backstage, wait_until


class Button(BaseModel):
    label: str


def test_the_pieces_make_the_answer(client: Client) -> None:
    with client.ask_stream("one two three") as stream:
        pieces = list(stream)
    assert pieces == [Piece("one ", 1), Piece("two ", 1), Piece("three", 1)]
    assert stream.answer.text == "one two three"


def test_the_answer_can_be_had_without_reading_the_pieces(client: Client) -> None:
    with client.ask_stream("one two") as stream:
        assert stream.answer.text == "one two"
        assert list(stream) == []


def test_a_schema_makes_the_value_of_the_whole(client: Client) -> None:
    with client.ask_stream('json:{"label": "OK"}', schema=Button) as stream:
        assert "".join(piece.text for piece in stream) == '{"label": "OK"}'
        assert stream.answer.value == Button(label="OK")


def test_an_answer_that_begins_anew_says_so(client: Client) -> None:
    with client.ask_stream("again: and") as stream:
        pieces = list(stream)
    assert pieces == [Piece("again: ", 1), Piece("and", 1), Piece("again: ", 2), Piece("and", 2)]


def test_what_was_not_told_comes_with_the_whole(client: Client) -> None:
    with client.ask_stream("gap: not told") as stream:
        pieces = list(stream)
    assert pieces == [Piece("gap: ", 1), Piece("not told", 1)]


def test_a_worker_that_tells_nothing_is_heard_at_the_end(client: Client) -> None:
    job = client.submit_ask("silence", timeout_s=20)
    with AnswerStream(job, client._link, answer_of) as stream:
        assert list(stream) == [Piece("silence", 1)]


def test_a_redis_that_cannot_be_reached_for_the_pieces_does_not_end_it(client: Client) -> None:
    job = client.submit_ask("one two", timeout_s=20)
    with (
        Client(SILENT_REDIS, TRACK) as cut_off,
        AnswerStream(job, cut_off._link, answer_of) as stream,
    ):
        assert list(stream) == [Piece("one two", 1)]


def test_whoever_breaks_off_and_goes_on_misses_nothing(client: Client) -> None:
    with client.ask_stream("again: and") as stream:
        wait_until(lambda: stream.job.state == "done")
        texts = [next(iter(stream)).text for _ in range(2)]
        texts += [piece.text for piece in stream]
    assert texts == ["again: ", "and", "again: ", "and"]


def test_a_stream_leaves_no_thread_and_no_connection(client: Client, backstage: Backstage) -> None:
    def connections() -> int:
        return sum(one["name"] == CLIENT_NAME for one in backstage.redis.client_list())

    def ask() -> str:
        with client.ask_stream("one two") as stream:
            return stream.answer.text

    ask()
    wait_until(lambda: not any(thread.name.startswith("answer-") for thread in threading.enumerate()))
    before = connections()
    assert [ask() for _ in range(5)] == ["one two"] * 5
    wait_until(lambda: not any(thread.name.startswith("answer-") for thread in threading.enumerate()))
    # Those of earlier tests may be on their way out. One more is the client's: for whoever waits for more than a
    # second, and looks for the worker meanwhile.
    wait_until(lambda: connections() <= before + 1)


def test_errors_are_those_of_the_job(client: Client) -> None:
    with client.ask_stream("too big") as stream, pytest.raises(NotEnoughVram):
        list(stream)
    with pytest.raises(InvalidRequest):
        client.ask_stream("")
    with pytest.raises(InvalidRequest, match="timeout_s"):
        client.ask_stream("what?", timeout_s=-1)


def test_without_a_worker_it_ends_like_every_call(lonely: Client) -> None:
    with lonely.ask_stream("what?") as stream, pytest.raises(NoWorker):
        list(stream)


def test_leaving_it_calls_the_job_off(client: Client, backstage: Backstage) -> None:
    ran = len(backstage.ran)
    with client.ask_stream("wait", timeout_s=60) as stream:
        wait_until(lambda: backstage.ran[ran:] == ["ask"])
    assert client.ping(timeout_s=20).track == TRACK
    assert list(stream) == []
    with pytest.raises(RuntimeError, match="closed"):
        _ = stream.answer
    with pytest.raises(JobCancelled):
        stream.job.result()


def test_it_is_the_same_over_asyncio(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            async with client.ask_stream("one two three") as stream:
                assert (await stream.job.result()).text == "one two three"
                async for first in stream:
                    texts = [first.text]
                    break
                texts += [piece.text async for piece in stream]
                assert texts == ["one ", "two ", "three"]
                assert (await stream.answer()).text == "one two three"
            async with client.ask_stream('json:{"label": "OK"}', schema=Button) as buttons:
                assert (await buttons.answer()).value == Button(label="OK")
            with pytest.raises(RuntimeError, match="async with"):
                await client.ask_stream("what?").answer()

    asyncio.run(asyncio.wait_for(work(), 60))


def test_giving_an_async_reader_up_calls_the_job_off(served: str, backstage: Backstage) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            ran = len(backstage.ran)

            async def read() -> None:
                async with client.ask_stream("wait", timeout_s=60) as stream:
                    async for _ in stream:
                        pass

            reading = asyncio.create_task(read())
            await asyncio.to_thread(wait_until, lambda: backstage.ran[ran:] == ["ask"])
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert (await client.ping(timeout_s=20)).track == TRACK

    asyncio.run(asyncio.wait_for(work(), 60))
