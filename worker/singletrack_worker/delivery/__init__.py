"""How messages reach the worker, and why none of them is lost."""
