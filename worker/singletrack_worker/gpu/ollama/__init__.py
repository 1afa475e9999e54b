"""The VLM at an Ollama server."""
