"""Found in the place of `pynvml` by a process with this folder on its path: the driver that FAKE_NVML describes."""

import json
import os
import sys

from tests.fakes.nvml import FakeCard, FakeNvml

_told = json.loads(os.environ["FAKE_NVML"])
_nvml = FakeNvml(*(FakeCard(**card) for card in _told["cards"]), driver=_told["driver"], cuda=_told["cuda"])
_nvml.cards = _nvml.cards if _told["cards"] else []
_nvml.errors = _told["errors"]
sys.modules["pynvml"] = _nvml
