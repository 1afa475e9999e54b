"""How messages come to the worker, and how none of them is lost."""
