"""Whoever adds an operation adds all of it: its place in the list, its wire name, its handler, its outline."""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, get_args, get_origin

import pytest

import singletrack_tasks
from singletrack_tasks.message import Message
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.requests.catalogue import REQUESTS
from singletrack_tasks.requests.embedding import EmbeddingResult, FindClipResult
from singletrack_tasks.requests.intents import IntentResult
from singletrack_tasks.requests.mode import ModeResult
from singletrack_tasks.requests.ping import PingResult
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.upkeep import TickResult
from singletrack_tasks.requests.vlm import AskResult, VlmResult
from singletrack_tasks.result import OperationResult, StepName
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.operations.handler import Handler
from singletrack_worker.gpu.operations.handlers import HANDLERS

SECRET = "what-nobody-may-read"

# Clients and workers of different releases agree by these: they never change.
ON_THE_WIRE: dict[str, tuple[str, type[OperationResult]]] = {
    "gpu.mode.set": ("mode", ModeResult),
    "gpu.vlm.ask": ("ask", AskResult),
    "gpu.vlm.load": ("load_vlm", VlmResult),
    "gpu.vlm.unload": ("unload_vlm", VlmResult),
    "gpu.vlm.announce": ("announce_vlm", IntentResult),
    "gpu.vlm.withdraw": ("withdraw_vlm", IntentResult),
    "gpu.embed.images": ("embed_images", EmbeddingResult),
    "gpu.embed.texts": ("embed_texts", EmbeddingResult),
    "gpu.clip.device": ("find_clip", FindClipResult),
    "gpu.upkeep.tick": ("tick", TickResult),
    "gpu.ping": ("ping", PingResult),
}


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def blob(data: bytes) -> Blob:
    return Blob.of(data, "file")


def test_every_request_of_the_package_is_in_the_list() -> None:
    for module in pkgutil.walk_packages(singletrack_tasks.__path__, "singletrack_tasks."):
        import_module(module.name)
    ours = (kind for kind in subclasses(Request) if kind.__module__.startswith("singletrack_tasks."))
    assert {kind for kind in ours if kind.TASK} == set(REQUESTS)


def test_no_task_and_no_kind_stands_for_two_requests() -> None:
    for names in ([request.TASK for request in REQUESTS], [request.KIND for request in REQUESTS]):
        assert len(set(names)) == len(names) == len(REQUESTS)


def test_wire_names_kinds_and_results_never_change() -> None:
    assert {request.TASK: (request.KIND, request.RESULT) for request in REQUESTS} == ON_THE_WIRE


def test_every_request_has_a_handler() -> None:
    assert HANDLERS.keys() == set(REQUESTS)
    assert len(set(HANDLERS.values())) == len(REQUESTS)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_handler_is_written_for_its_request_and_its_result(request_: type[Request[Any]]) -> None:
    (base,) = (base for base in vars(HANDLERS[request_])["__orig_bases__"] if get_origin(base) is Handler)
    assert get_args(base) == (request_, request_.RESULT)


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("value", [SECRET, [SECRET], {SECRET: SECRET}])
def test_no_outline_quotes_its_request(request_: type[Request[Any]], value: object) -> None:
    assert SECRET not in request_.outline(dict.fromkeys(request_.model_fields, value))


def test_a_request_says_by_its_type_what_it_results_in() -> None:
    class Probe(Request[TickResult], task="test.probe", kind="probe"):
        """Has no fields of its own."""

    assert ("test.probe", "probe", None, TickResult) == (Probe.TASK, Probe.KIND, Probe.NEEDS_VLM, Probe.RESULT)
    assert Probe().read_result({"idle_unloaded": True}) == TickResult(idle_unloaded=True)


def test_a_request_with_fields_has_to_say_what_may_be_shown_of_them() -> None:
    with pytest.raises(TypeError, match="Secretive needs an `outline`"):

        class Secretive(Request[PingResult], task="test.secretive", kind="secretive"):
            prompt: str


def test_a_request_has_to_say_what_it_is_called_and_what_it_results_in() -> None:
    with pytest.raises(TypeError, match=r"write `class Nameless\(Request\[ItsResult\]"):

        class Nameless(Request[PingResult]):
            """Has no task."""

    with pytest.raises(TypeError, match="write `class Kindless"):

        class Kindless(Request[PingResult], task="test.kindless"):
            """Has no kind."""

    with pytest.raises(TypeError, match="write `class Fruitless"):

        class Fruitless(Request, task="test.fruitless", kind="fruitless"):  # type: ignore[type-arg] # on purpose
            """Does not say what it results in."""


def test_payloads_are_found_in_whatever_field_they_are() -> None:
    class Part(Message):
        inner: Blob

    class Bearer(Request[PingResult], task="test.bearer", kind="bearer"):
        name: str
        one: Blob
        many: tuple[Blob, ...]
        nested: tuple[tuple[str, Blob], ...]
        perhaps: Blob | None = None
        other: Blob | None = None
        listed: list[dict[str, Blob]]
        part: Part

        @classmethod
        def outline(cls, data: Mapping[str, Any]) -> str:
            return ""

    one, two, three, four, five, six, seven = (blob(bytes([number])) for number in range(7))
    rest: dict[str, Any] = {"listed": [{"a": six}], "part": Part(inner=seven)}
    bearer = Bearer(name="n", one=one, many=(two, three), nested=(("n", four),), other=five, **rest)
    assert bearer.blobs == (one, two, three, four, five, six, seven)
    assert Bearer.parse(bearer.dump()).blobs == bearer.blobs


def test_every_step_is_described() -> None:
    assert STEPS.keys() == set(get_args(StepName))
