"""What a process has to be told to see one GPU alone, as `cuda:0`."""

import re

from singletrack_tasks.status import GpuInfo

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
DRIVERS_ORDER = "PCI_BUS_ID"
# Older drivers name a MIG instance MIG-GPU-UUID/instance/instance.
UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]+")


def seeing(gpu: GpuInfo) -> dict[str, str]:
    """Return the variables with which CUDA shows a process this GPU alone.

    By its UUID, since CUDA's numbers are not the driver's: it counts what the process may open, and by speed unless
    told otherwise. The number is used only where the driver garbles the UUID.
    """
    return {ORDER: DRIVERS_ORDER, VISIBLE: gpu.uuid if UUID.fullmatch(gpu.uuid) else str(gpu.index)}
