"""The memory of the GPU, by the driver or simulated."""
