"""The properties P1 to P13, one function each, as checks of one operation that ended.

They look at what the fakes and the driver of the queue recorded; what the manager says is believed only where it is
what is checked.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from singletrack_tasks.errors import (
    AnswerOutsideSchema,
    ClipUnavailable,
    DeadlinePassed,
    EncoderFailure,
    JobCancelled,
    NotEnoughVram,
    SingletrackError,
    VramNotReleased,
)
from singletrack_tasks.requests.embedding import EmbeddingResult, EmbedImages, EmbedTexts, FindClip, FindClipResult
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, AskResult, LoadVlm, UnloadVlm
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, ModelState
from singletrack_worker.gpu.judging.verdict import read_answer
from singletrack_worker.gpu.moving.pauses import MAX_PAUSE_S
from tests.fakes import CLIP_MODEL, Deed, reference_embedding
from tests.property.world import SKEW, Done, World

Check = Callable[[World, Done], None]

TOLERANCE = 1e-4
NOT_STARTED = (DeadlinePassed, JobCancelled)
NO_LOAD = frozenset({DegradedCode.OLLAMA_UNREACHABLE, DegradedCode.VLM_MODEL_MISSING, DegradedCode.VLM_LOAD_FAILED})
NO_UNLOAD = frozenset({DegradedCode.OLLAMA_UNREACHABLE, DegradedCode.VRAM_NOT_RELEASED})
NO_PROMOTION = frozenset({DegradedCode.CLIP_MIGRATION_FAILED, DegradedCode.CLIP_UNAVAILABLE})


def p01_autopilot_unloads(world: World, done: Done) -> None:
    """A transition to AUTOPILOT ends with the VLM unloaded, or says why not and makes up for it."""
    if _changes_to(done, ExecutionMode.AUTOPILOT):
        assert done.ok or isinstance(done.error, NOT_STARTED), done.error
        if done.ok:
            assert not done.after.vlm_listed or done.codes & NO_UNLOAD, "still loaded, and no reason given"
    if _is_untroubled_tick(world, done) and done.mode is ExecutionMode.AUTOPILOT and world.use.owed:
        assert not done.after.vlm_listed, "the server works again, nobody wants the VLM, and it is still loaded"


def p02_recording_loads(world: World, done: Done) -> None:
    """A transition to RECORDING ends with the VLM loaded (or degraded, with a reason)."""
    if not _changes_to(done, ExecutionMode.RECORDING):
        return
    if done.ok:
        assert done.after.vlm_listed or done.codes & (NO_LOAD | NO_UNLOAD), "not loaded, and no reason given"
    elif isinstance(done.error, NotEnoughVram):
        assert not done.before.vlm_listed, "refused to load what was loaded"
        _figures_are_true(world, done, done.error)
        assert _moves(done.deeds) == [], "refused after it had begun"
    else:
        assert isinstance(done.error, NOT_STARTED), done.error


def p03_autopilot_has_clip_on_the_gpu(world: World, done: Done) -> None:
    """In AUTOPILOT, CLIP is on the GPU whenever it fits there."""
    settled = done.ok and isinstance(done.request, Tick | SetMode) and done.mode is ExecutionMode.AUTOPILOT
    if not settled or done.after.free_mb is None or done.codes & NO_PROMOTION or world.figures_are_blurred:
        return
    needs_mb = max(world.setup.clip_mb, world.setup.clip_configured_mb)
    fits = done.after.clip_held_mb > 0 or done.after.free_mb >= needs_mb
    assert not fits or done.after.clip_device == "cuda:0", f"{done.after.free_mb} MB are free, CLIP is on the CPU"


def p04_unloading_frees_memory(world: World, done: Done) -> None:
    """VRAM in use after a VLM unload is lower than before it."""
    if done.error is not None or done.codes & NO_UNLOAD:
        return
    for deed in done.deeds:
        used_mb = deed.before.used_mb
        if deed.what == "unload" and not deed.error and used_mb is not None and deed.before.vlm_listed:
            later_mb = _used_after(done, deed)
            gained_mb = used_mb - (later_mb or 0)
            assert gained_mb > 0 or deed.before.vlm_taken_mb == 0, f"{used_mb} MB before, {later_mb} MB after"


def p05_statuses_are_whole(world: World, done: Done) -> None:
    """Every status has every field, and the fields agree with each other, and with what is so."""
    for status in (*done.statuses, done.status):
        _agrees_with_itself(status)
    for status in done.statuses:
        assert status.operation is None or status.operation.job_id in {done.sent.job.id, ""}
    _agrees_with_the_world(world, done)


def p06_clip_leaves_before_a_load(world: World, done: Done) -> None:
    """CLIP has left the GPU before a VLM load begins: always for RECORDING, and elsewhere unless both fit."""
    recording = done.mode is ExecutionMode.RECORDING or _changes_to(done, ExecutionMode.RECORDING)
    for deed in done.deeds:
        if deed.what != "load" or deed.before.vlm_listed or deed.before.clip_device == "cpu":
            continue
        assert not recording, "CLIP was on the GPU when the load began"
        needs_mb = world.setup.vlm_mb + world.setup.overhead_mb
        fits = deed.before.free_mb is None or deed.before.free_mb >= needs_mb
        assert fits or world.figures_are_blurred, "CLIP was in the way of the load"


def p07_embeddings_are_consistent(world: World, done: Done) -> None:
    """The embedding of an input is the same before and after any migrations, within the stated tolerance."""
    if not isinstance(done.result, EmbeddingResult):
        return
    rows = done.result.vectors.array()
    hashes, wanted = _reference(world, done)
    assert len(rows) == len(wanted)
    for row, reference, sha256 in zip(rows, wanted, hashes, strict=True):
        assert 1 - float(row @ reference) <= TOLERANCE
        kept = world.stores.cache.vectors[CLIP_MODEL.fingerprint, sha256]
        assert np.array_equal(kept, row), "what is kept for the next who asks is something else"


def p08_idle_vlm_is_unloaded(world: World, done: Done) -> None:
    """A VLM idle for the timeout is unloaded, and one that is used more often than that is not."""
    timeout_s = world.setup.idle_timeout_s
    if not isinstance(done.request, Tick):
        return
    unloads = [deed for deed in done.deeds if deed.what == "unload" and deed.before.vlm_listed]
    surely_s = world.use.surely_s
    if unloads and surely_s is not None:
        assert timeout_s > 0, "unloaded although the timeout is off"
        idle_s = unloads[0].start_s - surely_s
        assert idle_s >= timeout_s, f"unloaded {idle_s:g} s after it was used"
    if timeout_s > 0 and _is_untroubled_tick(world, done) and not world.use.unnoticed:
        idle_s = done.started_s - max(world.use.perhaps_s, world.use.announced_s)
        assert not done.after.vlm_listed or idle_s < timeout_s, f"idle for {idle_s:g} s, and still loaded"


def p09_questions_are_answered(world: World, done: Done) -> None:
    """A VLM request is answered whether or not the VLM was loaded."""
    if not isinstance(done.request, Ask):
        return
    if isinstance(done.result, AskResult):
        assert done.result.text in world.vlm.answers
        if done.request.json_schema is not None:
            assert done.result.value == read_answer(done.result.text, done.request.json_schema)
    elif isinstance(done.error, NotEnoughVram):
        _figures_are_true(world, done, done.error)
    elif isinstance(done.error, AnswerOutsideSchema):
        assert done.error.raw_text == world.vlm.answers[-1]
    elif isinstance(done.error, VramNotReleased):
        # A footprint that was measured while a stranger came is waited for in vain, once.
        assert world.figures_are_blurred or done.deeds[0].before.vlm_owed_mb > 0
    elif not isinstance(done.error, NOT_STARTED):
        assert not done.undisturbed, f"nothing failed, and there is no answer but {done.error!r}"


def p10_loaded_means_listed(world: World, done: Done) -> None:
    """When `ensure_vlm_loaded` returns, the server lists the model as loaded."""
    if isinstance(done.request, LoadVlm):
        assert not done.ok or done.after.vlm_listed


def p11_unloaded_means_gone(world: World, done: Done) -> None:
    """When `ensure_vlm_unloaded` returns, the server no longer lists the model, and its memory is free."""
    if isinstance(done.request, UnloadVlm) and done.ok:
        assert not done.after.vlm_listed
        assert done.after.vlm_owed_mb == 0, f"{done.after.vlm_owed_mb} MB are still held"


def p12_clip_is_where_it_is_said_to_be(world: World, done: Done) -> None:
    """`get_clip_device` is `cpu` or `cuda[:n]`, and the weights are there."""
    if not isinstance(done.request, FindClip):
        return
    if isinstance(done.result, FindClipResult):
        assert re.fullmatch(r"cpu|cuda(:\d+)?", done.result.device)
        assert done.result.device in world.clip.weights_on
    else:
        assert isinstance(done.error, ClipUnavailable | EncoderFailure | JobCancelled | DeadlinePassed), done.error


def p13_one_at_a_time_in_order(world: World, done: Done) -> None:
    """No two GPU operations overlap in time, and the operations of one client run in the order it sent them."""
    check_order([(other.sent.client, other.sent.number) for other in world.done])
    check_no_overlap([(other.begun, other.ended) for other in world.done])
    strangers = [deed for deed in done.deeds if not (done.begun < deed.begun < (deed.ended or 0) < done.ended)]
    assert not strangers, "something was done outside of the operation that had the GPU"


def check_order(started: Sequence[tuple[str, int]]) -> None:
    """Check that each client's numbers only grow in the order in which the operations ran."""
    last: dict[str, int] = {}
    for client, number in started:
        assert number > last.get(client, -1), f"{client}: {number} ran after {last[client]}"
        last[client] = number


