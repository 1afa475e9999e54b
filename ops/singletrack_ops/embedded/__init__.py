"""Servers and models for a machine that has none: Redis, Ollama, and a tiny untrained VLM and CLIP."""
