"""Distinguishes running out of GPU memory from other failures."""

from singletrack_tasks.errors import EncoderFailure, MigrationFailed, OllamaFailure, VlmLoadFailed

# The words of CUDA, torch and llama.cpp. Ollama's refusal to load a model is not one of them: nothing ran out.
_WORDS = ("out of memory", "alloc_failed", "failed to allocate", "unable to allocate")
# Other parts, such as Redis, can run out of their own memory.
_OF_THE_GPU = (EncoderFailure, MigrationFailed, OllamaFailure, VlmLoadFailed)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an encoder or Ollama failed because GPU memory ran out."""
    if not isinstance(error, _OF_THE_GPU):
        return False
    text = error.message.lower()
    return error.details.get("kind") == "out_of_memory" or any(words in text for words in _WORDS)
