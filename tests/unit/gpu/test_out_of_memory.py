"""Memory that ran out on the GPU is told from other failures."""

import pytest

from singletrack_tasks.errors import (
    EncoderFailure,
    MigrationFailed,
    NotEnoughVram,
    OllamaFailure,
    RedisUnavailable,
    VlmLoadFailed,
)
from singletrack_worker.gpu.clip.program import _kind
from singletrack_worker.gpu.out_of_memory import is_out_of_memory

# As torch, CUDA, cuBLAS and cuDNN put it.
TORCH = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.75 GiB",
    "CUDA error: out of memory",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "cudaErrorMemoryAllocation: the API call failed",
    "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "OutOfMemoryError: HIP out of memory",
    "hipErrorOutOfMemory",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 3145728 bytes",
)
# As llama.cpp and Ollama put it, on CUDA, Vulkan and Metal.
OLLAMA = (
    "llama runner process has terminated: cudaMalloc failed: out of memory",
    "cudaMalloc failed",
    "error loading model: unable to allocate CUDA0 buffer",
    "insufficient memory - required allocations: {}",
    "not enough memory to load the projector",
    "graph_reserve: allocation failed",
    "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
    "ggml_vulkan: out of device memory",
    "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    "mmap failed: Cannot allocate memory",
)


@pytest.mark.parametrize(
    "error",
    [
        EncoderFailure("the encoder failed: no more", {"kind": "out_of_memory"}),
        MigrationFailed("CLIP stays on the CPU", {"device": "cuda:0", "kind": "out_of_memory"}),
        EncoderFailure("the encoder failed: CUDA out of memory. Tried to allocate 20.00 MiB"),
        EncoderFailure("the encoder failed: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OllamaFailure("answered HTTP 500: cudaMalloc failed: out of memory"),
        OllamaFailure("failed: error loading model: unable to allocate CUDA0 buffer"),
        VlmLoadFailed("ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 1048576"),
        *(EncoderFailure(f"the encoder failed: RuntimeError: {words}") for words in TORCH),
        *(OllamaFailure(f"answered HTTP 500: {words}") for words in OLLAMA),
    ],
    ids=str,
)
def test_encoders_and_ollama_that_ran_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [*(RuntimeError(words) for words in TORCH), MemoryError()], ids=str)
def test_the_encoders_process_knows_the_same_words(error: Exception) -> None:
    assert _kind(error) == "out_of_memory"


@pytest.mark.parametrize(
    "error",
    [
        None,
        EncoderFailure("the encoder process 7 has died", {"kind": "died"}),
        OllamaFailure("model requires more system memory (9.1 GiB) than is available (4.0 GiB)"),
        RedisUnavailable("Redis is out of memory"),
        NotEnoughVram.of("CLIP", needed_mb=1100, free_mb=500, freeable_mb=0, total_mb=8192),
        ValueError("out of memory"),
    ],
)
def test_refusals_and_other_failures_are_something_else(error: Exception | None) -> None:
    assert not is_out_of_memory(error)
