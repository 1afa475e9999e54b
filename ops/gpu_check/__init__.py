"""Proves on anybody's NVIDIA GPU what this project promises: `make gpu`, or `python -m gpu_check`."""
