"""What is read from Redis without waiting for the GPU."""
