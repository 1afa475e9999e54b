"""The actual state of the GPU, including anything on it that is not ours."""
