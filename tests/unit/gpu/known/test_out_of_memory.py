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
from singletrack_worker.gpu.known.out_of_memory import is_out_of_memory


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
    ],
)
def test_encoders_and_ollama_that_ran_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


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
