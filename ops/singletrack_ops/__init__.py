"""The embedded stack: Redis and Ollama brought up as our own children where a machine has neither."""
