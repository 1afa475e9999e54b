"""Found in the place of torch by a process with this folder on its path: what FAKE_TORCH describes.

It computes nothing, and tells which GPU it would see by the name of its version.
"""

import json
import os
import threading
from types import SimpleNamespace
from typing import Any

_told = json.loads(os.environ["FAKE_TORCH"])

__version__ = f"2.14.1+{os.environ.get('CUDA_VISIBLE_DEVICES')}"
version = SimpleNamespace(cuda=_told["cuda"])
cuda = SimpleNamespace(get_arch_list=lambda: _told["architectures"])


class _Tensor:
    def __init__(self, number: float) -> None:
        self._number = number

    def __matmul__(self, other: "_Tensor") -> "_Tensor":
        return self

    def sum(self) -> "_Tensor":
        return self

    def item(self) -> float:
        return self._number


def ones(rows: int, columns: int, device: str) -> Any:
    assert device == "cuda:0"
    if _told["does"] == "dies":
        os.abort()
    if _told["does"] == "hangs":
        threading.Event().wait()
    if _told["error"]:
        raise RuntimeError(_told["error"])
    return _Tensor(rows * columns * columns if _told["does"] != "lies" else 1)
