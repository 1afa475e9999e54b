"""The same from asyncio."""

import asyncio

import pytest

from singletrack import AsyncClient, errors
from singletrack_ops.stack import Stack

pytestmark = pytest.mark.ollama


def test_an_async_client_has_the_same_operations(stack: Stack) -> None:
    async def agent() -> None:
        async with AsyncClient(stack.redis_url) as client:
            answer, embeddings = await asyncio.gather(
                client.ask("Where is the button?", options={"max_tokens": 5}),
                client.embed_texts(["a button"]),
            )
            assert answer.text
            assert embeddings.vectors.shape == (1, 128)
            assert (await client.status()).track == "gpu0"

    asyncio.run(agent())


def test_a_call_that_is_given_up_is_cancelled_at_the_worker(stack: Stack) -> None:
    endless = {"type": "array", "items": {"type": "string"}, "minItems": 100_000}

    async def agent() -> None:
        async with AsyncClient(stack.redis_url) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.ask("Tell me everything.", schema=endless), timeout=1)
            assert (await client.ping()).track == "gpu0"
            with pytest.raises(errors.InvalidRequest):
                await client.ask("")

    asyncio.run(agent())
