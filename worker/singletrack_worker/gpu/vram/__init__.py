"""The memory of the GPU, from the driver or simulated."""
