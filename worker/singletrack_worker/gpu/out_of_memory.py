"""Distinguishes running out of GPU memory from other failures, by the words of both tenants."""

from singletrack_tasks.errors import EncoderFailure, MigrationFailed, OllamaFailure, VlmLoadFailed

# The words of torch and CUDA, ROCm, Vulkan and Metal, of llama.cpp and of Ollama. Ollama's refusal to load a model is
# none of them ("requires more system memory than is available"): nothing ran out.
_WORDS = (
    "out of memory",
    "out_of_memory",
    "outofmemory",
    "out of device memory",
    "outofdevicememory",
    "alloc_failed",
    "allocation failed",
    "failed to allocate",
    "unable to allocate",
    "can't allocate memory",
    "cannot allocate memory",
    "cudamalloc failed",
    "errormemoryallocation",
    "insufficient memory",
    "not enough memory",
    # What a library says whose handle found no room.
    "cublas_status_not_initialized",
    "cudnn_status_not_initialized",
)
# Other parts, such as Redis, can run out of their own memory.
_OF_THE_GPU = (EncoderFailure, MigrationFailed, OllamaFailure, VlmLoadFailed)

OUT_OF_MEMORY = "out_of_memory"


def says_out_of_memory(text: str) -> bool:
    """Return whether a tenant's own text says that memory ran out."""
    lower = text.lower()
    return any(words in lower for words in _WORDS)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an encoder or Ollama failed because GPU memory ran out."""
    if not isinstance(error, _OF_THE_GPU):
        return False
    return error.details.get("kind") == OUT_OF_MEMORY or says_out_of_memory(error.message)
