"""Small ways to break the manager, one for each property: a check that does not notice its own is worth nothing."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from singletrack_tasks.errors import VlmLoadFailed
from singletrack_tasks.requests.embedding import EmbedTexts
from singletrack_tasks.requests.vlm import Ask, LoadVlm
from singletrack_tasks.result import StepName
from singletrack_tasks.status import GPUResourceStatus, ModelState
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.manager import GPUResourceManager
from singletrack_worker.gpu.moving.planner import Plan
from singletrack_worker.gpu.observing.shares import Share
from singletrack_worker.gpu.operations.vectorizer import Embedded
from tests.property.world import Alter


def put(owner: object, name: str, value: Any) -> None:
    """Put something else in the place of an attribute of one object."""
    vars(owner)[name] = value


def forgets(step: StepName) -> Alter:
    """A planner that leaves a step out."""

    def alter(manager: GPUResourceManager) -> None:
        transitions = manager._bench.transitions
        prepare: Callable[..., Plan] = transitions.prepare

        def altered(*args: Any, **kwargs: Any) -> Plan:
            return tuple(other for other in prepare(*args, **kwargs) if other != step)

        put(transitions, "prepare", altered)

    return alter


def does_not_wait_for_the_memory(manager: GPUResourceManager) -> None:
    put(manager._bench.transitions._mover._releasing, "wait", lambda *_: None)


def says_that_the_vlm_is_unloaded(manager: GPUResourceManager) -> None:
    status = manager.status

    def altered() -> GPUResourceStatus:
        true = status()
        return true.model_copy(update={"vlm": true.vlm.model_copy(update={"state": ModelState.UNLOADED})})

    put(manager, "status", altered)


def embeds_something_else_on_the_gpu(manager: GPUResourceManager) -> None:
    clip = manager._tenants.clip
    vectorizer = vars(manager._handlers[EmbedTexts])["_vectorizer"]
    embed: Callable[[tuple[str, ...], Cancellation], Embedded] = vectorizer.embed_texts

    def altered(texts: tuple[str, ...], cancellation: Cancellation) -> Embedded:
        embedded = embed(texts, cancellation)
        return embedded if clip.device == "cpu" else replace(embedded, vectors=embedded.vectors[::-1])

    put(vectorizer, "embed_texts", altered)


def does_not_notice_uses(manager: GPUResourceManager) -> None:
    put(manager._track.use, "touch", lambda: None)


def never_finds_the_vlm_idle(manager: GPUResourceManager) -> None:
    put(manager._track.use, "_idle_timeout_s", 0)


def never_ends_a_need(manager: GPUResourceManager) -> None:
    put(manager._track.intents, "expire", lambda: None)
    put(manager._track.intents, "_begun", lambda *_: True)


def refuses_questions_to_a_vlm_that_is_not_loaded(manager: GPUResourceManager) -> None:
    def altered(_: object) -> None:
        if manager._tenants.vlm.listing() is None:
            raise VlmLoadFailed("the VLM is not loaded")

    for request in (Ask, LoadVlm):
        put(vars(manager._handlers[request])["_vlm"], "bring", altered)


def loads_in_name_only(manager: GPUResourceManager) -> None:
    """Nor does it look at the server, which would tell."""
    manager._track.life.to(ModelState.UNLOADED)
    put(manager._observer, "_look_at_server", lambda: None)
    put(manager._bench.transitions._mover, "_load_once", lambda: None)


def unloads_in_name_only(manager: GPUResourceManager) -> None:
    put(manager._bench.transitions._mover, "_unload_vlm", lambda _: None)


def does_not_ask_the_encoder_where_it_is(manager: GPUResourceManager) -> None:
    put(manager._tenants.clip, "find", lambda: "cuda:0")


def never_looks_for_strangers(manager: GPUResourceManager) -> None:
    put(manager._bench.transitions.drift, "_take_in", lambda _: None)


def takes_its_tenants_for_strangers(manager: GPUResourceManager) -> None:
    put(manager._bench.transitions.drift, "_share", lambda *_: Share())


def makes_up_its_mind_too_late(manager: GPUResourceManager) -> None:
    put(manager._bench.transitions.drift._judge, "_confirm_s", 3600.0)


def overlooks_what_has_no_name(manager: GPUResourceManager) -> None:
    put(manager._bench.transitions.drift._judge, "_rest", lambda _: ())


def has_no_mutex(manager: GPUResourceManager) -> None:
    put(manager._turns, "_mutex", nullcontext())
