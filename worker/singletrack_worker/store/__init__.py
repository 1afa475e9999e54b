"""What the worker keeps in Redis, and reads there."""
