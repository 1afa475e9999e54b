"""An agent's short day in all three modes: what it does, and what must come of it."""

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field

from singletrack import Client, ExecutionMode
from singletrack_ops.demo.diary import Diary
from singletrack_ops.demo.samples import SampleElement, load_scene
from singletrack_ops.errors import OpsError
from singletrack_tasks.errors import (
    DeadlinePassed,
    InvalidImage,
    JobCancelled,
    TransientError,
    UnknownModel,
)
from singletrack_tasks.events import ClipMigrated, IdleUnload
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.requests.embedding import FindClip
from singletrack_tasks.requests.mode import ModeResult
from singletrack_tasks.result import DegradedCode, StepReceipt
from singletrack_tasks.status import GPUResourceStatus

CROPS = 24
_EXAMPLES = 3
_ANSWER_CHARS = 160
_IDLE_WAIT_S = 60.0
_QUEUE_WAIT_S = 10.0
_POLL_S = 0.05
# Far less than the mode change that this job has to wait for.
_TOO_SHORT_S = 0.05


class Screen(BaseModel):
    """What the VLM has to say about a screenshot."""

    application: str = Field(max_length=40)
    kind: Literal["dialog", "form", "list", "dashboard"]
    next_action: Literal["click", "type", "scroll", "done"]


