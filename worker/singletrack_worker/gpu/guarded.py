"""The tenants as operations see them: each request is made only while this worker has the track."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from singletrack_tasks.errors import EncoderFailure
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.tenants import Clip, OtherModel, Tenants, Vlm, VlmAnswer, VlmListing, ignore_text


def guarded(tenants: Tenants, confirm: Callable[[], None]) -> Tenants:
    """Return the tenants with `confirm` called before each request that makes one work; it raises to prevent that."""
    return replace(tenants, vlm=_GuardedVlm(tenants.vlm, confirm), clip=_GuardedClip(tenants.clip, confirm))


class _GuardedVlm:
    def __init__(self, vlm: Vlm, confirm: Callable[[], None]) -> None:
        self._vlm = vlm
        self._confirm = confirm

    @property
    def model(self) -> str:
        return self._vlm.model

    @property
    def others(self) -> tuple[OtherModel, ...]:
        return self._vlm.others

    def goes_by(self, name: str) -> bool:
        return self._vlm.goes_by(name)

    def sees_images(self) -> bool | None:
        return self._vlm.sees_images()

    def listing(self) -> VlmListing | None:
        # A look makes nobody work.
        return self._vlm.listing()

    def load(self) -> None:
        self._confirm()
        self._vlm.load()

    def unload(self) -> None:
        self._confirm()
        self._vlm.unload()

    def unload_other(self, name: str) -> None:
        self._confirm()
        self._vlm.unload_other(name)

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None] = ignore_text,
    ) -> VlmAnswer:
        self._confirm()
        return self._vlm.ask(prompt, images, json_schema, options, cancellation, on_text)

    def close(self) -> None:
        self._vlm.close()


class _GuardedClip:
    def __init__(self, clip: Clip, confirm: Callable[[], None]) -> None:
        self._clip = clip
        self._confirm = confirm

    @property
    def model(self) -> ClipModel | None:
        return self._clip.model

    @property
    def device(self) -> str:
        return self._clip.device

    @property
    def pids(self) -> tuple[int | None, int | None]:
        return self._clip.pids

    @property
    def given_up(self) -> EncoderFailure | None:
        return self._clip.given_up

    def start(self) -> None:
        # Outside any operation: it starts on the CPU while other operations run.
        self._clip.start()

    def check(self) -> None:
        self._confirm()
        self._clip.check()

    def promote(self) -> None:
        self._confirm()
        self._clip.promote()

    def demote(self) -> None:
        self._confirm()
        self._clip.demote()

    def find(self) -> str:
        self._confirm()
        return self._clip.find()

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        self._confirm()
        return self._clip.embed_images(pixels)

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        self._confirm()
        return self._clip.embed_texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        self._confirm()
        return self._clip.too_long(texts)

    def stop(self) -> None:
        self._clip.stop()
