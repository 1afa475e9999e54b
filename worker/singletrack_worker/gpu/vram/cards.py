"""Which GPU is meant: `SINGLETRACK_GPU_INDEX` and `CUDA_VISIBLE_DEVICES`, held against what the driver lists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.text import writable
from singletrack_worker.gpu.cuda_visibility import DRIVERS_ORDER, ORDER, UUID, VISIBLE

INDEX = "SINGLETRACK_GPU_INDEX"
# What hides every GPU from CUDA on purpose.
_HIDES_ALL = ("", "-1", "none", "void", "nodevfiles")


@dataclass(frozen=True)
class NvmlCard:
    """A GPU, or a MIG instance of one: `index` is the GPU's number in the driver's order.

    `uuid` is empty where the driver garbles it. `instances` are those of a GPU that is `divided`. `error` is that of a
    GPU that does not answer.
    """

    index: int
    name: str
    uuid: str
    divided: bool = False
    instances: tuple["NvmlCard", ...] = ()
    error: Exception | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.uuid or f'number {self.index}'})"


def list_cards(nvml: ModuleType) -> tuple[NvmlCard, ...]:
    """List the GPUs of an initialized NVML in the driver's order; raises `NVMLError` if it cannot count them.

    One that does not answer is listed without a name: it must not hide the others, nor change their numbers.
    """
    return tuple(_card(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))


def choose(cards: Sequence[NvmlCard], wanted: str | None, environ: Mapping[str, str]) -> NvmlCard | None:
    """Return the GPU that is `wanted` (an index, a UUID or the beginning of one), None if all are hidden on purpose.

    None wanted is the first that `CUDA_VISIBLE_DEVICES` names, or the first of all. Raises `InvalidConfiguration` for
    what is not there, for a divided GPU with several instances, and if the two variables contradict each other.
    """
    seen = _seen_by_cuda(cards, environ)
    if wanted is None:
        candidates = cards if seen is None else seen
        return _undivided(candidates[0]) if candidates else None
    card = _named(cards, wanted)
    if card is None:
        raise InvalidConfiguration(f"{INDEX} is {wanted}, and this machine has {_listing(cards)}")
    card = _undivided(card)
    if seen is not None and card not in seen and card not in [_only(it) for it in seen]:
        raise InvalidConfiguration(
            f"{INDEX} is {wanted}, and {VISIBLE} is {environ[VISIBLE]!r}, which does not show that GPU to CUDA, nor to "
            "an Ollama with the same environment. Unset one of them, or let both name the same GPU."
        )
    return card


def handle_of(nvml: ModuleType, card: NvmlCard) -> Any:
    """Return NVML's handle of a card; raises `NVMLError`."""
    if card.error is not None:
        raise card.error
    if card.uuid:
        return nvml.nvmlDeviceGetHandleByUUID(card.uuid)
    return nvml.nvmlDeviceGetHandleByIndex(card.index)


def text_of(ask: Callable[..., Any], *args: Any) -> str:
    """Ask the driver for a text, in which what is not UTF-8 (some drivers under WSL) becomes '?'."""
    try:
        return writable(str(ask(*args)))
    except UnicodeDecodeError as error:  # nvidia-ml-py decodes what the driver says
        return error.object.decode("utf-8", "replace").replace("\ufffd", "?")


def _card(nvml: ModuleType, index: int) -> NvmlCard:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        name, uuid = text_of(nvml.nvmlDeviceGetName, handle), _uuid(nvml, handle)
    except nvml.NVMLError as error:
        return NvmlCard(index, "GPU", "", error=error)
    if not _is_divided(nvml, handle):
        return NvmlCard(index, name, uuid)
    return NvmlCard(index, name, uuid, divided=True, instances=tuple(_instances(nvml, handle, index)))


def _uuid(nvml: ModuleType, handle: Any) -> str:
    uuid = text_of(nvml.nvmlDeviceGetUUID, handle)
    return uuid if UUID.fullmatch(uuid) else ""


def _is_divided(nvml: ModuleType, handle: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:  # most cards cannot be divided
        return False


def _instances(nvml: ModuleType, handle: Any, index: int) -> Iterator[NvmlCard]:
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(nvml.NVMLError):  # not every place has an instance
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
            yield NvmlCard(index, text_of(nvml.nvmlDeviceGetName, instance), _uuid(nvml, instance))


def _seen_by_cuda(cards: Sequence[NvmlCard], environ: Mapping[str, str]) -> list[NvmlCard] | None:
    """Return what `CUDA_VISIBLE_DEVICES` leaves to be seen, None if it is not set."""
    text = environ.get(VISIBLE)
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if names[0].lower() in _HIDES_ALL:
        return []
    seen: list[NvmlCard] = []
    for name in names:
        card = _by_ordinal(cards, name, environ) if name.isdecimal() else _named(cards, name)
        if card is None:
            break  # CUDA ignores whatever follows
        seen.append(card)
    if not seen:
        raise InvalidConfiguration(f"{VISIBLE} is {text!r}, and this machine has {_listing(cards)}")
    return seen


def _by_ordinal(cards: Sequence[NvmlCard], name: str, environ: Mapping[str, str]) -> NvmlCard | None:
    if len({card.name for card in cards if card.error is None}) > 1 and environ.get(ORDER) != DRIVERS_ORDER:
        raise InvalidConfiguration(
            f"{VISIBLE} is {environ[VISIBLE]!r}, and CUDA counts unlike GPUs by their speed, which the driver does not "
            f"tell. Name the GPU by its UUID (`nvidia-smi -L`), or set {ORDER}={DRIVERS_ORDER}."
        )
    return _named(cards, name)


def _named(cards: Sequence[NvmlCard], name: str) -> NvmlCard | None:
    if name.isdecimal():
        return next((card for card in cards if card.index == int(name)), None)
    everything = [*cards, *(instance for card in cards for instance in card.instances)]
    found = [card for card in everything if card.uuid and card.uuid.lower().startswith(name.lower())]
    return found[0] if len(found) == 1 else None


def _only(card: NvmlCard) -> NvmlCard:
    return card.instances[0] if len(card.instances) == 1 else card


def _undivided(card: NvmlCard) -> NvmlCard:
    """Return a card as CUDA can use it: of a divided GPU, the only instance."""
    card = _only(card)
    if card.divided:
        instances = ", ".join(instance.uuid for instance in card.instances) or "none that this process may open"
        raise InvalidConfiguration(
            f"the GPU {card} is divided into MIG instances, which CUDA uses one at a time. Name one by its UUID in "
            f"{INDEX}: {instances}"
        )
    return card


def _listing(cards: Sequence[NvmlCard]) -> str:
    listed = ", ".join(f"{card.index} {card.uuid}".strip() for card in cards)
    return f"{len(cards)} GPU{'' if len(cards) == 1 else 's'} ({listed})" if cards else "no GPU"
