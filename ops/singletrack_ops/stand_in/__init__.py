"""A stand-in for Ollama: its models hold memory of a GPU, real or simulated, and know nothing unless they are told."""
