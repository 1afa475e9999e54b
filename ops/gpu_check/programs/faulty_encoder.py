"""The product's own encoder program on a real GPU, which fails as a text tells it to.

A text that begins with `FAULT:` is obeyed where the model is on CUDA, and embedded like any other elsewhere: `illegal`
writes to an address that is not its own, `trap` stops in a kernel, `hang` is a kernel without an end, `oom` allocates
4 TiB, `die` kills the process, `nan` yields what is not a number.
"""

import ctypes
import os
import signal
from collections.abc import Sequence

from singletrack_worker.gpu.clip import program

FAULT = "FAULT:"
PTX = b"""
.version 6.5
.target sm_75
.address_size 64
.visible .entry illegal() { .reg .b64 %rd<2>; .reg .b32 %r<2>; mov.u64 %rd1, 16; mov.u32 %r1, 1;
  st.global.u32 [%rd1], %r1; ret; }
.visible .entry trap() { trap; ret; }
.visible .entry hang() { .reg .b32 %r<2>; .reg .pred %p<2>; mov.u32 %r1, 1;
LOOP: setp.ne.u32 %p1, %r1, 0; membar.gl; @%p1 bra LOOP; ret; }
\0"""
_TOO_LARGE_BYTES = 1 << 42


class FaultyClip(program.LoadedClip):
    """A model whose texts may be orders."""

    def embed_texts(self, texts: Sequence[str]) -> bytes:
        """Embed texts, or obey one."""
        for text in texts:
            if text.startswith(FAULT) and self.where() != "cpu":
                _obey(text.removeprefix(FAULT).split()[0])
        return super().embed_texts(texts)


def _obey(fault: str) -> None:
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "oom":
        import torch

        torch.empty(_TOO_LARGE_BYTES, dtype=torch.uint8, device="cuda")
    elif fault == "nan":
        raise ArithmeticError("the embedding is not finite")
    else:
        _launch(fault)


def _launch(kernel: str) -> None:
    """Launch a kernel in torch's own context."""
    import torch

    torch.zeros(1, device="cuda")
    cuda = ctypes.CDLL("libcuda.so.1")
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    code = cuda.cuModuleLoadData(ctypes.byref(module), PTX)
    code = code or cuda.cuModuleGetFunction(ctypes.byref(function), module, kernel.encode())
    code = code or cuda.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, None, None, None)
    if code:
        raise RuntimeError(f"the fault {kernel} could not be launched: CUresult {code}")


if __name__ == "__main__":
    program.main(FaultyClip)
