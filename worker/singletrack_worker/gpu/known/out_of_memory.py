"""Tells memory that ran out on the GPU from other failures."""

from singletrack_tasks.errors import EncoderFailure, MigrationFailed, OllamaFailure, VlmLoadFailed

# What CUDA, torch and llama.cpp write. A model that Ollama refuses to load ran out of nothing.
_WORDS = ("out of memory", "alloc_failed", "failed to allocate", "unable to allocate")
# Others, like Redis, run out of memory of their own.
_OF_THE_GPU = (EncoderFailure, MigrationFailed, OllamaFailure, VlmLoadFailed)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an encoder or Ollama failed for want of memory."""
    if not isinstance(error, _OF_THE_GPU):
        return False
    text = error.message.lower()
    return error.details.get("kind") == "out_of_memory" or any(words in text for words in _WORDS)
