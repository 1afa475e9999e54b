"""What the clients promise to their callers: names, keywords and types, the same for both."""

import asyncio
import inspect
from typing import Any, assert_type
from unittest.mock import create_autospec

import pytest
from pydantic import BaseModel

from singletrack import Answer, AnswerStream, AsyncAnswerStream, AsyncClient, AsyncJob, Client, Job
from singletrack_tasks.requests.mode import ModeResult, SetMode
from singletrack_tasks.status import ExecutionMode
from tests.unit.producers.conftest import LONELY_TRACK, Backstage

# For threads that end: those of an `AsyncClient` do so with it.
ONLY_SYNC = {"leave_thread"}
# Looks at Redis, which an `AsyncJob` does in coroutines.
PROPERTIES_OF_A_JOB = {"state", "progress"}


class Invoice(BaseModel):
    number: int


def _public(cls: type) -> dict[str, Any]:
    return {name: member for name, member in vars(cls).items() if not name.startswith("_")}


def _parameters(call: Any) -> list[tuple[str, Any, Any, str]]:
    # By their text, since each module has a `TypeVar` of its own.
    return [(p.name, p.kind, p.default, str(p.annotation)) for p in inspect.signature(call).parameters.values()]


@pytest.mark.parametrize(("sync", "over_asyncio"), [(Client, AsyncClient), (Job, AsyncJob)])
def test_both_clients_have_the_same_names(sync: type, over_asyncio: type) -> None:
    assert _public(sync).keys() - ONLY_SYNC == _public(over_asyncio).keys()


@pytest.mark.parametrize(
    ("sync", "over_asyncio"),
    [
        pytest.param(getattr(sync, name), getattr(over_asyncio, name), id=f"{sync.__name__}.{name}")
        for sync, over_asyncio in ((Client, AsyncClient), (Job, AsyncJob))
        for name in sorted(_public(sync).keys() & _public(over_asyncio).keys())
        if callable(getattr(sync, name))
    ],
)
def test_a_method_takes_the_same_in_both(sync: Any, over_asyncio: Any) -> None:
    assert _parameters(sync) == _parameters(over_asyncio)


def test_only_what_looks_at_redis_is_a_property_of_one_and_a_coroutine_of_the_other() -> None:
    for sync, over_asyncio in ((Client, AsyncClient), (Job, AsyncJob)):
        shared = _public(sync).keys() & _public(over_asyncio).keys()
        differ = {
            name
            for name in shared
            if isinstance(vars(sync)[name], property) != isinstance(vars(over_asyncio)[name], property)
        }
        assert differ == (PROPERTIES_OF_A_JOB if sync is Job else set())


def test_both_clients_are_made_in_the_same_way() -> None:
    parameters = _parameters(AsyncClient.__init__)
    assert [it for it in parameters if it[0] != "max_threads"] == _parameters(Client.__init__)


def test_the_schema_decides_the_type_of_the_answer() -> None:
    """The type checker reads this; running it shows that the calls are possible."""
    client: Client = create_autospec(Client, instance=True)
    schema: dict[str, Any] = {}
    assert_type(client.ask("?"), Answer[None])
    assert_type(client.ask("?", ["a.png"], schema=None, options={"seed": 1}, model="m", timeout_s=1), Answer[None])
    assert_type(client.ask("?", schema=Invoice, timeout_s=1).value, Invoice)
    assert_type(client.ask("?", schema=schema), Answer[Any])
    assert_type(client.ask_stream("?"), AnswerStream[None])
    assert_type(client.ask_stream("?", schema=Invoice, model="m"), AnswerStream[Invoice])
    assert_type(client.ask_stream("?", schema=schema), AnswerStream[Any])
    assert_type(client.submit(SetMode(mode=ExecutionMode.IDLE)), Job[ModeResult])


def test_the_schema_decides_the_type_of_the_answer_over_asyncio() -> None:
    async def work() -> None:
        client: AsyncClient = create_autospec(AsyncClient, instance=True)
        schema: dict[str, Any] = {}
        assert_type(await client.ask("?", timeout_s=1), Answer[None])
        assert_type((await client.ask("?", schema=Invoice)).value, Invoice)
        assert_type(await client.ask("?", schema=schema), Answer[Any])
        assert_type(client.ask_stream("?"), AsyncAnswerStream[None])
        assert_type(client.ask_stream("?", schema=Invoice, model="m"), AsyncAnswerStream[Invoice])
        assert_type(client.ask_stream("?", schema=schema), AsyncAnswerStream[Any])
        assert_type(await client.submit(SetMode(mode=ExecutionMode.IDLE)), AsyncJob[ModeResult])

    asyncio.run(work())


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("ask", "temperature"),
        ("ask", "job_id"),
        ("ask", "stream"),
        ("ask_stream", "job_id"),
        ("ask_stream", "stream"),
        ("submit_ask", "stream"),
    ],
)
def test_an_unknown_keyword_is_a_type_error(
    lonely: Client, redis_url: str, lonely_backstage: Backstage, name: str, keyword: str
) -> None:
    unknown: dict[str, Any] = {keyword: None}

    async def work() -> None:
        async with AsyncClient(redis_url, LONELY_TRACK) as client:
            if name == "ask_stream":
                await client.ask_stream("?", **unknown).__aenter__()
            else:
                await getattr(client, name)("?", **unknown)

    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        getattr(lonely, name)("?", **unknown)
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        asyncio.run(work())
    assert lonely_backstage.traces[0] == 0


def test_a_question_can_be_submitted_with_everything_said(lonely: Client) -> None:
    job = lonely.submit_ask("?", options={"seed": 1}, model="m", timeout_s=5, job_id="a-question")
    assert job.id == "a-question"
