"""What the worker reads and writes in Redis, its messages aside."""