class Day:
    """Plays the day with one client; without `has_vlm` there is no Ollama, and the day is degraded."""

    def __init__(self, client: Client, diary: Diary, *, has_vlm: bool) -> None:
        self._client = client
        self._diary = diary
        self._has_vlm = has_vlm
        self._gpu_device = ""

    def live(self) -> None:
        """Play it; raises every error that is not part of the story."""
        self._morning()
        self._autopilot()
        self._visit()
        self._recording()
        self._idle()
        self._mistakes()
        self._evening()

    def _morning(self) -> None:
        self._diary.chapter("MORNING", "what is there to work with?")
        status = self._status()
        self._diary.expect(status.vram is not None, "the status shows the GPU's memory without waiting for the GPU")
        if not self._has_vlm:
            self._diary.expect(_has(status, DegradedCode.OLLAMA_UNREACHABLE), "the status reports the missing Ollama")

    def _autopilot(self) -> None:
        self._diary.chapter("AUTOPILOT", "the agent works alone: CLIP on the GPU, the VLM unloaded")
        result = self._set_mode(ExecutionMode.AUTOPILOT)
        device = self._gpu_device = self._clip_device()
        self._diary.expect(device.startswith("cuda"), "the encoder itself finds CLIP's weights on the GPU")
        self._diary.expect(_steps(result.receipts) == ("promote_clip",), "the mode change moved CLIP and nothing else")
        self._embed_scene("settings", device)
        self._embed_scene("invoice", device)
        again = self._diary.act("embed_images (settings, again)", lambda: self._client.embed_images(_crops("settings")))
        self._diary.expect(again.cached == len(again.vectors), "the second time, the cache answers without the GPU")

    def _visit(self) -> None:
        self._diary.chapter("A VISITOR", "one question for the VLM, still in AUTOPILOT")
        if not self._has_vlm:
            self._ask_in_vain()
            return
        since = self._last_event()
        picture = load_scene("settings").image
        question = "What is on this screen, and what would you do next?"
        answer = self._diary.act(
            "ask (with a pydantic schema)", lambda: self._client.ask(question, [picture], schema=Screen)
        )
        self._diary.say(f"answer: {answer.value!r}")
        self._expect_visit(answer.result.receipts)
        self._diary.expect(isinstance(answer.value, Screen), "the answer is an instance of the schema's class")
        self._wait_until_idle(since)

    def _recording(self) -> None:
        self._diary.chapter("RECORDING", "a person demonstrates the work: the VLM on the GPU, CLIP on the CPU")
        result = self._set_mode(ExecutionMode.RECORDING)
        demoted = [receipt for receipt in result.receipts if receipt.step == "demote_clip"]
        self._diary.expect(all(map(_fell, demoted)) and bool(demoted), "the driver shows that CLIP's memory came back")
        if self._has_vlm:
            self._expect_exchange(result.receipts)
            self._ask("What does the table show?", "orders")
            self._ask("Which file is selected?", "files")
        else:
            self._diary.expect(result.degraded, "without Ollama the mode is degraded, and the result says why")
        self._embed_scene("orders", "cpu")

    def _idle(self) -> None:
        self._diary.chapter("IDLE", "a break: everything stays where it is")
        result = self._set_mode(ExecutionMode.IDLE)
        self._diary.expect(not result.receipts, "the mode change moved nothing")
        self._embed_scene("files", "cpu")
        self._status()

    def _mistakes(self) -> None:
        self._diary.chapter("MISTAKES", "each gets its own error and disturbs nobody else")
        client, act = self._client, self._diary.refused
        act("embed_images (no image)", InvalidImage, lambda: client.embed_images([b"no image at all"]))
        act("ask (another model)", UnknownModel, lambda: client.ask("Who are you?", model="no-such-model"))
        if self._has_vlm:
            self._diary.act("ensure_vlm_loaded", client.ensure_vlm_loaded)
        began_s = time.monotonic()
        change = client.submit_mode(ExecutionMode.AUTOPILOT)
        cancelled = client.submit_ask("Never mind.")
        cancelled.cancel()
        late = client.submit_ask("Quick!", timeout_s=_TOO_SHORT_S)
        act("ask (cancelled)", JobCancelled, cancelled.result, began_s=began_s)
        act("ask (deadline too short)", DeadlinePassed, late.result, began_s=began_s)
        result = self._diary.act("set_mode AUTOPILOT", change.result, began_s=began_s)
        self._diary.say("the two questions above were waiting behind this change")
        self._diary.mode = ExecutionMode.AUTOPILOT
        self._expect_unloaded(result)
        self._diary.act("ping", client.ping)
        self._diary.expect(True, "the next request works")

    def _evening(self) -> None:
        self._diary.chapter("EVENING", "is everything back in order?")
        status = self._status()
        self._diary.expect(status.mode is ExecutionMode.AUTOPILOT, "the track is in AUTOPILOT again")
        self._diary.expect(status.clip.device == self._gpu_device, "CLIP is back on the GPU")
        self._diary.expect(self._queue_runs_empty(), "the queue is empty")
        if self._has_vlm:
            self._diary.expect(not status.degraded, "nothing is degraded")

    def _queue_runs_empty(self) -> bool:
        """Whether nothing waits any more; one of the regular checks may just have arrived."""
        deadline = time.monotonic() + _QUEUE_WAIT_S
        while self._client.status().queue_length:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _status(self) -> GPUResourceStatus:
        status = self._diary.act("status", self._client.status)
        gpu = status.gpu.name if status.gpu else "no GPU"
        vram = f", {status.vram.used_mb} of {status.vram.total_mb} MB in use" if status.vram else ""
        vlm = f"VLM {status.vlm.model} {status.vlm.state}"
        self._diary.say(f"{gpu}{vram}; {vlm}; CLIP on {status.clip.device}; mode {status.mode}")
        for reason in status.reasons:
            self._diary.say(f"degraded, {reason.code}: {reason.message}")
        return status

    def _set_mode(self, mode: ExecutionMode) -> ModeResult:
        result = self._diary.act(f"set_mode {mode}", lambda: self._client.set_mode(mode))
        self._diary.mode = mode
        return result

    def _clip_device(self) -> str:
        return self._diary.act("clip_device", lambda: self._client.submit(FindClip()).result()).device

    def _embed_scene(self, name: str, device: str) -> None:
        elements = [element for element, _ in load_scene(name).crops(CROPS)]
        labels = [element.label for element in elements]
        images = self._diary.act(
            f"embed_images ({name}, {len(elements)} crops)", lambda: self._client.embed_images(_crops(name))
        )
        texts = self._diary.act(f"embed_texts (their {len(labels)} labels)", lambda: self._client.embed_texts(labels))
        self._diary.expect(images.device == device, f"the crops were embedded on {device}, as expected in this mode")
        self._diary.expect(_are_unit(images.vectors) and _are_unit(texts.vectors), "all embeddings have unit length")
        self._tell_nearest(elements, images.vectors, texts.vectors)

    def _tell_nearest(self, elements: Sequence[SampleElement], images: Vector, texts: Vector) -> None:
        nearest = (images @ texts.T).argmax(axis=1)
        right = int((nearest == np.arange(len(elements))).sum())
        examples = ", ".join(
            f"{element.id} ~ {elements[index].label!r}"
            for element, index in zip(elements[:_EXAMPLES], nearest[:_EXAMPLES], strict=True)
        )
        self._diary.say(f"nearest labels: {examples}, ...; {right} of {len(elements)} crops are nearest to their own")

    def _ask(self, question: str, scene: str) -> None:
        picture = load_scene(scene).image
        answer = self._diary.act(f"ask ({scene})", lambda: self._client.ask(question, [picture]))
        self._diary.say(f"answer: {' '.join(answer.text.split())[:_ANSWER_CHARS]}")
        self._diary.expect(not answer.result.receipts, "the VLM was loaded already: nothing had to move")

    def _ask_in_vain(self) -> None:
        self._diary.refused("ask", TransientError, lambda: self._client.ask("Is anybody there?"))
        device = self._clip_device()
        self._diary.expect(device.startswith("c"), f"CLIP still works, on {device}")

    def _expect_visit(self, receipts: Sequence[StepReceipt]) -> None:
        if _steps(receipts) == ("load_vlm",):
            self._diary.expect(_rose(receipts[0]), "the VLM fitted beside CLIP, and the driver sees its memory in use")
        else:
            self._expect_exchange(receipts)

    def _expect_exchange(self, receipts: Sequence[StepReceipt]) -> None:
        in_order = _steps(receipts) == ("demote_clip", "load_vlm")
        self._diary.expect(in_order, "CLIP left the GPU before the VLM began to load")
        loaded = in_order and receipts[1].ok and _rose(receipts[1])
        self._diary.expect(loaded, "the VLM is loaded, and the driver sees its memory in use")

    def _expect_unloaded(self, result: ModeResult) -> None:
        if not self._has_vlm:
            return
        unloads = [receipt for receipt in result.receipts if receipt.step == "unload_vlm"]
        self._diary.expect(bool(unloads) and all(map(_fell, unloads)), "the VLM is unloaded, and its memory came back")

    def _wait_until_idle(self, since: str) -> None:
        timeout_s = self._client.status().vlm.idle_timeout_s
        self._diary.say(f"now nobody asks anything for {timeout_s:g} s ...")
        migrated = False
        for _, event in self._client.events(since, follow=True, timeout_s=_IDLE_WAIT_S):
            migrated = migrated or (isinstance(event, ClipMigrated) and event.after == self._gpu_device)
            if isinstance(event, IdleUnload):
                self._diary.say(f"idle_unload: {event.model} was idle for {event.idle_s:.1f} s")
                fell = event.receipt is not None and _fell(event.receipt)
                self._diary.expect(fell, "the idle check unloaded the VLM, and its memory came back")
                self._diary.expect(migrated, "the idle check moved CLIP back to the GPU")
                return
        raise OpsError(f"No idle_unload within {_IDLE_WAIT_S:.0f} s. Does beat send the checks? See beat.log.")

    def _last_event(self) -> str:
        entries = list(self._client.events())
        return entries[-1][0] if entries else "0-0"


def _crops(name: str) -> list[Image.Image]:
    return [crop for _, crop in load_scene(name).crops(CROPS)]


def _has(status: GPUResourceStatus, code: DegradedCode) -> bool:
    return any(reason.code is code for reason in status.reasons)


def _steps(receipts: Sequence[StepReceipt]) -> tuple[str, ...]:
    return tuple(receipt.step for receipt in receipts)


def _fell(receipt: StepReceipt) -> bool:
    return _change_mb(receipt) < 0


def _rose(receipt: StepReceipt) -> bool:
    return _change_mb(receipt) > 0


def _change_mb(receipt: StepReceipt) -> int:
    """By how much the VRAM in use rose (MiB); 0 without a GPU."""
    before, after = receipt.vram_before_mb, receipt.vram_after_mb
    return 0 if before is None or after is None else after - before


def _are_unit(vectors: Vector) -> bool:
    return bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3))