def check_no_overlap(spans: Sequence[tuple[int, int]]) -> None:
    """Check that no span begins before another one that began earlier has ended."""
    for (_, ended), (begun, _) in pairwise(sorted(spans)):
        assert ended < begun, "two operations had the GPU at once"


def _changes_to(done: Done, mode: ExecutionMode) -> bool:
    return isinstance(done.request, SetMode) and done.request.mode is mode


def _is_untroubled_tick(world: World, done: Done) -> bool:
    """Whether this tick could do all that it wanted: nothing failed in it, and nothing rests after a failure."""
    rested = done.started_s - world.failed_s > MAX_PAUSE_S
    return isinstance(done.request, Tick) and done.ok and done.undisturbed and rested and not done.codes & NO_UNLOAD


def _moves(deeds: Sequence[Deed]) -> list[str]:
    return [deed.what for deed in deeds if deed.what in {"load", "unload", "promote", "demote"}]


def _used_after(done: Done, deed: Deed) -> int | None:
    """VRAM in use when the next thing began, or at the end of the operation."""
    later = [other.before for other in done.deeds if deed.ended is not None and other.begun > deed.ended]
    return (later[0] if later else done.after).used_mb


def _figures_are_true(world: World, done: Done, error: SingletrackError) -> None:
    """Check that what was refused for lack of room could not have been done (R6.4)."""
    if world.figures_are_blurred:
        return
    before, details = done.before, error.details
    assert before.free_mb is not None
    assert details["total_mb"] == world.setup.total_mb
    assert details["free_mb"] == before.free_mb
    assert details["freeable_mb"] == before.clip_held_mb
    assert details["needed_mb"] == world.setup.vlm_mb + world.setup.overhead_mb
    assert details["needed_mb"] > before.free_mb + before.clip_held_mb, "there was room"


