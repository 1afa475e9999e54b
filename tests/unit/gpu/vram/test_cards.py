"""Which GPU is meant: by number, UUID, MIG instance, and what `CUDA_VISIBLE_DEVICES` leaves of them."""

import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_worker.gpu.vram.cards import NvmlCard, choose, handle_of, list_cards
from tests.fakes.nvml import FakeCard, FakeNvml

CARDS = (
    NvmlCard(0, "RTX 3060", "GPU-11111111-aaaa"),
    NvmlCard(1, "RTX 3060", "GPU-22222222-bbbb"),
    NvmlCard(2, "RTX 3060", "GPU-23333333-cccc"),
)
IN_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
HALVES = (NvmlCard(1, "A100 MIG 3g.20gb", "MIG-aaaa"), NvmlCard(1, "A100 MIG 3g.20gb", "MIG-bbbb"))
DIVIDED = (NvmlCard(0, "A100", "GPU-whole"), NvmlCard(1, "A100", "GPU-parts", divided=True, instances=HALVES))


def number(wanted: str | None = None, visible: str | None = None, cards: tuple[NvmlCard, ...] = CARDS) -> int | None:
    chosen = choose(cards, wanted, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    return None if chosen is None else chosen.index


@pytest.mark.parametrize(
    ("wanted", "visible", "found"),
    [
        (None, None, 0),
        ("2", None, 2),
        ("GPU-22222222-bbbb", None, 1),
        ("GPU-1", None, 0),
        (None, "2", 2),
        (None, "2,0", 2),
        (None, " GPU-22222222-bbbb ", 1),
        (None, "gpu-23", 2),
        (None, "1,-1,0", 1),
        ("0", "2,0", 0),
        ("GPU-11111111-aaaa", "2,0", 0),
        (None, "", None),
        (None, "-1", None),
        (None, "-1,0", None),
    ],
)
def test_the_gpu_is_the_one_that_is_named(wanted: str | None, visible: str | None, found: int | None) -> None:
    assert number(wanted, visible) == found


@pytest.mark.parametrize(
    ("wanted", "visible", "said"),
    [
        ("3", None, "SINGLETRACK_GPU_INDEX is 3, and this machine has 3 GPUs"),
        ("GPU-9", None, "SINGLETRACK_GPU_INDEX is GPU-9"),
        ("GPU-", None, "SINGLETRACK_GPU_INDEX is GPU-"),
        (None, "7", "CUDA_VISIBLE_DEVICES is '7', and this machine has 3 GPUs"),
        (None, "GPU-9", "CUDA_VISIBLE_DEVICES is 'GPU-9'"),
        (None, "GPU-2", "CUDA_VISIBLE_DEVICES is 'GPU-2'"),
        ("0", "2", "SINGLETRACK_GPU_INDEX is 0, and CUDA_VISIBLE_DEVICES is '2'"),
        ("0", "2,7,0", "Unset one of them"),
        ("0", "-1", "Unset one of them"),
        ("0", "", "Unset one of them"),
    ],
)
def test_what_is_not_there_or_contradicts_itself_is_refused(wanted: str | None, visible: str | None, said: str) -> None:
    with pytest.raises(InvalidConfiguration, match=said):
        number(wanted, visible)


def test_no_gpu_at_all_is_no_mistake() -> None:
    assert number(cards=()) is None


def test_numbers_of_unlike_gpus_have_to_be_told_in_the_drivers_order() -> None:
    cards = (CARDS[0], NvmlCard(1, "RTX 4090", "GPU-4"))
    with pytest.raises(InvalidConfiguration, match="CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        number(None, "1", cards)
    assert choose(cards, None, IN_ORDER | {"CUDA_VISIBLE_DEVICES": "1"}) == cards[1]
    assert number(None, "GPU-4", cards) == 1


def test_a_divided_gpu_is_used_by_the_instance_that_is_named() -> None:
    assert choose(DIVIDED, "MIG-bbbb", {}) == HALVES[1]
    assert choose(DIVIDED, None, {"CUDA_VISIBLE_DEVICES": "MIG-b"}) == HALVES[1]
    assert choose(DIVIDED, "MIG-bbbb", {"CUDA_VISIBLE_DEVICES": "MIG-bbbb"}) == HALVES[1]
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_GPU_INDEX: MIG-aaaa, MIG-bbbb"):
        choose(DIVIDED, "1", {})
    with pytest.raises(InvalidConfiguration, match="divided"):
        choose(DIVIDED, None, {"CUDA_VISIBLE_DEVICES": "1"})


def test_the_only_instance_of_a_gpu_needs_no_name() -> None:
    cards = (NvmlCard(0, "A100", "GPU-parts", divided=True, instances=HALVES[:1]),)
    assert choose(cards, None, {}) == HALVES[0]
    assert choose(cards, "0", {"CUDA_VISIBLE_DEVICES": "0"}) == HALVES[0]


def test_what_the_driver_lists_is_found_instances_included() -> None:
    nvml = FakeNvml(FakeCard("A100", "GPU-1", instances=[FakeCard("A100 MIG", "MIG-1")]), FakeCard("T4", "GPU-2"))
    nvml.nvmlInit()
    cards = list_cards(nvml)
    assert [(card.index, card.name, card.uuid, card.divided) for card in cards] == [
        (0, "A100", "GPU-1", True),
        (1, "T4", "GPU-2", False),
    ]
    assert cards[0].instances == (NvmlCard(0, "A100 MIG", "MIG-1"),)
    assert handle_of(nvml, cards[0].instances[0]).card.name == "A100 MIG"


def test_a_gpu_that_does_not_answer_leaves_the_others_their_numbers() -> None:
    nvml = FakeNvml(FakeCard(uuid="GPU-1"), FakeCard(uuid="GPU-2"))
    nvml.nvmlInit()
    nvml.once["nvmlDeviceGetName"] = ["GpuIsLost"]
    lost, other = list_cards(nvml)
    assert (other.index, other.uuid) == (1, "GPU-2")
    assert choose((lost, other), "1", {}) == other
    with pytest.raises(nvml.NVMLError_GpuIsLost):
        handle_of(nvml, lost)


def test_texts_that_are_no_utf_8_are_told_as_far_as_they_can_be() -> None:
    nvml = FakeNvml(FakeCard("RTX\xff", "GPU-\xfe\xff"))
    nvml.nvmlInit()
    (card,) = list_cards(nvml)
    assert (card.name, card.uuid) == ("RTX?", "")
    assert handle_of(nvml, card).card.index == 0
