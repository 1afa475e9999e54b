"""A stand-in for Ollama whose models hold real memory of the GPU, or of a simulated one, and nothing else."""