def _reference(world: World, done: Done) -> tuple[list[str], list[np.ndarray]]:
    if isinstance(done.request, EmbedTexts):
        data = [text.encode() for text in done.request.texts]
    else:
        assert isinstance(done.request, EmbedImages)
        data = world.stores.blobs.get(done.request.images)
    return [hashlib.sha256(item).hexdigest() for item in data], [reference_embedding(item) for item in data]


def _agrees_with_itself(status: GPUResourceStatus) -> None:
    assert GPUResourceStatus.parse(status.dump()) == status
    codes = {reason.code for reason in status.reasons}
    assert (DegradedCode.NO_GPU in codes) == (status.gpu is None)
    assert (status.clip.device != "cpu") == (status.clip.gpu_pid is not None)
    assert status.gpu is not None or status.clip.device == "cpu"
    if status.vlm.state not in {ModelState.LOADED, ModelState.LOADING, ModelState.UNLOADING}:
        assert status.vlm.size_mb is None, f"{status.vlm.state}, and of a size"
    if status.vlm.size_mb is not None and status.vlm.vram_mb is not None:
        assert status.vlm.vram_mb <= status.vlm.size_mb
    if status.operation is None:
        assert status.vlm.state not in {ModelState.LOADING, ModelState.UNLOADING, ModelState.UNKNOWN}
        assert (status.vlm.state is ModelState.LOADED) == (status.vlm.size_mb is not None)


def _agrees_with_the_world(world: World, done: Done) -> None:
    status, after = done.status, done.after
    assert status.operation is None
    assert status.mode is done.mode
    assert status.clip.device == after.clip_device
    assert (None if status.vram is None else status.vram.used_mb) == after.used_mb
    looked = done.deeds and done.deeds[-1].what == "listing" and not done.deeds[-1].error
    if looked:
        assert (status.vlm.state is ModelState.LOADED) == after.vlm_listed
        _reasons_still_hold(world, done)


def _reasons_still_hold(world: World, done: Done) -> None:
    """A reason that is given after the server was looked at says something that is so."""
    codes, after = {reason.code for reason in done.status.reasons}, done.after
    assert DegradedCode.OLLAMA_UNREACHABLE not in codes, "the server answered"
    if not after.vlm_listed:
        assert not codes & {DegradedCode.VLM_PARTLY_ON_CPU, DegradedCode.VLM_VRAM_SHORT}, "it is not even loaded"
        unreleased = DegradedCode.VRAM_NOT_RELEASED in codes and not world.figures_are_blurred
        # Totals cannot tell memory that is late from memory that somebody else took meanwhile.
        others = after.guests or after.stranger_mb
        assert not unreleased or after.vlm_held_mb > 0 or others, "the memory is free"
    else:
        assert not codes & NO_LOAD, "it is loaded"


assert SKEW**2 / 2 < TOLERANCE, "the fakes must be within the tolerance that is checked"

ALL: tuple[Check, ...] = (
    p01_autopilot_unloads,
    p02_recording_loads,
    p03_autopilot_has_clip_on_the_gpu,
    p04_unloading_frees_memory,
    p05_statuses_are_whole,
    p06_clip_leaves_before_a_load,
    p07_embeddings_are_consistent,
    p08_idle_vlm_is_unloaded,
    p09_questions_are_answered,
    p10_loaded_means_listed,
    p11_unloaded_means_gone,
    p12_clip_is_where_it_is_said_to_be,
    p13_one_at_a_time_in_order,
)
